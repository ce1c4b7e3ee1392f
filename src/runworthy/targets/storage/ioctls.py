"""What Linux is asked of the storage of open files: maps of extents, sharing them, inode flags.

Numbers and layouts are those of the kernel's headers: include/uapi/linux/{fs,fiemap,btrfs,falloc,magic}.h. Every
function takes file descriptors, and raises OSError as the kernel says it; elsewhere than on Linux that is ENOTSUP.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from runworthy.model.records import dataclass

if TYPE_CHECKING:
    import ctypes

__all__ = [
    "APPEND",
    "BTRFS",
    "DELALLOC",
    "DIFFERS",
    "ENCODED",
    "EXT",
    "IMMUTABLE",
    "INLINE",
    "NOCOW",
    "OVERLAY",
    "SHARED",
    "STEP",
    "TMPFS",
    "UNKNOWN",
    "UNWRITTEN",
    "VERITY",
    "XFS",
    "Extent",
    "ask",
    "clone",
    "dedupe_range",
    "fiemap",
    "filesystem_type",
    "flags",
    "in_read_only_subvolume",
    "iter_fiemap",
    "number_of",
    "parse_fiemap",
    "set_flags",
    "unshare",
    "xfs_shares_extents",
]

STEP: Final = 16 << 20
"""How much the kernel is asked to compare at once: btrfs takes no more (BTRFS_MAX_DEDUPE_LEN, fs/btrfs/reflink.c)."""

DIFFERS: Final = 1
"""The status of ranges that are not the same: FILE_DEDUPE_RANGE_DIFFERS, linux/fs.h."""

# Inode flags: linux/fs.h, FS_*_FL.
IMMUTABLE: Final = 0x00000010
APPEND: Final = 0x00000020
VERITY: Final = 0x00100000
NOCOW: Final = 0x00800000

# Types of file systems: linux/magic.h. ext2, ext3 and ext4 have one.
BTRFS: Final = 0x9123683E
EXT: Final = 0xEF53
OVERLAY: Final = 0x794C7630
TMPFS: Final = 0x01021994
XFS: Final = 0x58465342

# Flags of extents: linux/fiemap.h, FIEMAP_EXTENT_*.
LAST: Final = 0x0001
UNKNOWN: Final = 0x0002
DELALLOC: Final = 0x0004
ENCODED: Final = 0x0008
INLINE: Final = 0x0200
UNWRITTEN: Final = 0x0800
SHARED: Final = 0x2000

_SYNC = 0x0001  # FIEMAP_FLAG_SYNC
_GEOMETRY, _GEOMETRY_FLAGS, _REFLINK = 112, 92, 1 << 20  # struct xfs_fsop_geom_v1, XFS_FSOP_GEOM_FLAGS_REFLINK
_UNSHARE_RANGE = 0x40  # linux/falloc.h
_EVERYTHING = (1 << 64) - 1
_LARGEST = (1 << 63) - 1  # loff_t
_SUBVOLUME, _SUBVOLUME_FLAGS = 504, 288  # struct btrfs_ioctl_get_subvol_info_args, linux/btrfs.h
_AT_ONCE = 256
_FIEMAP = struct.Struct("=QQIIII")
_EXTENT = struct.Struct("=QQQ16xI12x")
_DEDUPE = struct.Struct("=QQHHI" + "qQQiI")
_STATFS = 512  # more than any struct statfs is long


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """A part of a file that lies in one piece, in bytes. ``physical`` is an address inside the file system.

    Of what is encoded (compressed) it is where the whole extent begins, whichever part of that is meant; ``length`` is
    that of the file's bytes, not of what is stored.
    """

    logical: int
    physical: int
    length: int
    flags: int

    @property
    def end(self) -> int:
        """Where in the file it ends."""
        return self.logical + self.length


def filesystem_type(fd: int) -> int:
    """Return the type of a file's file system, as statfs(2) tells it."""
    libc, ctypes = _libc()
    raw = bytearray(_STATFS)
    _checked(libc.fstatfs(fd, (ctypes.c_char * _STATFS).from_buffer(raw)))
    # arch/s390/include/uapi/asm/statfs.h: an int, where all others have a long
    word = "=I" if _machine().startswith("s390") else "@L"
    found: int = struct.unpack_from(word, raw)[0]
    return found & 0xFFFFFFFF


def flags(fd: int) -> int:
    """Return a file's inode flags (FS_IOC_GETFLAGS). Raises OSError, ENOTTY or EOPNOTSUPP where there are none."""
    raw = bytearray(struct.calcsize("@l"))
    ask(fd, number_of("r", ord("f"), 1, len(raw)), raw)
    found: int = struct.unpack_from("=I", raw)[0]  # the kernel writes an int, whatever the number says
    return found


def set_flags(fd: int, value: int) -> None:
    """Set a file's inode flags (FS_IOC_SETFLAGS). Raises OSError where one of them cannot be changed."""
    raw = bytearray(struct.calcsize("@l"))
    struct.pack_into("=I", raw, 0, value)
    ask(fd, number_of("w", ord("f"), 2, len(raw)), raw)


def in_read_only_subvolume(fd: int) -> bool:
    """Whether a file of a btrfs lies in a read-only subvolume, as snapshots often are: its mount does not say that.

    FIDEDUPERANGE changes such a file all the same (fs/btrfs/reflink.c). BTRFS_IOC_GET_SUBVOL_INFO is for everybody,
    since Linux 4.18; where there is none, it is not known.
    """
    raw = bytearray(_SUBVOLUME)
    try:
        ask(fd, number_of("r", 0x94, 60, len(raw)), raw)
    except OSError:
        return False
    found: int = struct.unpack_from("=Q", raw, _SUBVOLUME_FLAGS)[0]
    return bool(found & 1)  # BTRFS_ROOT_SUBVOL_RDONLY, linux/btrfs_tree.h


def clone(source: int, target: int) -> None:
    """Have a file share all storage of another one, in the place of what it has: its bytes are NOT compared (FICLONE).

    ``target`` is open for writing. Raises OSError: EXDEV, EOPNOTSUPP or EINVAL where that cannot be, and others.
    """
    ask(target, number_of("w", 0x94, 9, 4), source)


def dedupe_range(source: int, offset: int, length: int, target: int, target_offset: int) -> tuple[int, int]:
    """Have the kernel compare two ranges, and where they are the same have ``target`` share the storage of ``source``.

    Returns how many bytes were found the same, and a status: 0 for all, ``DIFFERS``, else a negative errno. It goes on
    in steps of ``STEP``, so that what comes before a difference is shared. Nothing else about ``target`` changes: not
    its times, nor what runs or maps it; its owner may have it open for reading alone. ioctl_fideduperange(2)

    Offsets are multiples of the block size, and so is ``length`` unless it reaches the end of both files: the kernel
    leaves a last part of a block alone elsewhere, and still counts it. Raises OSError where ``source`` is refused (once
    something is shared, that is the status), and EINVAL for what can be no range.
    """
    if min(offset, length, target_offset) < 0 or max(offset, target_offset) + length > _LARGEST:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    done = 0
    while done < length:
        step = min(STEP, length - done)
        raw = bytearray(_DEDUPE.pack(offset + done, step, 1, 0, 0, target, target_offset + done, 0, 0, 0))
        try:
            ask(source, number_of("rw", 0x94, 54, 24), raw)
        except OSError as error:
            if not done:
                raise
            return done, -(error.errno or errno.EIO)
        same, status = _DEDUPE.unpack(raw)[7:9]
        if status:
            return done, status
        if not same:
            return done, DIFFERS
        done += min(same, step)
    return done, 0


def fiemap(fd: int, *, start: int = 0, length: int = _EVERYTHING, sync: bool = False) -> tuple[Extent, ...]:
    """Return what ``iter_fiemap`` yields."""
    return tuple(iter_fiemap(fd, start=start, length=length, sync=sync))


def iter_fiemap(fd: int, *, start: int = 0, length: int = _EVERYTHING, sync: bool = False) -> Iterator[Extent]:
    """Yield the extents of a file, or of a range of it, in their order: holes are what is between them.

    ``sync`` has what was written go to the disk before, which else is told as ``DELALLOC``, or as what it replaces.
    Raises OSError, EOPNOTSUPP where the file system has no such map.
    """
    end = min(start + length, _EVERYTHING)
    number = number_of("rw", ord("f"), 11, _FIEMAP.size)
    while start < end:
        raw = bytearray(_FIEMAP.size + _AT_ONCE * _EXTENT.size)
        _FIEMAP.pack_into(raw, 0, start, end - start, _SYNC if sync else 0, 0, _AT_ONCE, 0)
        ask(fd, number, raw)
        found = parse_fiemap(raw)
        yield from found
        if len(found) < _AT_ONCE or found[-1].flags & LAST or found[-1].end <= start:
            return
        start = found[-1].end


def parse_fiemap(raw: bytes | bytearray) -> tuple[Extent, ...]:
    """Return the extents that a filled ``struct fiemap`` holds, no more than have room in it."""
    mapped = min(_FIEMAP.unpack_from(raw)[3], (len(raw) - _FIEMAP.size) // _EXTENT.size)
    rows = _EXTENT.iter_unpack(memoryview(raw)[_FIEMAP.size : _FIEMAP.size + mapped * _EXTENT.size])
    return tuple(Extent(logical=row[0], physical=row[1], length=row[2], flags=row[3]) for row in rows)


def unshare(fd: int, offset: int, length: int) -> bool:
    """Give a range of a file storage of its own; False where the file system has no call for that, as btrfs has none.

    ``fd`` is open for writing; times change, and set-ID bits and capabilities go (file_modified). xfs rounds to blocks.
    """
    libc, ctypes = _libc()
    fallocate = libc.fallocate64 if hasattr(libc, "fallocate64") else libc.fallocate  # musl has one, of 64 bits
    result = fallocate(fd, _UNSHARE_RANGE, ctypes.c_int64(offset), ctypes.c_int64(length))
    if result and ctypes.get_errno() in (errno.EOPNOTSUPP, errno.ENOSYS):
        return False
    _checked(result)
    return True


def xfs_shares_extents(fd: int) -> bool:
    """Whether an xfs was made with reflinks: XFS_IOC_FSGEOMETRY_V1, fs/xfs/libxfs/xfs_fs.h. Raises OSError."""
    raw = bytearray(_GEOMETRY)
    ask(fd, number_of("r", ord("X"), 100, len(raw)), raw)
    found: int = struct.unpack_from("=I", raw, _GEOMETRY_FLAGS)[0]
    return bool(found & _REFLINK)


# -- how the kernel is asked -----------------------------------------------------------------


def ask(fd: int, number: int, given: bytearray | int) -> None:
    """Call ioctl(2): ``given`` is changed in its place. Raises OSError."""
    _on_linux()
    _ioctl()(fd, number, given)


@cache
def _ioctl() -> Callable[..., object]:
    from fcntl import ioctl

    return ioctl


_ODD = ("alpha", "mips", "ppc", "powerpc", "sparc")


@cache
def number_of(directions: str, letter: int, number: int, size: int, machine: str = "") -> int:
    """Return the number of an ioctl on a ``machine`` (this one) by who reads and who writes: asm-generic/ioctl.h.

    Some have three bits for the directions: arch/{alpha,mips,powerpc,sparc}/include/uapi/asm/ioctl.h.
    """
    odd = (machine or _machine()).startswith(_ODD)
    bits = {"w": 4, "r": 2} if odd else {"w": 1, "r": 2}
    return sum(bits[way] for way in directions) << (29 if odd else 30) | size << 16 | letter << 8 | number


@cache
def _machine() -> str:
    return os.uname().machine


def _on_linux() -> None:
    if sys.platform != "linux":
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


def _libc() -> tuple[ctypes.CDLL, Any]:
    _on_linux()
    return _loaded()


@cache
def _loaded() -> tuple[ctypes.CDLL, Any]:
    import ctypes

    return ctypes.CDLL(None, use_errno=True), ctypes


def _checked(result: int) -> None:
    if result:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
