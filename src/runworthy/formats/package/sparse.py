"""Files with holes, as GNU tar and libarchive store them: the stretches that hold data, one after the other.

Source: GNU tar manual, "Storing Sparse Files" (the old GNU format, pax formats 0.1 and 1.0).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from runworthy.formats.content import Content
from runworthy.formats.package.streams import Slice
from runworthy.model.errors import FormatError

__all__ = ["Sparse", "in_pax", "of_old_header"]

_BLOCK = 512
_STRETCHES = 1 << 16
_DIGITS = 20
_OLD_ROWS = 4
_MORE_ROWS = 21

Stretch = tuple[int, int]
"""Where bytes of the file lie, and how many."""


class Sparse:
    """A file made of ``stored`` bytes that lie where ``stretches`` say; between them are zeros."""

    __slots__ = ("_ends", "_starts", "size", "stored", "stretches")

    def __init__(self, stored: Content, stretches: Sequence[Stretch], size: int) -> None:
        """Raise FormatError where the stretches are out of order or do not add up to what is stored."""
        ends = [start + count for start, count in stretches]
        ordered = all(end <= start for end, (start, _) in zip(ends, stretches[1:], strict=False))
        if not ordered or max(ends, default=0) > size or sum(count for _, count in stretches) > stored.size:
            raise FormatError("a sparse file's map does not fit its bytes")
        self.stored = stored
        self.stretches = tuple(stretches)
        self.size = size
        self._starts = [start for start, _ in stretches]
        self._ends = list(accumulate((count for _, count in stretches), initial=0))

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises OSError."""
        end = min(offset + count, self.size)
        if offset < 0 or end <= offset:
            return b""
        data = bytearray(end - offset)
        for at in range(max(bisect_right(self._starts, offset) - 1, 0), len(self.stretches)):
            start, length = self.stretches[at]
            if start >= end:
                break
            first, last = max(start, offset), min(start + length, end)
            if first < last:
                piece = self.stored.pread(self._ends[at] + first - start, last - first)
                data[first - offset : first - offset + len(piece)] = piece
        return bytes(data)


def of_old_header(head: bytes, content: Content, start: int) -> tuple[list[Stretch], int, int]:
    """Return the stretches, the real size, and where the bytes begin, of a member of type ``S``. Raises FormatError."""
    fields = [head[at : at + 24] for at in range(386, 386 + 24 * _OLD_ROWS, 24)]
    more = head[482]
    while more:
        block = content.pread(start, _BLOCK)
        start += _BLOCK
        if len(block) < _BLOCK or len(fields) > _STRETCHES:
            raise FormatError("a sparse file's map is cut off or too long", offset=start)
        fields += [block[at : at + 24] for at in range(0, 24 * _MORE_ROWS, 24)]
        more = block[504]
    stretches = [(number(field[:12]), number(field[12:])) for field in fields if field.strip(b"\0 ")]
    return stretches, number(head[483:495]), start


def in_pax(names: Mapping[str, str], stored: Slice) -> Sparse | None:
    """Return the file that pax records describe, None where they tell of none. Raises FormatError, OSError."""
    if names.get("GNU.sparse.major") == "1":
        stretches, length = _leading_map(stored)
        rest = Slice(stored, length, stored.size - length)
        return Sparse(rest, stretches, _decimal(names.get("GNU.sparse.realsize", "")))
    if "GNU.sparse.map" in names:
        numbers = [_decimal(text) for text in names["GNU.sparse.map"].split(",") if text]
        return Sparse(stored, _pairs(numbers), _decimal(names.get("GNU.sparse.size", "")))
    if any(key.startswith("GNU.sparse.") for key in names):
        raise FormatError("holds a sparse file in a form that is not read")
    return None


def _leading_map(stored: Slice) -> tuple[list[Stretch], int]:
    """Return the stretches that stand before the bytes as lines of decimal numbers, and the length of it all."""
    numbers: list[int] = []
    text, at = b"", 0
    while not numbers or len(numbers) < 1 + 2 * numbers[0]:
        line, newline, rest = text.partition(b"\n")
        if newline:
            numbers.append(_decimal(line.decode("ascii", "replace")))
            text = rest
            continue
        block = stored.pread(at, _BLOCK)
        at += _BLOCK
        if len(block) < _BLOCK or len(text) > _DIGITS or numbers[:1] > [_STRETCHES]:
            raise FormatError("a sparse file's map is damaged or too long")
        text += block
    return _pairs(numbers[1:]), at


def _pairs(numbers: Sequence[int]) -> list[Stretch]:
    if len(numbers) % 2 or len(numbers) > 2 * _STRETCHES:
        raise FormatError("a sparse file's map is damaged or too long")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
        raise FormatError("a sparse file's map holds no number where one belongs")
    return int(text)


def number(field: bytes) -> int:
    """Return a number of a tar header: octal, or GNU's binary one whose first bit is set. Raises FormatError."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip()
    if digits.strip(b"01234567"):
        raise FormatError("a tar header holds no number where one belongs")
    return int(digits or b"0", 8)
