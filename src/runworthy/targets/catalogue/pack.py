r"""The catalogue's file: content-addressed chunks in compressed blocks, read with positioned reads.

Layout (little endian)::

    header   8s magic, then five u32: blocks, chunks, offset of the block table, offset of the chunk table, index chunk
    blocks   raw DEFLATE streams
    block table   one (u32 offset, u32 compressed length) for each block
    chunk table   one u64 for each chunk: block (16 bits), offset in the block (24), length (24)

A chunk is text. Three shapes share one idea, that most of a chunk is equal to another one:

* lines: ``=`` and the lines, as they are;
* a set of lines: ``=`` and the lines, or ``~BASE`` and then ``+LINE`` and ``-LINE``;
* a map from names to values: ``=`` and ``NAME\tVALUE`` lines, or ``~BASE`` and then ``NAME\tVALUE`` (put) and
  ``NAME`` (drop).

A base is never itself written against a base. ``scripts/build_catalogue.py`` writes the file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Final

from runworthy.formats.content import FileContent, read_exactly
from runworthy.model.errors import FormatError

__all__ = ["BLOCK_ROW", "CHUNK_ROW", "HEADER", "MAGIC", "Pack"]

MAGIC: Final = b"RWCAT\x00\x01\n"
HEADER: Final = struct.Struct("<8s5I")
BLOCK_ROW: Final = struct.Struct("<2I")
CHUNK_ROW: Final = struct.Struct("<Q")
BLOCK_LIMIT: Final = 64 << 20

_BLOCKS_HELD: Final = 48


class Pack:
    """An open catalogue file of ``chunks`` chunks, of which ``index`` is the number of the first to read."""

    def __init__(self, path: str, size: int) -> None:
        """Open the pack at ``path``, ``size`` bytes long. Raises FormatError when it is none, OSError."""
        self._content = FileContent(path, size)
        self._path = path
        head = read_exactly(self._content, 0, HEADER.size, "catalogue header")
        magic, blocks, self.chunks, block_table, self._chunk_table, self.index = HEADER.unpack(head)
        if magic != MAGIC:
            raise FormatError("is no catalogue of this version", path=path, offset=0)
        rows = read_exactly(self._content, block_table, blocks * BLOCK_ROW.size, "block table")
        self._blocks: list[tuple[int, int]] = list(BLOCK_ROW.iter_unpack(rows))
        self._held: dict[int, bytes] = {}
        self._sets: dict[int, frozenset[bytes]] = {}

    def chunk(self, number: int) -> bytes:
        """Return a chunk's bytes. Raises FormatError, OSError."""
        if not 0 <= number < self.chunks:
            raise FormatError(f"has no chunk {number}", path=self._path)
        row = read_exactly(self._content, self._chunk_table + number * CHUNK_ROW.size, CHUNK_ROW.size, "chunk table")
        place = CHUNK_ROW.unpack(row)[0]
        block, offset, length = place >> 48, place >> 24 & 0xFFFFFF, place & 0xFFFFFF
        return self._block(block)[offset : offset + length]

    def lines(self, number: int) -> list[str]:
        """Return the lines of a plain chunk."""
        return _text(self.chunk(number)[1:]).split("\n")

    def names(self, number: int) -> frozenset[bytes]:
        """Return a set of lines."""
        held = self._sets.get(number)
        if held is None:
            held = self._sets[number] = self._names(number)
        return held

    def _names(self, number: int) -> frozenset[bytes]:
        data = self.chunk(number)
        if data[:1] == b"=":
            return frozenset(data[1:].split(b"\n")) if len(data) > 1 else frozenset()
        base, *changes = data[1:].split(b"\n")
        gone = {line[1:] for line in changes if line[:1] == b"-"}
        return (self.names(int(base)) - gone) | {line[1:] for line in changes if line[:1] == b"+"}

    def mapping(self, number: int) -> Mapping[str, str]:
        """Return a map of names to values."""
        data = self.chunk(number)
        if data[:1] == b"=":
            return dict(line.split("\t", 1) for line in _text(data[1:]).split("\n")) if len(data) > 1 else {}
        base, *changes = _text(data[1:]).split("\n")
        found = dict(self.mapping(int(base)))
        for line in changes:
            name, tab, value = line.partition("\t")
            if tab:
                found[name] = value
            else:
                del found[name]
        return found

    def _block(self, number: int) -> bytes:
        held = self._held.get(number)
        if held is None:
            offset, length = self._blocks[number]
            raw = read_exactly(self._content, offset, length, "catalogue block")
            try:
                held = zlib.decompressobj(-15).decompress(raw, BLOCK_LIMIT)
            except zlib.error as error:
                raise FormatError(f"is damaged: {error}", path=self._path, offset=offset) from None
            # Threads share the catalogue: what was listed may be gone already.
            for oldest in list(self._held)[: len(self._held) + 1 - _BLOCKS_HELD]:
                self._held.pop(oldest, None)
            self._held[number] = held
        return held


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
