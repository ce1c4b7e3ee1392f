"""One stored file comes to share its bytes with another: all of its names, or none.

    prepare()   both are opened, kept from writers and compared; nothing is changed
    make()      what is to take its place is made, where it is a file of its own
    replace()   each name leads to it from now on; what was there has the hidden name
    problem()   whether all that was looked at is still so
    finish()    what was there goes

Until finish() what was there is whole, and :mod:`reverting` puts it back. In between the caller has the journal and
the directories written to the device.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Sequence
from typing import Self

from runworthy.model.edit import ShareFile
from runworthy.model.records import replace
from runworthy.remedies.applying.inodes import attributes, dress, held_as
from runworthy.remedies.applying.troubles import changed
from runworthy.remedies.applying.walking import Folder
from runworthy.remedies.journal import Held, ShareChange
from runworthy.remedies.sharing import leases
from runworthy.remedies.sharing.comparing import compare, is_steady
from runworthy.remedies.sharing.links import link_in, swap, unlink
from runworthy.remedies.sharing.opened import BASE, Name, Opened, Refused, find_name, is_inode, open_file
from runworthy.remedies.sharing.refusing import Pair, refuse
from runworthy.remedies.sharing.room import Room
from runworthy.targets.storage.told import Told, are_alike, tell, told

__all__ = ["Unit"]

_IN_PLACE = ("extents", "ranges")


class Unit:
    """A file to be shared, with all that is open of it."""

    def __init__(self, share: ShareFile, stack: contextlib.ExitStack, pair: Pair) -> None:
        self.share = share
        self.pair = pair
        self.victim, self.kept, self.names = pair.victim, pair.kept, pair.names
        self.changes: list[ShareChange] = []
        self._stack = stack
        self._before = replace(held_as("file", self.victim.status), xattrs=pair.attributes, told=pair.told)
        self._new = self.kept.inode
        self._made = self.kept.fd

    @property
    def in_place(self) -> bool:
        """Whether the file stays what it is, and only where its bytes lie changes."""
        return self.share.how in _IN_PLACE

    def own(self) -> int:
        """Return how many bytes would be free without it: what it shares already would not. 0 where none can tell."""
        from runworthy.targets.storage.extents import exclusive
        from runworthy.targets.storage.ioctls import EXT, TMPFS, filesystem_type

        try:
            if filesystem_type(self.victim.fd) in (EXT, TMPFS):
                return self.victim.status.st_blocks * 512
            return exclusive(self.victim.fd, sync=False)
        except OSError:
            return 0

    @classmethod
    def prepare(cls, share: ShareFile, boundaries: Sequence[str], room: Room) -> Self:
        """Open and compare. Raises OSError, Refused; ValueError for what can be no name of a file."""
        with contextlib.ExitStack() as stack:
            kept = open_file(find_name(share.kept, boundaries, stack), stack)
            found: dict[tuple[int, int, str], Name] = {}
            for path in share.paths:
                name = find_name(path, boundaries, stack)
                found.setdefault(name.place, name)
            if not found:
                raise Refused("it has no name")
            names = tuple(found.values())
            victim = open_file(names[0], stack)
            pair = Pair(
                share=share,
                victim=victim,
                kept=kept,
                names=names,
                attributes=attributes(victim.fd),
                kept_attributes=attributes(kept.fd),
                told=told(victim.fd),
                kept_told=told(kept.fd),
            )
            refuse(pair)
            unit = cls(share, stack, pair)
            unit._compare(room)
            unit._stack = stack.pop_all()
            return unit

    def _compare(self, room: Room) -> None:
        if self.in_place:
            return  # the kernel does, while nobody can write (FIDEDUPERANGE)
        for file in (self.victim, self.kept):
            leases.take(file.fd)
            self._stack.callback(leases.give_back, file.fd)
        self._before = replace(self._before, sha256=compare(self.victim, self.kept))
        if not room.holds(self.kept.status):
            os.fsync(self.kept.fd)  # after a power cut it is the only one

    def close(self) -> None:
        """Let writers go on, and close all."""
        self._stack.close()

    # -- the records -------------------------------------------------------------------------

    def record(self, number: int, unit: int, token: str) -> list[ShareChange]:
        """Return what the journal is told before anything is done: ``number`` is that of the first record."""
        share = self.share
        names = self.names[:1] if self.in_place else self.names
        self.changes = [
            ShareChange(
                words=replace(share, paths=(name.path,)).words,
                number=number + at,
                unit=unit,
                base=BASE,
                path=name.path,
                how=share.how,
                kept=share.kept,
                before=self._before,
                after=self._after(name),
                names=len(names),
                temporary="" if self.in_place else f".runworthy-{token}-{number + at}.tmp",
                storage=self._storage(),
            )
            for at, name in enumerate(names)
        ]
        return self.changes

    def _storage(self) -> str:
        """Return what tells where all of a file lies that stays what it is, where it shares that with others."""
        if self.share.how != "extents":
            return ""
        from runworthy.targets.storage.extents import storage_of
        from runworthy.targets.storage.ioctls import iter_fiemap

        try:
            return storage_of(iter_fiemap(self.victim.fd, sync=True), self.victim.status.st_size).hex()
        except OSError:
            return ""

    def _after(self, name: Name) -> Held:
        if self.in_place:
            return self._before
        if self.share.how == "clone":
            return replace(self._before, inode=0)
        if self.share.how == "symlink":
            text = posixpath.relpath(self.share.kept, posixpath.dirname(name.path))
            return Held(kind="link", text=text)
        return replace(held_as("file", self.kept.status), sha256=self._before.sha256, xattrs=self._before.xattrs)

    # -- the deed ----------------------------------------------------------------------------

    def share_storage(self) -> tuple[int, int]:
        """Have the file share the other one's storage, in place; return how many bytes do, and how many were to.

        Raises OSError, Refused where none do.
        """
        from runworthy.targets.storage.sharing import share_ranges

        size = self.victim.status.st_size
        ranges = self.share.ranges if self.share.how == "ranges" else ((0, size),)
        directory = self.names[0].folder.fd if self.share.how == "ranges" else None
        same = share_ranges(self.kept.fd, self.victim.fd, ranges, directory=directory)
        if not same:
            raise Refused("they differ")
        return same, sum(length for _, length in ranges)

    def make(self) -> bool:
        """Make what takes its place, where that is a file of its own. Raises OSError, Refused."""
        if self.share.how != "clone":
            return False
        from runworthy.targets.storage.ioctls import clone

        change, folder = self.changes[0], self.names[0].folder
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(change.temporary, flags, 0o600, dir_fd=folder.fd)
        self._stack.callback(os.close, fd)
        tell(fd, change.before.told)
        clone(self.kept.fd, fd)
        dress(fd, change.before)
        if attributes(fd) != change.before.xattrs or not are_alike(told(fd), change.before.told):
            raise Refused("not all of its attributes and flags can be given to another file")
        os.utime(fd, ns=(change.before.atime, change.before.mtime))
        os.fsync(fd)
        made = replace(held_as("file", os.fstat(fd)), sha256=change.before.sha256, xattrs=change.before.xattrs)
        if made.size != change.before.size:
            raise changed()
        self._new = made.device, made.inode
        self.changes = [replace(one, after=made) for one in self.changes]
        self._made = fd
        return True

    def replace_names(self) -> None:
        """Have each name lead to what is new. Raises OSError, Refused; what was done by then is to be put back."""
        if not all(leases.is_whole(file.fd) for file in (self.victim, self.kept)):
            raise Refused("somebody wants to write to it")
        pair = self.pair
        if not _is_still(self.kept, pair.kept_attributes, pair.kept_told):  # from now on that is said of both
            raise changed()
        for name, change in zip(self.names, self.changes, strict=True):
            folder, hidden = name.folder, change.temporary
            if self.share.how == "symlink":
                os.symlink(change.after.text, hidden, dir_fd=folder.fd)
                self._own(folder, hidden)
            elif self.share.how == "hardlink" or name is not self.names[0]:
                link_in(self._made, folder, hidden, self._new)
            swap(folder, hidden, name.name)
            if not is_inode(folder.stat(hidden), self.victim.inode):
                raise changed()

    def _own(self, folder: Folder, hidden: str) -> None:
        """Give a symbolic link its owner: the open one, as its name may be that of somebody's file by now."""
        fd = os.open(hidden, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder.fd)
        try:
            status, wanted = os.fstat(fd), self.victim.status
            if not stat.S_ISLNK(status.st_mode):
                raise changed()
            if (status.st_uid, status.st_gid) != (wanted.st_uid, wanted.st_gid):
                os.chown(f"/proc/self/fd/{fd}", wanted.st_uid, wanted.st_gid)
        finally:
            os.close(fd)

    def check(self) -> None:
        """Look once more before what was there goes. Raises OSError, Refused.

        A writer who waits for it has found it by its name before the names were exchanged, and has had the time of
        writing directories to the device to come so far: it is put back before he is let go on. One who waits for what
        has taken its place may have found it by either name: for him the files are shared, and he comes after that.
        """
        if not leases.is_whole(self.victim.fd):
            raise Refused("somebody wants to write to it")
        if not is_steady(self.victim) or not is_steady(self.kept):
            raise changed()
        if not _is_still(self.victim, self.pair.attributes, self.pair.told):
            raise changed()
        if os.fstat(self.victim.fd).st_nlink != len(self.names):
            raise Refused("it has got another name meanwhile")
        for name, change in zip(self.names, self.changes, strict=True):
            if not is_inode(name.folder.stat(change.temporary), self.victim.inode):
                raise changed()
            status = name.folder.stat(name.name)
            if self.share.how != "symlink" and not is_inode(status, self._new):
                raise changed()
            if status is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name.path)

    def finish(self) -> None:
        """Remove what was there. Raises OSError."""
        for name, change in zip(self.names, self.changes, strict=True):
            unlink(name.folder, change.temporary)


def _is_still(file: Opened, held: tuple[tuple[str, str], ...], said: Told) -> bool:
    """Whether a file has the attributes that it had, and is told the same."""
    return attributes(file.fd) == held and are_alike(told(file.fd), said)
