"""What the extents of a file on btrfs take on the disk: only the file system's own tree tells, and only to root.

Layouts: include/uapi/linux/btrfs.h (BTRFS_IOC_TREE_SEARCH_V2) and btrfs_tree.h (struct btrfs_file_extent_item).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import Final

from runworthy.model.records import dataclass
from runworthy.targets.storage.ioctls import SHARED, Extent, ask, number_of

__all__ = ["Stored", "parse_items", "stored_exclusively", "stored_extents"]

_ROOM: Final = 1 << 16
_MOST: Final = (1 << 64) - 1
_KEY = struct.Struct("=7Q4I4Q")
_SIZE = struct.Struct("=Q")
_HEAD = struct.Struct("=3Q2I")
_ITEM = struct.Struct("<2Q2BHB4Q")
_EXTENT_DATA = 108
_INLINE = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A part of a file, and the extent that it lies in: where that is, and what it takes on the disk, in bytes."""

    logical: int
    address: int
    takes: int


def stored_extents(fd: int) -> Iterator[Stored]:
    """Yield what an open file is stored in, in its order; holes and what lies in the tree itself are left out.

    Raises OSError, EPERM for all but root.
    """
    inode, start = os.fstat(fd).st_ino, 0
    number = number_of("rw", 0x94, 17, _KEY.size + _SIZE.size)
    while True:
        raw = bytearray(_KEY.size + _SIZE.size + _ROOM)
        kind = _EXTENT_DATA
        _KEY.pack_into(raw, 0, 0, inode, inode, start, _MOST, 0, _MOST, kind, kind, _MOST >> 32, 0, 0, 0, 0, 0)
        _SIZE.pack_into(raw, _KEY.size, _ROOM)
        ask(fd, number, raw)
        count = _KEY.unpack_from(raw)[9]
        found = tuple(parse_items(memoryview(raw)[_KEY.size + _SIZE.size :], count))
        yield from (one for _, one in found if one is not None)
        if not found or found[-1][0] < start or found[-1][0] == _MOST:
            return
        start = found[-1][0] + 1


def parse_items(raw: bytes | memoryview, count: int) -> Iterator[tuple[int, Stored | None]]:
    """Yield the offset of each item that was found, with what is stored there: None of holes and inline data."""
    at = 0
    for _ in range(count):
        if at + _HEAD.size > len(raw):
            return
        _, _, offset, _, length = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        one = None
        if length >= _ITEM.size and at + length <= len(raw):
            _, _, _, _, _, kind, address, takes, _, _ = _ITEM.unpack_from(raw, at)
            if kind != _INLINE and address:
                one = Stored(logical=offset, address=address, takes=takes)
        yield offset, one
        at += length


def stored_exclusively(stored: Iterable[Stored], extents: Iterable[Extent]) -> int:
    """Return what the extents take that no other file uses, each once: ``extents`` is the map that tells of others."""
    found: dict[int, int] = {}
    rest = iter(extents)
    extent = next(rest, None)
    for one in stored:
        while extent is not None and extent.end <= one.logical:
            extent = next(rest, None)
        if extent is not None and extent.logical <= one.logical and not extent.flags & SHARED:
            found[one.address] = one.takes
    return sum(found.values())
