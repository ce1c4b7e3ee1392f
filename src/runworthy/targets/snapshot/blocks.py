r"""A snapshot's file: chunks of bytes in compressed blocks, read by position, none of it trusted.

Layout (little endian)::

    head    8s magic, u16 version, u16 zero, u32 zero
    blocks  zlib streams
    table   one row for each block: u64 offset, u32 compressed length, u32 length, u32 CRC-32 of the compressed bytes
    tail    u64 offset of the table, u32 number of blocks, u32 CRC-32 of the table, u64 place of the first chunk to
            read, u32 CRC-32 of the tail before it, 4s end mark

The tail stands at the end, so that a snapshot is written in one go, and one that was cut off is known at once.
A place is ``block number << 32 | offset in the block``; blocks count from 1, so that 0 is no place. At a place stand
a u32 length and as many bytes: a chunk.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, Final

from runworthy.formats.content import Content
from runworthy.model.errors import FormatError

__all__ = ["CHUNK_LIMIT", "VERSION", "BlockReader", "BlockWriter", "is_snapshot"]

VERSION: Final = 1
MAGIC: Final = b"\x89RWsnap\n"
_END: Final = b"RWe\n"
_HEAD: Final = struct.Struct("<8sHHI")
_ROW: Final = struct.Struct("<QIII")
_TAIL: Final = struct.Struct("<QIIQI4s")
_LENGTH: Final = struct.Struct("<I")
_SEALED: Final = _TAIL.size - 8  # what the tail's own checksum covers

_BLOCK: Final = 128 << 10
CHUNK_LIMIT: Final = 96 << 20
"""Largest chunk (bytes): the record of a library whose tables are as large as a reader takes."""
_BLOCK_LIMIT: Final = CHUNK_LIMIT + _BLOCK + _LENGTH.size
_BLOCKS_LIMIT: Final = 1 << 22
_RATIO: Final = 1032  # no DEFLATE stream becomes more than this many times as long (RFC 1951: 258 bytes in 2 bits)
_HELD: Final = 64 << 20


def is_snapshot(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a snapshot, of whatever version."""
    return head.startswith(MAGIC)


class BlockWriter:
    """Writes chunks. Those of one ``kind`` lie together, since they are asked for together."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._rows: list[tuple[int, int, int, int]] = []
        self._open: dict[str, tuple[int, bytearray]] = {}
        self._at = out.write(_HEAD.pack(MAGIC, VERSION, 0, 0))

    def add(self, kind: str, data: bytes) -> int:
        """Write a chunk and return its place. Raises OSError; ValueError over ``CHUNK_LIMIT``."""
        if len(data) > CHUNK_LIMIT:
            raise ValueError(kind)
        held = self._open.get(kind)
        if held is None:
            self._rows.append((0, 0, 0, 0))
            held = self._open[kind] = (len(self._rows), bytearray())
        number, block = held
        place = number << 32 | len(block)
        block += _LENGTH.pack(len(data))
        block += data
        if len(block) >= _BLOCK:
            self._flush(kind)
        return place

    def finish(self, first: int) -> int:
        """Write what is left, and return the file's size. ``first`` is the chunk to begin with. Raises OSError."""
        for kind in list(self._open):
            self._flush(kind)
        table = b"".join(_ROW.pack(*row) for row in self._rows)
        sealed = _TAIL.pack(self._at, len(self._rows), zlib.crc32(table), first, 0, _END)[:_SEALED]
        self._out.write(table + sealed + _LENGTH.pack(zlib.crc32(sealed)) + _END)
        return self._at + len(table) + _TAIL.size

    def _flush(self, kind: str) -> None:
        number, block = self._open.pop(kind)
        packed = zlib.compress(block, 9)
        self._rows[number - 1] = (self._at, len(packed), len(block), zlib.crc32(packed))
        self._out.write(packed)
        self._at += len(packed)


class BlockReader:
    """Reads the chunks of a file. Every length is compared with what can be there before anything is allocated."""

    def __init__(self, content: Content, path: str) -> None:
        """Read the tail and the table. Raises FormatError, OSError."""
        self._content = content
        self._path = path
        self._held: dict[int, bytes] = {}
        self._size = 0
        head = content.pread(0, _HEAD.size)
        if not is_snapshot(head):
            raise FormatError("is no snapshot", path=path, offset=0)
        if len(head) < _HEAD.size or content.size < _HEAD.size + _TAIL.size:
            raise self._cut()
        version = _HEAD.unpack(head)[1]
        if version != VERSION:
            raise FormatError(f"is a snapshot of version {version}; {VERSION} can be read", path=path, offset=8)
        self._rows, self.first = self._table()

    def _table(self) -> tuple[list[tuple[int, int, int, int]], int]:
        end = self._content.size - _TAIL.size
        tail = self._content.pread(end, _TAIL.size)
        if len(tail) != _TAIL.size or not tail.endswith(_END):
            raise self._cut()
        table, count, checksum, first, seal, _ = _TAIL.unpack(tail)
        if zlib.crc32(tail[:_SEALED]) != seal:
            raise self._damage(end)
        if count > _BLOCKS_LIMIT or table < _HEAD.size or table + count * _ROW.size != end:
            raise self._damage(end)
        rows = self._content.pread(table, count * _ROW.size)
        if len(rows) != count * _ROW.size or zlib.crc32(rows) != checksum:
            raise self._damage(table)
        found = list(_ROW.iter_unpack(rows))
        for offset, packed, length, _ in found:
            if offset < _HEAD.size or offset + packed > table or length > min(_BLOCK_LIMIT, packed * _RATIO):
                raise self._damage(table)
        return found, first

    @property
    def length(self) -> int:
        """How long all blocks are together, decompressed (bytes)."""
        return sum(length for _, _, length, _ in self._rows)

    def chunk(self, place: int) -> bytes:
        """Return the chunk at a place. Raises FormatError, OSError."""
        number, offset = place >> 32, place & 0xFFFFFFFF
        if not 1 <= number <= len(self._rows):
            raise self._damage(None)
        block = self._held.get(number) or self._block(number)
        start = offset + _LENGTH.size
        if start > len(block):
            raise self._damage(self._rows[number - 1][0])
        end = start + _LENGTH.unpack_from(block, offset)[0]
        if end > len(block):
            raise self._damage(self._rows[number - 1][0])
        return block[start:end]

    def _block(self, number: int) -> bytes:
        offset, packed, length, checksum = self._rows[number - 1]
        raw = self._content.pread(offset, packed)
        if len(raw) != packed or zlib.crc32(raw) != checksum:
            raise self._damage(offset)
        try:
            inflater = zlib.decompressobj()
            block = inflater.decompress(raw, length + 1)
        except zlib.error:
            raise self._damage(offset) from None
        if len(block) != length or not inflater.eof:
            raise self._damage(offset)
        while self._held and self._size + length > _HELD:
            self._size -= len(self._held.pop(next(iter(self._held))))
        self._held[number] = block
        self._size += length
        return block

    def _cut(self) -> FormatError:
        return FormatError("is a snapshot that was cut off", path=self._path, offset=self._content.size)

    def _damage(self, offset: int | None) -> FormatError:
        return FormatError("is a snapshot that is damaged", path=self._path, offset=offset)
