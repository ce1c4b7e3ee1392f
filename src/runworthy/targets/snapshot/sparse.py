"""Files of which only some bytes are held: those that a loader would look at."""

from __future__ import annotations

import errno
import os
import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from runworthy.formats.content import Content
from runworthy.model.errors import FormatError

__all__ = ["HEAD", "HeadOnly", "MoreError", "Run", "Sparse", "Watched", "pack_runs", "unpack_runs"]

HEAD: Final = 64
"""What every loader and reader looks at first (bytes): the larger of the two ELF headers."""

Run = tuple[int, bytes]
"""Bytes and the offset at which they stand."""

_ROW: Final = struct.Struct("<QI")
_COUNT: Final = struct.Struct("<I")


class Sparse:
    """Runs of a file. A read from its start gets what is held there; any other that is not held whole is ENODATA."""

    __slots__ = ("_runs", "_starts", "size")

    def __init__(self, size: int, runs: Iterable[Run]) -> None:
        self.size = size
        self._runs = sorted(runs)
        self._starts = [start for start, _ in self._runs]

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises OSError."""
        count = min(count, self.size - offset)
        if offset < 0 or count <= 0:
            return b""
        at = bisect_right(self._starts, offset) - 1
        if at >= 0:
            start, data = self._runs[at]
            found = data[offset - start : offset - start + count]
            if len(found) == count or (found and offset == 0):
                return found
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))


class MoreError(Exception):
    """A reader asks for more than the head of a file."""


class HeadOnly:
    """The first bytes of a file of ``size`` bytes. Raises MoreError for any other."""

    __slots__ = ("_head", "size")

    def __init__(self, head: bytes, size: int) -> None:
        self._head = head
        self.size = size

    def pread(self, offset: int, count: int) -> bytes:
        """Return bytes of the head. A large read of the start is answered in part, as :class:`Sparse` does."""
        count = min(count, self.size - offset)
        if offset < 0 or count <= 0:
            return b""
        found = self._head[offset : offset + count]
        if len(found) == count or (found and offset == 0):
            return found
        raise MoreError


class Watched:
    """A content that remembers what was read of it, ``limit`` bytes at most; more raises MoreError."""

    __slots__ = ("_content", "_left", "_runs", "size")

    def __init__(self, content: Content, limit: int) -> None:
        self.size = content.size
        self._content = content
        self._left = limit
        self._runs: list[Run] = []

    def pread(self, offset: int, count: int) -> bytes:
        """Return bytes of the content; of its start no more than the head, since readers take more than they use."""
        data = self._content.pread(offset, min(count, HEAD) if offset == 0 else count)
        self._left -= len(data)
        if self._left < 0:
            raise MoreError
        self._runs.append((offset, data))
        return data

    def runs(self) -> list[Run]:
        """Return what was read, overlapping and touching pieces as one."""
        return merged(self._runs)


def merged(runs: Iterable[Run]) -> list[Run]:
    """Return the runs in order, overlapping and touching ones as one; of bytes that differ the last ones count."""
    pieces: list[tuple[int, bytearray]] = []
    ordered = sorted((start, number, data) for number, (start, data) in enumerate(runs) if data)
    for start, _, data in ordered:
        if pieces and start <= pieces[-1][0] + len(pieces[-1][1]):
            first, held = pieces[-1]
            held[start - first : start - first + len(data)] = data
        else:
            pieces.append((start, bytearray(data)))
    return [(start, bytes(held)) for start, held in pieces]


def pack_runs(runs: Sequence[Run]) -> bytes:
    """Return runs as bytes: how many, where each stands and how long it is, and all of their bytes."""
    rows = b"".join(_ROW.pack(start, len(data)) for start, data in runs)
    return _COUNT.pack(len(runs)) + rows + b"".join(data for _, data in runs)


def unpack_runs(data: bytes, at: int) -> tuple[list[Run], int]:
    """Return the runs that are packed at an offset of ``data``, and where they end. Raises FormatError."""
    if at + _COUNT.size > len(data):
        raise FormatError("is a snapshot that is damaged")
    count: int = _COUNT.unpack_from(data, at)[0]
    start = at + _COUNT.size
    end = start + count * _ROW.size
    if end > len(data):
        raise FormatError("is a snapshot that is damaged")
    runs = []
    for offset, length in _ROW.iter_unpack(data[start:end]):
        if end + length > len(data):
            raise FormatError("is a snapshot that is damaged")
        runs.append((offset, data[end : end + length]))
        end += length
    return runs, end
