"""The rules that keep sharing safe, each broken for real: on mounted file systems, and by other processes."""

from __future__ import annotations

import fcntl
import mmap
import os
import platform
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from runworthy.model.edit import ShareFile
from runworthy.model.errors import RemedyError
from runworthy.model.storage import How
from runworthy.remedies.applying import recover
from runworthy.remedies.journal import Journal
from runworthy.remedies.sharing import share
from tests.remedies.applying.made import ACL, dump
from tests.remedies.applying.tracing import calls_of, kill, stopped
from tests.remedies.sharing.made import Pair, as_user, given, left
from tests.storage import ground

pytestmark = [
    pytest.mark.judge,
    pytest.mark.skipif(os.geteuid() != 0, reason="file systems are mounted: run the tests as root"),
]

IMMUTABLE, APPEND = 0x10, 0x20
GETFLAGS, SETFLAGS = 0x80086601, 0x40086602


@contextmanager
def flagged(path: Path, flag: int) -> Iterator[None]:
    """Set an inode's flag for a while (chattr)."""
    _set_flag(path, flag, on=True)
    try:
        yield
    finally:
        _set_flag(path, flag, on=False)


def _set_flag(path: Path, flag: int, *, on: bool) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        (now,) = struct.unpack("l", fcntl.ioctl(fd, GETFLAGS, struct.pack("l", 0)))
        fcntl.ioctl(fd, SETFLAGS, struct.pack("l", now | flag if on else now & ~flag))
    finally:
        os.close(fd)


# -- what the file system refuses ------------------------------------------------------------


def test_a_file_with_all_the_links_it_can_have(tmp_path: Path) -> None:
    """EMLINK: the file that could not be linked is the one that the following ones are linked to."""
    with ground.made("ext4", tmp_path, options=("-N", "70000")) as disk:
        top = disk.path / "place"
        pair = Pair(top)
        others = [top / "root" / "two" / f"other{number}.so" for number in range(20)]
        for other in others:
            other.write_bytes(pair.kept.read_bytes())
            os.link(other, other.with_suffix(".link"))
        ground.linked_out(pair.kept)
        shares = [ShareFile(paths=(str(pair.path),), kept=str(pair.kept), how="hardlink")]
        shares += [
            ShareFile(paths=(str(one), str(one.with_suffix(".link"))), kept=str(pair.kept), how="hardlink")
            for one in others
        ]
        before = dump(top / "root" / "two")
        done = share(shares, pair.journal, title="t", subject="s")
        assert left(done) == "the file has as many names as its file system allows"
        assert [path for path, _, _ in done.shared] == [str(one) for one in others]
        assert pair.path.stat().st_nlink == 41
        assert all(one.samefile(pair.path) for one in others)
        pair.undo()
        assert dump(top / "root" / "two") == before


def test_links_run_out_in_the_middle_of_the_names(tmp_path: Path) -> None:
    """One name could still be linked, the other could not: both stay what they are."""
    with ground.made("ext4", tmp_path, options=("-N", "70000")) as disk:
        pair = Pair(disk.path / "place")
        os.link(pair.path, pair.path.with_name("second"))
        ground.linked_out(pair.kept)
        (pair.kept.with_name("lib.so.links") / "0").unlink()
        assert "as many names" in pair.refusal(paths=(pair.path, pair.path.with_name("second")))


def test_another_mount_of_the_same_file_system(ext4: ground.Ground) -> None:
    """EXDEV with equal device numbers."""
    pair = Pair(ext4.path / "place")
    with ground.bound(pair.root / "one", ext4.path / "elsewhere") as bound:
        pair.kept = bound / "lib.so"
        assert pair.kept.stat().st_dev == pair.path.stat().st_dev
        assert pair.refusal() == "no hard link leads from one mount to another"


def test_one_name_that_is_seen_twice(ext4: ground.Ground) -> None:
    """A directory that is mounted a second time shows the same name, and not one more."""
    pair = Pair(ext4.path / "place")
    with ground.bound(pair.root / "two", ext4.path / "again") as again:
        done = pair.share(paths=(pair.path, again / "lib.so"))
        assert not done.left
        assert pair.is_shared
        assert pair.kept.stat().st_nlink == 2


def test_another_file_system(ext4: ground.Ground, tmpfs: ground.Ground) -> None:
    pair, other = Pair(ext4.path / "place"), Pair(tmpfs.path / "place")
    pair.kept = other.kept
    assert pair.refusal() == "they are on different file systems"
    before = dump(pair.root)
    assert not pair.share("symlink").left
    assert pair.path.read_bytes() == other.kept.read_bytes()
    pair.undo()
    assert dump(pair.root) == before


def test_a_file_system_that_is_read_only(ext4: ground.Ground, memory: Path) -> None:
    pair = Pair(ext4.path / "place")
    pair.journal = Journal(str(memory / "journal"))
    ext4.read_only()
    assert pair.refusal() == "the file system is mounted read-only"
    ext4.writable()
    with ground.bound(pair.root, ext4.path / "bound", read_only=True) as bound:
        pair.path, pair.kept = bound / "two/lib.so", bound / "one/lib.so"
        assert pair.refusal() == "the file system is mounted read-only"


def test_a_full_file_system_with_the_journal_elsewhere(ext4: ground.Ground, memory: Path) -> None:
    """Links take no room where the directory has some: it is the way to get room back. Undoing needs it."""
    pair = Pair(ext4.path / "place", os.urandom(8 << 20))
    pair.journal = Journal(str(memory / "journal"))
    ground.fill(ext4.path)
    done = pair.share()
    assert not done.left
    assert done.measured == 8 << 20
    ground.fill(ext4.path)
    (ext4.path / "more").touch()
    ground.fill(ext4.path / "place")
    before = dump(pair.root)
    with pytest.raises(RemedyError, match=r"too little room.*nothing was changed"):
        pair.undo()
    assert dump(pair.root) == before
    assert pair.journal.entries()[0].state == "applied"
    (ext4.path / "filling").unlink()
    pair.undo()
    assert not pair.is_shared


def test_a_journal_without_room(ext4: ground.Ground, memory: Path) -> None:
    """Nothing is done that the journal does not know: what was before that stays done."""
    pairs = [Pair(memory / str(number), bytes([number]) * 5000) for number in range(60)]
    journal = Journal(str(ext4.path / "journal"))
    filling = ground.fill(ext4.path)
    os.truncate(filling, filling.stat().st_size - (40 << 10))
    shares = [ShareFile(paths=(str(one.path),), kept=str(one.kept), how="hardlink", size=5000) for one in pairs]
    done = share(shares, journal, title="t", subject="s")
    assert done.shared
    assert done.left
    assert len(done.shared) + len(done.left) == 60
    assert "its file system is full" in done.left[-1][1]
    assert [one.is_shared for one in pairs].count(True) == len(done.shared)
    filling.unlink()
    recover(journal)
    assert [entry.state for entry in journal.entries()] == ["applied"]


def test_a_journal_that_is_full_from_the_beginning_or_in_the_end(ext4: ground.Ground, memory: Path) -> None:
    """What was shared is told, whatever becomes of the journal, and `recover` brings that to its end."""
    outcomes = set()
    for step in range(1, 16):
        pair = Pair(memory / str(step))
        pair.journal = Journal(str(ext4.path / f"journal{step}"))
        filling = ground.fill(ext4.path)
        os.truncate(filling, filling.stat().st_size - step * 4096)
        with suppress(RemedyError):
            done = pair.share()
            assert bool(done.shared) == pair.is_shared
            assert bool(done.shared) != bool(done.left)
            outcomes.add((bool(done.shared), "`runworthy recover` ends it" in done.notes))
        filling.unlink()
        recover(pair.journal)
        assert {entry.state for entry in pair.journal.entries()} <= {"applied"}
        assert not list(pair.root.rglob(".runworthy-*"))
    assert (True, False) in outcomes
    assert len(outcomes) > 1


def test_what_is_immutable_or_append_only(ext4: ground.Ground) -> None:
    pair = Pair(ext4.path / "place")
    for flag in (IMMUTABLE, APPEND):
        for path in (pair.path, pair.kept):
            with flagged(path, flag):
                assert pair.refusal() == "it is immutable or append-only"
        with flagged(pair.path.parent, flag):
            assert pair.refusal() == "its directory is immutable or append-only"
    assert not pair.share().left


def test_layers_of_images(ext4: ground.Ground) -> None:
    lower = ext4.path / "lower"
    Pair(lower)
    with ground.overlaid(lower, ext4.path) as overlay:
        pair = Pair.__new__(Pair)
        pair.root, pair.journal = overlay.path / "root", Journal(str(ext4.path / "journal"))
        pair.kept, pair.path = pair.root / "one/lib.so", pair.root / "two/lib.so"
        assert "overlay copies up" in pair.refusal()
        assert not list(overlay.upper.rglob("*.so"))


# -- what a hard link would give to the other ------------------------------------------------


def test_capabilities_are_not_gained(ext4: ground.Ground) -> None:
    pair = Pair(ext4.path / "place")
    held = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(pair.kept, "security.capability", held)
    assert "extended attributes, and theirs differ" in pair.refusal()
    os.setxattr(pair.path, "security.capability", held)
    before = dump(pair.root)
    assert not pair.share().left
    pair.undo()
    assert dump(pair.root) == before


def test_access_lists_are_not_gained(ext4: ground.Ground) -> None:
    pair = Pair(ext4.path / "place")
    for path in (pair.kept, pair.path):
        path.chmod(0o674)
    os.setxattr(pair.path, "system.posix_acl_access", ACL)
    pair.kept.chmod(pair.path.stat().st_mode & 0o7777)
    assert "extended attributes, and theirs differ" in pair.refusal()


@pytest.mark.parametrize("flag", [0x40, 0x80, 0x8], ids=["nodump", "noatime", "sync"])
def test_what_an_inode_is_told_is_not_gained(ext4: ground.Ground, flag: int) -> None:
    pair = Pair(ext4.path / "place")
    for path in (pair.path, pair.kept):
        with flagged(path, flag):
            assert "extended attributes, and theirs differ" in pair.refusal()
    with flagged(pair.path, flag), flagged(pair.kept, flag):
        assert not pair.share().left


def test_programs_that_run_as_somebody_else_are_no_clones(btrfs: ground.Ground) -> None:
    pair = Pair(btrfs.path / "place")
    for path in (pair.path, pair.kept):
        path.chmod(0o4755)
        assert "set-user-ID" in pair.refusal("clone")
        path.chmod(0o644)


def test_something_is_mounted_over_a_directory_of_the_plan(ext4: ground.Ground) -> None:
    """What lies there now is what is looked at: another file of another file system."""
    pair = Pair(ext4.path / "place")
    edit = ShareFile(paths=(str(pair.path),), kept=str(pair.kept), how="hardlink")
    with ground.made("tmpfs", ext4.path) as over:
        (over.path / "lib.so").write_bytes(pair.kept.read_bytes())
        with ground.bound(over.path, pair.path.parent):
            done = share([edit], pair.journal, title="t", subject="s")
            assert left(done) == "they are on different file systems"
    assert not pair.is_shared
    assert not pair.share().left
    with ground.made("tmpfs", ext4.path) as over:
        (over.path / "lib.so").write_bytes(pair.kept.read_bytes())
        with ground.bound(over.path, pair.path.parent):
            with pytest.raises(RemedyError, match="no longer as it was left"):
                pair.undo()
            assert (over.path / "lib.so").stat().st_nlink == 1
    pair.undo()
    assert not pair.is_shared


def test_owners_stay(ext4: ground.Ground) -> None:
    pair = Pair(ext4.path / "place")
    os.chown(pair.path, 1234, 0)
    assert pair.refusal() == "a hard link has one owner, and theirs differ"
    os.chown(pair.path, 0, 1234)
    assert pair.refusal() == "a hard link has one owner, and theirs differ"


# -- who runs or maps it ---------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hardlink", "clone", "extents"])
def test_a_program_that_runs_and_a_library_that_is_mapped(xfs: ground.Ground, how: How) -> None:
    pair = Pair(xfs.path / "place", Path(shutil.which("sleep") or "").read_bytes())
    for path in (pair.kept, pair.path):
        path.chmod(0o755)
    data = pair.path.read_bytes()
    running = subprocess.Popen([str(pair.path), "60"])
    try:
        with pair.path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert not pair.share(how).left
            assert mapped[:] == data
            pair.undo()
            assert mapped[:] == data
        assert running.poll() is None
        assert subprocess.run([str(pair.path), "0"], check=True).returncode == 0
    finally:
        running.kill()
        running.wait()


# -- who writes meanwhile --------------------------------------------------------------------

_WRITER = """
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC * (len(sys.argv) > 3))
os.write(1, b".")
os.pwrite(fd, sys.argv[2].encode(), 0)
"""


class Meanwhile:
    """Somebody else who does something in the middle of the act, before one of its calls."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self.deed = deed

    def __call__(self, _pid: int, _name: str) -> bool:
        self.deed()
        return False


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are those of x86-64")
@pytest.mark.parametrize("which", ["path", "kept"])
def test_a_writer_at_each_call(memory: Path, which: str) -> None:
    """He waits, or the act does not take place, or he comes after it: what he writes is at the path that he opened."""
    top = memory / "place"
    pair = Pair(top)
    calls = calls_of(pair.share)
    interesting = [
        at for at, name in enumerate(calls) if name in ("linkat", "renameat2", "unlinkat", "fsync", "pread64", "link")
    ]
    assert {"link", "linkat", "renameat2", "unlinkat"} & {calls[at] for at in interesting}
    outcomes = set()
    for at in interesting:
        shutil.rmtree(top)
        pair = Pair(top)
        target = pair.path if which == "path" else pair.kept
        writers: list[subprocess.Popen[bytes]] = []

        def write(target: Path = target, writers: list[subprocess.Popen[bytes]] = writers) -> None:
            writers.append(subprocess.Popen([sys.executable, "-SIc", _WRITER, str(target), "his words"]))
            _wait_until_opening(writers[0])

        assert stopped(pair.share, at, Meanwhile(write)) == "ended"
        assert writers[0].wait(timeout=60) == 0
        assert target.read_bytes().startswith(b"his words"), (at, calls[at])
        other = pair.kept if which == "path" else pair.path
        assert pair.is_shared or other.read_bytes().startswith(b"the same bytes"), (at, calls[at])
        assert not list(pair.root.rglob(".runworthy-*"))
        outcomes.add(pair.is_shared)
    assert outcomes == {True, False}


def _wait_until_opening(writer: subprocess.Popen[bytes]) -> None:
    """Wait until a writer is held up in open(2), or has come to his end."""
    for _ in range(500):
        if writer.poll() is not None:
            return
        try:
            where = Path(f"/proc/{writer.pid}/wchan").read_text()
        except OSError:
            return
        if "lease" in where:
            return
        time.sleep(0.01)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are those of x86-64")
def test_a_writer_who_waits_while_it_is_killed(memory: Path) -> None:
    """The lease goes with who held it, and the writer goes on: into the file that recovering puts back."""
    top = memory / "place"
    pair = Pair(top)
    calls = calls_of(pair.share)
    first = calls.index("renameat2")
    for at in range(first, len(calls)):
        shutil.rmtree(top)
        pair = Pair(top)
        writers: list[subprocess.Popen[bytes]] = []

        def write(pid: int, name: str, pair: Pair = pair, writers: list[subprocess.Popen[bytes]] = writers) -> bool:
            del name
            if not writers:
                writers.append(subprocess.Popen([sys.executable, "-SIc", _WRITER, str(pair.path), "his words"]))
                _wait_until_opening(writers[0])
            return False

        seen = -1

        def meddle(pid: int, name: str, at: int = at, write: Callable[[int, str], bool] = write) -> bool:
            nonlocal seen
            seen += 1
            if seen == first:
                write(pid, name)
            return kill(pid, name) if seen == at else False

        ending = stopped(pair.share, None, meddle)
        assert writers[0].wait(timeout=60) == 0
        recover(pair.journal)
        assert pair.path.read_bytes().startswith(b"his words"), (at, ending)
        assert not list(pair.root.rglob(".runworthy-*"))
        if ending == "ended":
            break


class Somebody:
    """What somebody else does to a file that is being shared, and what must be so afterwards."""

    def __init__(self, pair: Pair, outside: Path) -> None:
        self.pair, self.outside = pair, outside
        self.theirs, self.new_name = pair.root / "theirs", pair.root / "new name"
        outside.write_bytes(b"outside")

    def replaces(self) -> None:
        self.theirs.write_bytes(b"theirs")
        self.theirs.rename(self.pair.path)

    def replaced(self) -> bool:
        return self.pair.path.read_bytes() == b"theirs"

    def links_elsewhere(self) -> None:
        self.theirs.symlink_to(self.outside)
        self.theirs.rename(self.pair.path)

    def linked_elsewhere(self) -> bool:
        return os.readlink(self.pair.path) == str(self.outside)

    def makes_a_fifo(self) -> None:
        os.mkfifo(self.theirs)
        self.theirs.rename(self.pair.path)

    def made_a_fifo(self) -> bool:
        return self.pair.path.is_fifo()

    def removes(self) -> None:
        self.pair.path.unlink()

    def removed(self) -> bool:
        return not os.path.lexists(self.pair.path)

    def gives_a_name(self) -> None:
        os.link(self.pair.path, self.new_name)

    def gave_a_name(self) -> bool:
        """It is a name of what lies at the path, as it was when it was given."""
        return self.new_name.samefile(self.pair.path) and self.new_name.read_bytes() == self.pair.kept.read_bytes()

    def moves_the_directory(self) -> None:
        directory = self.pair.path.parent
        directory.rename(self.pair.root / "moved")
        directory.mkdir()
        (directory / "lib.so").symlink_to(self.outside)

    def moved_the_directory(self) -> bool:
        return (self.pair.root / "moved/lib.so").read_bytes() == self.pair.kept.read_bytes()

    def truncates(self) -> None:
        if not self.pair.is_shared:
            _truncate(self.pair.path)

    def truncated(self) -> bool:
        return self.pair.path.stat().st_size in (3, self.pair.kept.stat().st_size)

    def gives_an_attribute(self) -> None:
        os.setxattr(self.pair.path, "user.theirs", b"theirs")

    def gave_an_attribute(self) -> bool:
        return os.getxattr(self.pair.path, "user.theirs") == b"theirs"

    def changes_the_mode(self) -> None:
        self.pair.path.chmod(0o600)

    def changed_the_mode(self) -> bool:
        return self.pair.path.stat().st_mode & 0o7777 == 0o600

    def touches_the_one_that_stays(self) -> None:
        if not self.pair.is_shared:
            os.setxattr(self.pair.kept, "user.theirs", b"theirs")

    def touched_the_one_that_stays(self) -> bool:
        """Between the exchange and its end the two are one already, and what is told of one is told of both."""
        return self.pair.is_shared or "user.theirs" not in os.listxattr(self.pair.path)


DEEDS: dict[Callable[[Somebody], None], Callable[[Somebody], bool]] = {
    Somebody.replaces: Somebody.replaced,
    Somebody.links_elsewhere: Somebody.linked_elsewhere,
    Somebody.makes_a_fifo: Somebody.made_a_fifo,
    Somebody.removes: Somebody.removed,
    Somebody.gives_a_name: Somebody.gave_a_name,
    Somebody.moves_the_directory: Somebody.moved_the_directory,
    Somebody.truncates: Somebody.truncated,
    Somebody.gives_an_attribute: Somebody.gave_an_attribute,
    Somebody.changes_the_mode: Somebody.changed_the_mode,
    Somebody.touches_the_one_that_stays: Somebody.touched_the_one_that_stays,
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are those of x86-64")
@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_somebody_at_each_call(memory: Path, deed: Callable[[Somebody], None]) -> None:
    """Nothing that somebody has put at a path is ever lost, and nothing comes back that he has taken away."""
    top = memory / "place"
    calls = calls_of(Pair(top).share)
    for at, name in enumerate(calls):
        shutil.rmtree(top)
        pair = Pair(top)
        somebody = Somebody(pair, memory / "outside")
        assert stopped(pair.share, at, Meanwhile(lambda somebody=somebody: deed(somebody))) == "ended", (at, name)  # type: ignore[misc]
        recover(pair.journal)
        assert DEEDS[deed](somebody), (at, name)
        assert somebody.outside.read_bytes() == b"outside", (at, name)
        assert pair.kept.read_bytes() == b"the same bytes\n" * 900, (at, name)
        assert deed is Somebody.moves_the_directory or not list(pair.root.rglob(".runworthy-*")), (at, name)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are those of x86-64")
def test_hidden_names_that_somebody_takes(memory: Path) -> None:
    """Who can write to the directory puts a name of another file there: it gets no owner, mode or times from us."""
    top, outside = memory / "place", memory / "outside"
    outside.write_bytes(b"outside")
    before = outside.stat()
    hows: tuple[How, ...] = ("symlink", "hardlink")
    for how in hows:
        pair = Pair(top)
        os.chown(pair.path, 1234, 4321)
        os.chown(pair.kept, 1234, 4321)
        calls = calls_of(lambda pair=pair, how=how: pair.share(how))  # type: ignore[misc]
        first = min(calls.index(one) for one in ("symlinkat", "linkat", "link") if one in calls)
        for at in range(first, len(calls)):
            shutil.rmtree(top)
            pair = Pair(top)
            os.chown(pair.path, 1234, 4321)
            os.chown(pair.kept, 1234, 4321)

            def take(pair: Pair = pair) -> None:
                for hidden in pair.path.parent.glob(".runworthy-*"):
                    hidden.unlink()
                    os.link(outside, hidden)

            assert stopped(lambda pair=pair, how=how: pair.share(how), at, Meanwhile(take)) == "ended"  # type: ignore[misc]
            now = outside.stat()
            assert (now.st_uid, now.st_mode, now.st_mtime_ns) == (before.st_uid, before.st_mode, before.st_mtime_ns)
            assert outside.read_bytes() == b"outside"
        shutil.rmtree(top)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are those of x86-64")
def test_a_file_system_that_copies_where_a_link_is_asked_for(memory: Path) -> None:
    """As some do that have no links (BeeGFS, OrbStack): what lies there then is another file."""
    top = memory / "place"
    linked = [at for at, name in enumerate(calls_of(Pair(top).share)) if name in ("link", "linkat")]
    shutil.rmtree(top)
    pair = Pair(top)
    before = dump(pair.root)

    def copy() -> None:
        (hidden,) = pair.path.parent.glob(".runworthy-*")
        hidden.unlink()
        shutil.copy2(pair.kept, hidden)

    assert stopped(pair.share, linked[0] + 1, Meanwhile(copy)) == "ended"
    assert not list(pair.root.rglob(".runworthy-*"))
    assert dump(pair.root)["two/lib.so"] == before["two/lib.so"]
    assert pair.kept.stat().st_nlink == 1
    assert not pair.journal.entries()


def _truncate(path: Path) -> None:
    """As a writer who does not wait for a lease would: open(2) with O_NONBLOCK fails then."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except BlockingIOError:
        return
    os.ftruncate(fd, 3)
    os.close(fd)


# -- who does something while it is undone ---------------------------------------------------

_UNDONE: dict[Callable[[Somebody], None], Callable[[Somebody], bool]] = {
    deed: DEEDS[deed] for deed in (Somebody.replaces, Somebody.links_elsewhere, Somebody.makes_a_fifo, Somebody.removes)
}


def _undo(pair: Pair) -> None:
    with suppress(RemedyError):
        pair.undo()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are those of x86-64")
@pytest.mark.parametrize("deed", _UNDONE, ids=lambda deed: deed.__name__)
def test_somebody_at_each_call_of_undoing(memory: Path, deed: Callable[[Somebody], None]) -> None:
    """What he has put there stays there, or what he has taken away stays away."""
    top = memory / "place"
    pair = Pair(top)
    pair.share()
    calls = calls_of(lambda: _undo(pair))
    for at, name in enumerate(calls):
        shutil.rmtree(top)
        pair = Pair(top)
        pair.share()
        somebody = Somebody(pair, memory / "outside")
        meddle = Meanwhile(lambda somebody=somebody: deed(somebody))  # type: ignore[misc]
        assert stopped(lambda pair=pair: _undo(pair), at, meddle) == "ended"  # type: ignore[misc]
        recover(pair.journal)
        assert _UNDONE[deed](somebody), (at, name)
        assert somebody.outside.read_bytes() == b"outside", (at, name)
        assert pair.kept.read_bytes() == b"the same bytes\n" * 900, (at, name)
        assert not list(pair.root.rglob(".runworthy-*")), (at, name)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are those of x86-64")
@pytest.mark.parametrize("which", ["path", "kept"])
def test_a_writer_at_each_call_of_undoing(memory: Path, which: str) -> None:
    """What he writes is at the path that he opened, whether he waits or not."""
    top = memory / "place"
    pair = Pair(top)
    pair.share()
    calls = calls_of(lambda: _undo(pair))
    outcomes = set()
    for at, name in enumerate(calls):
        shutil.rmtree(top)
        pair = Pair(top)
        pair.share()
        target = pair.path if which == "path" else pair.kept
        writers: list[subprocess.Popen[bytes]] = []

        def write(target: Path = target, writers: list[subprocess.Popen[bytes]] = writers) -> None:
            writers.append(subprocess.Popen([sys.executable, "-SIc", _WRITER, str(target), "his words"]))
            _wait_until_opening(writers[0])

        assert stopped(lambda pair=pair: _undo(pair), at, Meanwhile(write)) == "ended"  # type: ignore[misc]
        assert writers[0].wait(timeout=60) == 0
        recover(pair.journal)
        assert target.read_bytes().startswith(b"his words"), (at, name)
        assert not list(pair.root.rglob(".runworthy-*")), (at, name)
        outcomes.add(pair.is_shared)
    assert outcomes == {True, False}


# -- others than root ------------------------------------------------------------------------


def test_a_user_shares_his_own_files(memory: Path) -> None:
    pair = Pair(memory / "place")
    given(memory)
    before = dump(pair.root)

    def work() -> None:
        assert not pair.share().left
        assert pair.is_shared
        pair.undo()

    assert as_user(work) == 0
    assert dump(pair.root) == before


def test_a_user_leaves_files_of_others(memory: Path) -> None:
    pair = Pair(memory / "place")
    given(memory)
    for path in (pair.kept, pair.path):
        os.chown(path, 0, 0)
    pair.path.parent.chmod(0o777)

    def work() -> None:
        assert left(pair.share()) == "it belongs to somebody else, so that writers cannot be kept waiting"

    assert as_user(work) == 0
    given(memory, but=pair.path.parent)
    os.chown(pair.path.parent, 0, 0)
    pair.path.parent.chmod(0o755)

    def refused() -> None:
        assert pair.refusal() == "permission is denied (Permission denied)"

    assert as_user(refused) == 0


# -- where storage can be shared -------------------------------------------------------------


@pytest.mark.parametrize("how", ["clone", "extents", "ranges"])
def test_storage_is_shared_and_given_back(reflinking: ground.Ground, how: How) -> None:
    """What is said to be freed is what the file system has more; and undoing takes it again."""
    data = os.urandom((3 << 20) + 77)
    pair = Pair(reflinking.path / "place", data)
    pair.path.chmod(0o640)
    os.chown(pair.path, 1234, 4321)
    os.setxattr(pair.path, "user.own", b"mine")
    os.setxattr(pair.path, "system.posix_acl_access", ACL)
    os.utime(pair.path, ns=(123_456_789, 987_654_321))
    os.link(pair.path, pair.root / "second")
    if how == "ranges":
        with pair.path.open("r+b") as stream:
            stream.seek(1 << 20)
            stream.write(b"another prefix")
        os.utime(pair.path, ns=(123_456_789, 987_654_321))
    before, used = dump(pair.root), reflinking.used()
    ranges = ((0, 1 << 20), ((1 << 20) + 65536, 1 << 20)) if how == "ranges" else ()
    edit = ShareFile(
        paths=(str(pair.path), str(pair.root / "second")), kept=str(pair.kept), how=how, size=len(data), ranges=ranges
    )
    done = share([edit], pair.journal, title="t", subject="s", boundaries=[str(pair.root)])
    assert not done.left
    now = dump(pair.root)
    assert now["two/lib.so"] == before["two/lib.so"], "bytes, mode, owner, attributes, times, links"
    freed = used - reflinking.used()
    ((_, _, told),) = done.shared
    expected = (2 << 20) if how == "ranges" else len(data)
    assert abs(freed - expected) < 200_000, "but for the journal"
    assert abs(told - expected) <= 4096
    assert abs(done.measured - freed) < 200_000
    undone = pair.undo()
    assert not undone.left
    assert dump(pair.root) == before
    assert abs(used - reflinking.used()) < 300_000, "it takes its room again"


def test_the_kernel_compares(reflinking: ground.Ground) -> None:
    pair = Pair(reflinking.path / "place", b"a" * 100_000)
    pair.path.write_bytes(b"a" * 50_000 + b"b" * 50_000)
    hows: tuple[How, ...] = ("extents", "clone", "hardlink")
    for how in hows:
        pair.journal = Journal(str(reflinking.path / how))
        assert "they differ" in pair.refusal(how) or "were the same" in pair.refusal(how)


def test_no_clones_without_reflinks(ext4: ground.Ground) -> None:
    pair = Pair(ext4.path / "place")
    hows: tuple[How, ...] = ("clone", "extents")
    for how in hows:
        assert "its file system refuses it" in pair.refusal(how)


def test_subvolumes_share_storage_and_no_links(btrfs: ground.Ground) -> None:
    pair = Pair(btrfs.path / "place", os.urandom(1 << 20))
    other = btrfs.subvolume("other")
    shutil.copy2(pair.path, other / "lib.so")
    pair.path = other / "lib.so"
    assert pair.path.stat().st_dev != pair.kept.stat().st_dev
    assert pair.refusal() == "they are on different file systems"
    before = dump(other)
    hows: tuple[How, ...] = ("clone", "extents")
    for how in hows:
        assert not pair.share(how).left
        assert dump(other)["lib.so"] == before["lib.so"]
        pair.undo()
        assert dump(other) == before


def test_freed_is_what_the_file_system_has_more(everywhere: ground.Ground) -> None:
    pairs = [Pair(everywhere.path / str(number), os.urandom(300_000 + number)) for number in range(8)]
    shares = [ShareFile(paths=(str(one.path),), kept=str(one.kept), how="hardlink") for one in pairs]
    with ground.made("tmpfs", everywhere.path) as other:
        before = everywhere.used()
        done = share(shares, Journal(str(other.path / "journal")), title="t", subject="s")
        freed = before - everywhere.used()
    told = sum(size for _, _, size in done.shared)
    assert abs(freed - told) <= 4096 * 8
    assert abs(done.measured - told) <= 4096 * 8
