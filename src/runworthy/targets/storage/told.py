"""What an inode is told to be, beside its bytes, owner, mode, times and attributes: flags, a project, and hints.

Flags are those of chattr(1); a project is whose quota a file counts for; hints say how a file is to be laid out. None
of it is another inode's unless that is told so, or its directory hands it on, which may be too much.
"""

from __future__ import annotations

import contextlib
import errno
import struct
from typing import Final

from runworthy.targets.storage.ioctls import NOCOW, VERITY, ask, flags, number_of, set_flags

__all__ = ["NOTHING", "Told", "are_alike", "comparable", "flags_of", "is_copied_on_write", "is_sealed", "tell", "told"]

Told = tuple[int, ...]
"""Flags, extended flags, the hint for extents, the project, and the hint for extents that are copied on write."""

NOTHING: Final[Told] = ()
"""What is told of an inode that was never told anything."""

# linux/fs.h, FS_*_FL, of those that a file can have: to be deleted securely, undeletable, compressed, sync, no dump, no
# atime, not compressed, encrypted, journalled data, no tails, verity, no copy on write, direct access.
_NOT_COMPRESSED = 0x400
_FLAGS = 0x1 | 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | _NOT_COMPRESSED | 0x800 | 0x4000 | 0x8000 | VERITY | NOCOW | 0x0200_0000
# linux/fs.h, FS_XFLAG_*, those that FS_IOC_GETFLAGS has no flag for: real-time, no defragmentation, both hints.
_XFLAGS = 0x1 | 0x2000 | 0x800 | 0x10000
_FSX = struct.Struct("=IIIII8x")  # struct fsxattr, linux/fs.h
_NO_SUCH_THING = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})


def told(fd: int, known: int | None = None) -> Told:
    """Return what the inode of an open file is told to be; its flags may be ``known``. Raises OSError."""
    xflags, size, _, project, copied_size = _extended(fd)
    found = ((flags_of(fd) if known is None else known) & _FLAGS, xflags & _XFLAGS, size, project, copied_size)
    return found if any(found) else NOTHING


def tell(fd: int, wanted: Told) -> None:
    """Have an empty file be told the same, as far as its file system and this user can: :func:`told` says how far.

    Some of it can be said of an empty file alone. Nothing that would keep the file from being changed is said.
    """
    with contextlib.suppress(OSError):
        if told(fd) != wanted:
            _tell_flags(fd, (wanted or (0,))[0] & _FLAGS)
            _tell_extended(fd, (*wanted, 0, 0, 0, 0, 0)[1:5])


def are_alike(one: Told, other: Told) -> bool:
    """Whether two inodes are told the same, for all that people tell them."""
    return comparable(one) == comparable(other)


def comparable(told: Told) -> Told:
    """Return it without what btrfs says of a file by itself: that to compress it was of no use."""
    return (told[0] & ~_NOT_COMPRESSED, *told[1:]) if told else (0,) * 5


def is_copied_on_write(told: Told) -> bool:
    """Whether a file is one of those that are copied on write, where others are: both share storage with their like."""
    return not (told and told[0] & NOCOW)


def is_sealed(told: Told) -> bool:
    """Whether the kernel vouches for a file's bytes (fs-verity): of no other file it would."""
    return bool(told and told[0] & VERITY)


def _tell_flags(fd: int, wanted: int) -> None:
    """Set flags: one after the other where not all can be set. Raises OSError."""
    now = flags(fd)
    if now & _FLAGS == wanted:
        return
    try:
        set_flags(fd, now & ~_FLAGS | wanted)
    except OSError:
        for bit in (1 << at for at in range(32)):
            if (now ^ wanted) & bit & _FLAGS:
                with contextlib.suppress(OSError):
                    set_flags(fd, flags(fd) ^ bit)


def _tell_extended(fd: int, wanted: Told) -> None:
    xflags, size, extents, project, copied_size = _extended(fd)
    if (xflags & _XFLAGS, size, project, copied_size) != wanted:
        raw = bytearray(_FSX.pack(xflags & ~_XFLAGS | wanted[0] & _XFLAGS, wanted[1], extents, wanted[2], wanted[3]))
        ask(fd, number_of("w", ord("X"), 32, len(raw)), raw)  # FS_IOC_FSSETXATTR


def _extended(fd: int) -> Told:
    raw = bytearray(_FSX.size)
    try:
        ask(fd, number_of("r", ord("X"), 31, len(raw)), raw)  # FS_IOC_FSGETXATTR
    except OSError as error:
        if error.errno not in _NO_SUCH_THING:
            raise
    return _FSX.unpack(raw)


def flags_of(fd: int) -> int:
    """Return the flags of an open file (FS_IOC_GETFLAGS), 0 where there are no such. Raises OSError."""
    try:
        return flags(fd)
    except OSError as error:
        if error.errno not in _NO_SUCH_THING:
            raise
    return 0  # a file system that knows no such thing
