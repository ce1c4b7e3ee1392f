"""What lies at a path with all that belongs to it, and new files that look like it: mode, owner, times, attributes."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from runworthy.model.errors import RemedyError
from runworthy.model.records import dataclass, replace
from runworthy.remedies.applying.walking import Folder
from runworthy.remedies.journal import ABSENT, Held

__all__ = [
    "CAPABILITY",
    "Content",
    "attributes",
    "dress",
    "from_bytes",
    "from_file",
    "hashed",
    "held_as",
    "is_same",
    "look",
    "looks_like",
    "opened",
    "put",
    "times",
]

CAPABILITY = "security.capability"
_PRIVILEGED = ("security.", "trusted.")
_ACL = "system.posix_acl_access"
_CHUNK = 1 << 20
_ATTRIBUTES = 1 << 20

_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_MAKE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_KINDS = {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "directory"}


# -- what is there ---------------------------------------------------------------------------


def look(folder: Folder, name: str, *, contents: bool = True) -> Held:
    """Return what lies at an entry of a directory. Raises OSError, RemedyError for what is no file, link or directory.

    Without ``contents`` neither bytes nor attributes are read.
    """
    status = folder.stat(name)
    if status is None:
        return ABSENT
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        raise RemedyError(f"{folder.path.rstrip('/')}/{name} is neither a file, a link nor a directory")
    held = held_as(kind, status)
    if kind == "link":
        held = replace(held, text=os.readlink(name, dir_fd=folder.fd))
        return replace(held, xattrs=_link_attributes(folder, name)) if contents else held
    if not contents:
        return held
    fd = opened(folder, name, kind)
    try:
        if not is_same(held_as(kind, os.fstat(fd)), held):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), name)
        digest = hashed(fd) if kind == "file" else ""
        return replace(held, sha256=digest, xattrs=attributes(fd))
    finally:
        os.close(fd)


def held_as(kind: str, status: os.stat_result) -> Held:
    """Return what a status says of something of this kind."""
    return Held(
        kind=kind,  # type: ignore[arg-type]
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size,
        atime=status.st_atime_ns,
        mtime=status.st_mtime_ns,
        ctime=status.st_ctime_ns,
        device=status.st_dev,
        inode=status.st_ino,
        links=status.st_nlink,
    )


def is_same(one: Held, other: Held) -> bool:
    """Whether two looks saw the same thing in the same state. The time of status change is that of a link's too."""
    return _identity(one) == _identity(other)


def _identity(held: Held) -> tuple[object, ...]:
    return held.kind, held.device, held.inode, held.size, held.mtime, held.mode, held.uid, held.gid, held.text


def looks_like(held: Held, wanted: Held) -> bool:
    """Whether something is what was put there: its bytes or text, mode and owner, whichever inode it has."""
    if held.kind != wanted.kind:
        return False
    if held.kind == "link":
        return held.text == wanted.text
    if held.kind == "absent":
        return True
    owned = (held.mode, held.uid, held.gid) == (wanted.mode, wanted.uid, wanted.gid)
    return owned and (held.kind == "directory" or held.sha256 == wanted.sha256)


def opened(folder: Folder, name: str, kind: str) -> int:
    """Open a file or directory so that its time of access stays, where the caller is allowed that (open(2))."""
    flags = _READ | (getattr(os, "O_DIRECTORY", 0) if kind == "directory" else 0)
    try:
        return os.open(name, flags | getattr(os, "O_NOATIME", 0), dir_fd=folder.fd)
    except PermissionError:
        return os.open(name, flags, dir_fd=folder.fd)


def hashed(fd: int) -> str:
    """Return the SHA-256 of an open file. Raises OSError."""
    from hashlib import sha256

    found, at = sha256(), 0
    while chunk := os.pread(fd, _CHUNK, at):
        found.update(chunk)
        at += len(chunk)
    return found.hexdigest()


def attributes(fd: int | str) -> tuple[tuple[str, str], ...]:
    """Return the extended attributes of an open file, in base64. Raises OSError."""
    if not hasattr(os, "listxattr"):
        return ()
    follow = isinstance(fd, int)
    try:
        names = sorted(os.listxattr(fd, follow_symlinks=follow))
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM, errno.EACCES):
            return ()
        raise
    found = [(name, os.getxattr(fd, name, follow_symlinks=follow)) for name in names]
    if sum(len(value) for _, value in found) > _ATTRIBUTES:
        raise OSError(errno.E2BIG, "its extended attributes are too large")
    return tuple((name, base64.b64encode(value).decode("ascii")) for name, value in found)


def _link_attributes(folder: Folder, name: str) -> tuple[tuple[str, str], ...]:
    """Return the attributes of a symbolic link, for which there is no call with an open directory."""
    with contextlib.suppress(OSError):
        return attributes(f"/proc/self/fd/{folder.fd}/{name}")
    return ()


# -- contents --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes for a file: those of the file that ``open`` opens, if there is one, with ``splices`` written over them."""

    splices: tuple[tuple[int, bytes], ...] = ()
    open: Callable[[], int] | None = None

    def write(self, fd: int) -> None:
        """Write them into an empty file; what is a hole stays one. Raises OSError."""
        if self.open is not None:
            source = self.open()
            try:
                _copy(source, fd)
            finally:
                os.close(source)
        for offset, data in self.splices:
            _write(fd, data, offset)


def from_bytes(data: bytes) -> Content:
    """Return bytes as contents."""
    return Content(splices=((0, data),))


def from_file(folder: Folder, name: str, wanted: Held, splices: tuple[tuple[int, bytes], ...] = ()) -> Content:
    """Return the contents of a file that must be the one that was looked at. Its directory has to stay open."""

    def source() -> int:
        fd = opened(folder, name, "file")
        if not is_same(held_as("file", os.fstat(fd)), wanted):
            os.close(fd)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), name)
        return fd

    return Content(splices=splices, open=source)


def _copy(source: int, target: int) -> None:
    size = os.fstat(source).st_size
    for start, end in _extents(source, size):
        at = start
        while at < end and (chunk := os.pread(source, min(_CHUNK, end - at), at)):
            _write(target, chunk, at)
            at += len(chunk)
    os.ftruncate(target, size)


def _extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data, as (from, to); all of it where its file system cannot tell."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except (AttributeError, OSError) as error:
            if getattr(error, "errno", errno.EINVAL) != errno.ENXIO:
                yield at, size
            return
        yield start, end
        at = end


def _write(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        view, offset = view[done:], offset + done


# -- new files -------------------------------------------------------------------------------


def put(
    folder: Folder,
    name: str,
    content: Content,
    wanted: Held,
    *,
    exact: bool = False,
    sync: bool = True,
    first: Callable[[int], object] | None = None,
) -> tuple[str, tuple[str, ...]]:
    """Make a file of this name with what ``wanted`` says, and have all of it on the device before this returns.

    ``exact``: it gets the times as well. Without ``sync`` the caller sees to it that it is on the device. ``first`` is
    called with the file while it is empty. Returns the hash of its bytes, and which attributes it could not get: those
    that need a privilege. Raises OSError; what is made by then lies there.
    """
    fd = os.open(name, _MAKE, 0o600, dir_fd=folder.fd)
    try:
        if first is not None:
            first(fd)
        content.write(fd)
        digest = hashed(fd)
        lost = dress(fd, wanted)
        if exact:
            os.utime(fd, ns=(wanted.atime, wanted.mtime))
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    return digest, lost


def dress(fd: int, wanted: Held) -> tuple[str, ...]:
    """Give an open file owner, attributes and mode, in this order: each of them resets some of the following.

    A change of the owner drops set-id bits and capabilities (chown(2)); an ACL sets the bits of the group, which the
    mode then sets again; writing dropped the capabilities (capabilities(7)).
    """
    status = os.fstat(fd)
    if (status.st_uid, status.st_gid) != (wanted.uid, wanted.gid):
        os.fchown(fd, wanted.uid, wanted.gid)
    lost = [name for name, value in wanted.xattrs if name != CAPABILITY and not _set(fd, name, value)]
    if not any(name == _ACL for name, _ in wanted.xattrs):
        _drop_inherited(fd)
    os.fchmod(fd, wanted.mode)
    lost += [name for name, value in wanted.xattrs if name == CAPABILITY and not _set(fd, name, value)]
    return tuple(lost)


def _set(fd: int, name: str, value: str) -> bool:
    """Set an attribute; return whether it is set: those that need a privilege may be refused. Raises OSError."""
    try:
        os.setxattr(fd, name, base64.b64decode(value))
    except OSError as error:
        if name.startswith(_PRIVILEGED) and error.errno in (errno.EPERM, errno.EACCES, errno.ENOTSUP):
            return False
        raise
    return True


def _drop_inherited(fd: int) -> None:
    """Drop the ACL that a directory gives to what is made in it: the file it stands for has none."""
    if hasattr(os, "removexattr"):
        with contextlib.suppress(OSError):
            os.removexattr(fd, _ACL)


def times(folder: Folder, name: str, held: Held) -> None:
    """Give an entry its times. Raises OSError."""
    os.utime(name, ns=(held.atime, held.mtime), dir_fd=folder.fd, follow_symlinks=False)
