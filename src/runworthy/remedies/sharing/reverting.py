"""What was begun and not ended is put back: what was there is whole as long as one name of it is left.

For each name that a stored file had, and the hidden one beside it, a look tells how far it came. As long as what was
there has a name left, hidden or not, all its names lead to it again; when it has none, all is done. What somebody has
changed since is not taken away, but told.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Literal

from runworthy.model.records import dataclass, replace
from runworthy.remedies.applying.inodes import opened
from runworthy.remedies.applying.troubles import changed
from runworthy.remedies.applying.walking import Folder, reach
from runworthy.remedies.journal import Held, ShareChange
from runworthy.remedies.sharing import leases
from runworthy.remedies.sharing.links import mend, swap, unlink
from runworthy.remedies.sharing.opened import Refused

__all__ = ["Spot", "is_unchanged", "revert", "spots", "units"]

_ELSEWHERE = (errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.ENOENT)


What = Literal["old", "new", "other", "none"]


@dataclass(slots=True, kw_only=True)
class Spot:
    """A name of a file that is shared, in its open directory."""

    change: ShareChange
    folder: Folder
    name: str

    @property
    def hidden(self) -> str:
        """The hidden name beside it."""
        return self.change.temporary

    def what(self, name: str) -> tuple[What, os.stat_result | None]:
        """Return whether a name leads to what was there or to what is new, by the numbers of inodes, and its status."""
        status = self.folder.stat(name)
        if status is None:
            return "none", None
        before, after = self.change.before, self.change.after
        if stat.S_ISREG(status.st_mode) and status.st_ino == before.inode:
            return "old", status
        if after.kind == "link":
            same = stat.S_ISLNK(status.st_mode) and os.readlink(name, dir_fd=self.folder.fd) == after.text
        else:
            same = stat.S_ISREG(status.st_mode) and status.st_ino == after.inode
        return "new" if same else "other", status


def units(changes: Sequence[ShareChange]) -> list[list[ShareChange]]:
    """Return changes by the stored file that they are about, in their order."""
    found: dict[int, list[ShareChange]] = {}
    for change in changes:
        found.setdefault(change.unit, []).append(change)
    return list(found.values())


@contextlib.contextmanager
def spots(changes: Sequence[ShareChange]) -> Iterator[list[Spot]]:
    """Open the directories of names; those whose directories are gone are left out. Raises OSError."""
    with contextlib.ExitStack() as stack:
        found = []
        for change in changes:
            try:
                spot = reach(change.base, change.path)
            except OSError as error:
                if error.errno not in _ELSEWHERE:
                    raise
                continue
            stack.enter_context(spot.folder)
            if not spot.missing:
                found.append(Spot(change=change, folder=spot.folder, name=spot.name))
        yield found


def is_unchanged(status: os.stat_result, held: Held) -> bool:
    """Whether a file's content and permissions are what they were: links and the time of status change are others."""
    if not stat.S_ISREG(status.st_mode):
        return held.kind == "link"
    now = status.st_size, status.st_mtime_ns, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    return now == (held.size, held.mtime, held.mode, held.uid, held.gid)


def revert(changes: Sequence[ShareChange]) -> tuple[list[ShareChange], list[str]]:
    """Put back all names of one stored file, or see that all is done; return the changes so, and what is left.

    It can be cut off and begun anew. Raises OSError.
    """
    if changes[0].temporary == "":  # the kernel has done it, or not: the bytes are the same, and so is the file
        return [replace(one, state="done") for one in changes], []
    with spots(changes) as found:
        for spot in found:
            mend(spot.folder, spot.hidden)
            _give_back(spot)
        state: Literal["done", "undone"] = "undone"
        left: list[str] = []
        if _old(found) is not None and not _is_written(found):
            left += [line for one in found for line in _put_back(one, found)]
        elif any(one.what(one.name)[0] == "new" for one in found):
            state = "done"
        left += [line for one in found for line in _tidied(one)]
        for spot in found:
            spot.folder.sync()
    return [replace(one, state=state) for one in changes], left


def _give_back(spot: Spot) -> None:
    """Put back what somebody had put in the place of the file just before its name was exchanged."""
    unknown = spot.change.how == "clone" and not spot.change.after.inode
    if not unknown and spot.what(spot.name)[0] == "new" and spot.what(spot.hidden)[0] == "other":
        swap(spot.folder, spot.hidden, spot.name)


def _old(found: Sequence[Spot]) -> tuple[Folder, str] | None:
    """Return where what was there has a name.

    Under a hidden name nobody else puts a file. In plain sight the number of its inode may be that of a new file by
    now, unless the old one is known to live, or all else about it is the same.
    """
    for spot in found:
        if spot.what(spot.hidden)[0] == "old":
            return spot.folder, spot.hidden
    for spot in found:
        what, status = spot.what(spot.name)
        if what == "old" and status is not None and is_unchanged(status, spot.change.before):
            return spot.folder, spot.name
    return None


def _is_written(found: Sequence[Spot]) -> bool:
    """Whether somebody has written to what is new, and may have found it by a name that would lead elsewhere then.

    That is so where all names lead to it: the files are shared for him, and he came after that. And it is where no
    name of it is left but ours, with which his words would go.
    """
    if found[0].change.after.kind == "link" or not found[0].change.after.inode:
        return False
    looks = [status for one in found for what, status in (one.what(one.name), one.what(one.hidden)) if what == "new"]
    seen = looks[0] if looks else None
    if seen is None or is_unchanged(seen, found[0].change.after):
        return False
    return seen.st_nlink <= len(looks) or not any(one.what(one.name)[0] == "old" for one in found)


def _put_back(spot: Spot, found: Sequence[Spot]) -> Iterator[str]:
    """Have a name lead to what was there, if it leads to what is new. The names that has change with each exchange."""
    if spot.what(spot.name)[0] != "new":
        return
    beside = spot.what(spot.hidden)[0]
    if beside == "new":
        unlink(spot.folder, spot.hidden)
    if beside in ("new", "none"):
        old = _old(found)
        if old is None:
            raise changed()
        folder, name = old
        os.link(name, spot.hidden, src_dir_fd=folder.fd, dst_dir_fd=spot.folder.fd, follow_symlinks=False)
    swap(spot.folder, spot.hidden, spot.name)
    if spot.what(spot.hidden)[0] != "new":  # somebody has put something there just now: it stays
        swap(spot.folder, spot.hidden, spot.name)
        yield f"{spot.change.path} was replaced meanwhile"


def _tidied(spot: Spot) -> Iterator[str]:
    """Remove what has the hidden name, if it is ours and holds nothing that is nowhere else."""
    what, status = spot.what(spot.hidden)
    if status is None:
        return
    change = spot.change
    unknown = change.how == "clone" and not change.after.inode  # it was being made, and no name has led to it
    held = change.before if what == "old" else change.after
    ours = stat.S_ISREG(status.st_mode) if unknown and what == "other" else what in ("old", "new")
    if ours and (unknown or _may_go(spot, what, status, held)):
        unlink(spot.folder, spot.hidden)
    else:
        yield f"{spot.hidden} beside {change.path} holds what somebody has written"


def _may_go(spot: Spot, what: What, status: os.stat_result, held: Held) -> bool:
    """Whether what has the hidden name holds nothing that would be lost with it: now, and when a writer has ended."""
    if not stat.S_ISREG(status.st_mode):
        return True
    if status.st_nlink > 1 and (what == "new" or spot.what(spot.name)[0] == what):
        return True
    if not is_unchanged(status, held):
        return False
    with contextlib.ExitStack() as stack:
        fd = opened(spot.folder, spot.hidden, "file")
        stack.callback(os.close, fd)
        try:
            leases.take(fd)
        except leases.Written:
            return False
        except Refused:
            return True
        stack.callback(leases.give_back, fd)
        return is_unchanged(os.fstat(fd), held)
