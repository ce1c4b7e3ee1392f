"""Two environments that hold the same files, a journal, and what is looked at before and after."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from runworthy.model.edit import ShareFile
from runworthy.model.storage import How, Reclaimed
from runworthy.remedies.applying import Undone, recover, undo
from runworthy.remedies.journal import UNFINISHED, Entry, Journal
from runworthy.remedies.sharing import share
from tests.remedies.applying.made import ACL, Dump, dump, read

__all__ = ["TIME", "Pair", "Place", "as_user", "bytes_of", "furnished", "given", "left", "names_of"]

TIME = 1_600_000_000_123_456_789


class Pair:
    """A file of ``two`` that has the bytes of one of ``one``, below a directory, with a journal beside it."""

    def __init__(self, top: Path, data: bytes = b"the same bytes\n" * 900, *, name: str = "lib.so") -> None:
        self.root = top / "root"
        self.journal = Journal(str(top / "journal"))
        self.kept, self.path = self.root / "one" / name, self.root / "two" / name
        for number, path in enumerate((self.kept, self.path)):
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
            os.utime(path, ns=(TIME + number, TIME + number * 1_000_000_000))

    def share(self, how: How = "hardlink", *, paths: Sequence[Path] = (), boundaries: Sequence[str] = ()) -> Reclaimed:
        names = tuple(str(one) for one in paths or (self.path,))
        edit = ShareFile(paths=names, kept=str(self.kept), how=how, size=self.kept.stat().st_size)
        return share([edit], self.journal, title="share", subject="here", boundaries=boundaries)

    def refusal(self, how: How = "hardlink", *, paths: Sequence[Path] = (), boundaries: Sequence[str] = ()) -> str:
        """Share, which has to be refused and to leave everything as it is; why."""
        before = dump(self.root)
        done = self.share(how, paths=paths, boundaries=boundaries)
        assert dump(self.root) == before
        assert not done.shared
        assert not done.entry
        assert not self.journal.entries(), "nothing was done that could be taken back"
        return left(done)

    @property
    def is_shared(self) -> bool:
        return self.path.samefile(self.kept)

    def undo(self, *, force: bool = False) -> Undone:
        return undo(self.journal, force=force)


def as_user(function: Callable[[], object]) -> int:
    """Run something as a user without privileges; 0 where it raised nothing.

    Before that files are shared by who runs the tests: modules that are imported then may lie where only he can read.
    """
    with tempfile.TemporaryDirectory() as scratch:
        pair = Pair(Path(scratch))
        pair.share()
        pair.undo()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(4321)
            os.setuid(1234)
            function()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def given(top: Path, *, but: Path | None = None) -> None:
    """Have all below a directory, and itself, belong to the user of :func:`as_user`."""
    for path in [top, *top.rglob("*")]:
        if path != but:
            os.chown(path, 1234, 4321)


def left(done: Reclaimed) -> str:
    """Why the only file that is left is."""
    ((_, why),) = done.left
    return why


def bytes_of(root: Path) -> dict[str, bytes]:
    """What a program reads at each path, links followed; hidden files of ours left out."""
    paths = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".runworthy-"))
    return {str(path.relative_to(root)): read(path) for path in paths}


def names_of(root: Path) -> list[list[str]]:
    """Names that lead to one inode."""
    found: dict[int, list[str]] = {}
    for path in sorted(root.rglob("*")):
        if not path.is_dir():
            found.setdefault(path.lstat().st_ino, []).append(str(path.relative_to(root)))
    return sorted(found.values())


def furnished(top: Path, hows: Sequence[How]) -> tuple[Path, list[ShareFile]]:
    """Make a tree with one stored file for each way of sharing, with two names in two directories, and the plan."""
    root = top / "root"
    shutil.rmtree(root, ignore_errors=True)
    for directory in ("one", "two/deep", "two/beside"):
        (root / directory).mkdir(parents=True)
    shares = []
    for number, how in enumerate(hows):
        data = bytes([number + 1]) * 5000 + os.fsencode(how) * 3000
        kept, path, other = root / f"one/{number}", root / f"two/deep/{number}", root / f"two/beside/{number}-too"
        for file in (kept, path):
            file.write_bytes(data)
            os.setxattr(file, "user.note", b"\0kept\xff")
            if how != "symlink":  # it lets its group execute it
                os.setxattr(file, "system.posix_acl_access", ACL)
            os.chown(file, 1234, 4321)
        if how in ("clone", "extents"):
            path.chmod(0o640)
            os.setxattr(path, "user.own", b"its own")
        os.link(path, other)
        shares.append(ShareFile(paths=(str(path), str(other)), kept=str(kept), how=how, size=len(data), frees=8192))
    for number, path in enumerate([root, *sorted(root.rglob("*"))]):
        os.utime(path, ns=(TIME + 11, TIME + number * 1_000_000_007))
    return root, shares


class Place:
    """What is done with a tree that :func:`furnished` made."""

    def __init__(self, root: Path, shares: Sequence[ShareFile], journal: Journal) -> None:
        self.root, self.shares, self.journal = root, shares, journal

    def seen(self) -> Dump:
        return dump(self.root)

    def share(self) -> Reclaimed:
        return share(self.shares, self.journal, title="share", subject="here", boundaries=[str(self.root)])

    def undo(self) -> None:
        undo(self.journal)

    def recover(self) -> None:
        recover(self.journal)

    def entries(self) -> list[Entry]:
        found = self.journal.entries()
        assert all(not one.unreadable and one.state not in UNFINISHED for one in found)
        return found
