"""What can be unpacked from the front to the back only: read once, and kept in memory in deflated blocks."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from runworthy.formats.archive.inflated import Blocks
from runworthy.formats.archive.unreadable import damaged
from runworthy.formats.content import Content
from runworthy.formats.magics import APE_SCRIPTS, OTHER_SYSTEMS
from runworthy.formats.package.streams import NeedsZstdError
from runworthy.model.errors import FormatError

__all__ = ["HEAD", "SMALL", "Forward", "Keeper", "Kept", "Late", "is_judged"]

_BLOCK: Final = 1 << 18
_ROOM: Final = 512 << 20
_AS_IT_IS: Final = 32 << 20
"""Bytes that are kept without being deflated: that takes longer than most unpacking."""
_WORK: Final = 8 << 30
SMALL: Final = 1 << 20
HEAD: Final = 4096
_BEHIND: Final = 1 << 16
_ENDLESS: Final = 1 << 62
_JUDGED: Final = (
    b"\x7fELF", b"#!", *APE_SCRIPTS, *OTHER_SYSTEMS, b"\0asm", b"PK\3\4", b"PK\5\6", b"\x1f\x8b",
    b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh", b"\x04\x22\x4d\x18", b"\x5d\0\0", b"!<arch>\n", b"\xed\xab\xee\xdb",
    b"070701", b"070702", b"hsqs",
)  # fmt: skip
"""What files begin with that are judged, or hold files that are."""
_TAR: Final = (257, b"ustar")


def is_judged(head: bytes) -> bool:
    """Whether anybody may want more of a file than its first bytes (262 of them)."""
    return head.startswith(_JUDGED) or head.startswith(_TAR[1], _TAR[0])


class Keeper:
    """What the members of one archive share: room for blocks that are kept, and the blocks that were read last."""

    __slots__ = ("_work", "as_it_is", "blocks", "room")

    def __init__(self, room: int = _ROOM) -> None:
        self.blocks = Blocks()
        self.room = room
        self.as_it_is = _AS_IT_IS
        self._work = _WORK

    def keep(self, content: Content) -> Kept | None:
        """Return a content that holds what this one does, None where there is no room for it. Raises OSError."""
        if content.size > self._work:  # a sparse file may claim far more than the archive holds
            return None
        self._work -= content.size
        kept = Kept(self, content.size)
        for offset in range(0, content.size, _BLOCK):
            data = content.pread(offset, min(_BLOCK, content.size - offset))
            if len(data) < min(_BLOCK, content.size - offset):
                damaged("ends too early")
            if not kept.append(data):
                kept.drop()
                return None
        return kept


class Kept:
    """Blocks of 256 KiB, each deflated by itself but for the first of an archive. ``size`` is that of all of them."""

    __slots__ = ("_at_hand", "_blocks", "_keeper", "_key", "_plain", "size")

    def __init__(self, keeper: Keeper, size: int) -> None:
        self.size = size
        self._keeper = keeper
        self._key = keeper.blocks.key()
        self._blocks: list[bytes] = []
        self._plain = 0
        self._at_hand = (-1, b"")

    def append(self, data: bytes) -> bool:
        """Add the next block, which only the last may be short of; return whether there was room for it."""
        if len(self._blocks) == self._plain and self._keeper.as_it_is >= len(data):
            self._keeper.as_it_is -= len(data)
            self._plain += 1
            self._blocks.append(data)
            return True
        packed = zlib.compress(data, 1)
        self._keeper.room -= len(packed)
        self._blocks.append(packed)
        return self._keeper.room >= 0

    def drop(self) -> None:
        """Give the room back."""
        self._keeper.as_it_is += sum(map(len, self._blocks[: self._plain]))
        self._keeper.room += sum(map(len, self._blocks[self._plain :]))
        self._blocks.clear()

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``."""
        count = min(count, self.size - offset)
        if offset < 0 or count <= 0:
            return b""
        first, last = offset // _BLOCK, (offset + count - 1) // _BLOCK
        begin = offset - first * _BLOCK
        data = b"".join([self._block(number) for number in range(first, last + 1)])
        return data[begin : begin + count]

    def _block(self, number: int) -> bytes:
        if number < self._plain:
            return self._blocks[number]
        held, data = self._at_hand
        if held != number:
            data = self._keeper.blocks.get((self._key, number)) or zlib.decompress(self._blocks[number])
            self._keeper.blocks.put((self._key, number), data)
            self._at_hand = number, data
        return data


class Late:
    """A member that is unpacked when it is first read. ``unpack`` yields its bytes, as many as ``size`` declares."""

    __slots__ = ("_checksum", "_keeper", "_kept", "_unpack", "_why", "size")

    def __init__(
        self, keeper: Keeper, unpack: Callable[[], Iterator[bytes]], size: int, checksum: int | None = None
    ) -> None:
        self.size = size
        self._keeper = keeper
        self._unpack = unpack
        self._checksum = checksum
        self._kept: Content | None = None
        self._why = ""

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises OSError: EBADMSG for damage, ENODATA for no room."""
        if offset < 0 or count <= 0 or offset >= self.size:
            return b""
        if self._why:
            damaged(self._why)
        if self._kept is None:
            try:
                self._kept = self._read()
            except NeedsZstdError:
                raise OSError(errno.ENODATA, "is packed with zstd, which this Python cannot read") from None
            except FormatError as error:
                self._why = error.message
                damaged(error.message)
        return self._kept.pread(offset, count)

    def _read(self) -> Content:
        """Return what comes out. Raises FormatError, OSError."""
        source = Forward(self._unpack(), self.size + 1)
        checked = _Checked(source, self.size)
        kept = self._keeper.keep(checked)
        if kept is None:
            raise OSError(errno.ENODATA, "is not kept: the archive unpacks to too much")
        if self._checksum not in (None, checked.checksum):
            raise FormatError("its data does not have the checksum that the archive tells")
        return kept


class _Checked:
    """A content that is read once, from the front to the back, with its CRC-32."""

    __slots__ = ("_content", "checksum", "size")

    def __init__(self, content: Content, size: int) -> None:
        self.size = size
        self.checksum = 0
        self._content = content

    def pread(self, offset: int, count: int) -> bytes:
        data = self._content.pread(offset, count)
        self.checksum = zlib.crc32(data, self.checksum)
        return data


class Forward:
    """What comes out of a stream in pieces: reads go forward; the last 64 KiB can be read again.

    Raises FormatError for more than ``limit`` bytes, and for reads behind the end.
    """

    size: Final = _ENDLESS

    __slots__ = ("_data", "_ended", "_limit", "_pieces", "_start")

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        self._pieces = pieces
        self._limit = limit
        self._start = 0
        self._data = b""
        self._ended = False

    def pread(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset``, fewer only at the end. Raises FormatError, OSError."""
        if offset < self._start:
            raise ValueError(f"offset {offset} of a stream is gone")
        self._fill(offset, offset + count)
        begin = offset - self._start
        if begin > len(self._data):
            raise FormatError(f"ends too early, after {self._start + len(self._data)} bytes")
        return self._data[begin : begin + count]

    def _fill(self, offset: int, end: int) -> None:
        parts, length = [self._data], len(self._data)
        while self._start + length < end and not self._ended:
            piece = next(self._pieces, b"")
            self._ended = not piece
            parts.append(piece)
            length += len(piece)
            if self._start + length > self._limit:
                raise FormatError(f"unpacks to more than {self._limit} bytes")
            if self._start + length < offset - _BEHIND:  # skipped over
                self._start += length
                parts, length = [], 0
        self._data = b"".join(parts) if len(parts) != 1 else parts[0]
        gone = offset - _BEHIND - self._start
        if gone > _BLOCK:
            self._data = self._data[gone:]
            self._start += gone
