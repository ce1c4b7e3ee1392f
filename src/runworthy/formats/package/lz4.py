"""LZ4 frames: what apt keeps its lists in where they are to stay packed.

Source: "LZ4 Frame Format Description" 1.6 and "LZ4 Block Format Description", lz4/doc. Checksums are not verified: they
are xxHash, and who needs to know that bytes are the right ones has a better hash of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import unpack_from
from typing import Final

from runworthy.model.errors import FormatError

__all__ = ["MAGIC", "block", "frames"]

MAGIC: Final = b"\x04\x22\x4d\x18"
_WINDOW: Final = 1 << 16
_SIZES: Final = {4: 1 << 16, 5: 1 << 18, 6: 1 << 20, 7: 1 << 22}
_HIGH: Final = 1 << 31


def frames(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield what frames that follow one another unpack to, block by block. Raises FormatError, OSError."""
    while True:
        magic = read(4)
        if not magic:
            return
        if magic != MAGIC:
            raise FormatError("is damaged: no frame where one belongs")
        yield from _frame(read)


def _frame(read: Callable[[int], bytes]) -> Iterator[bytes]:
    flags, sizes = _exactly(read, 2)
    most = _SIZES.get(sizes >> 4 & 7)
    if flags >> 6 != 1 or most is None:
        raise FormatError("is of a version that is not known")
    if flags & 1:
        raise FormatError("needs a dictionary")
    _exactly(read, (8 if flags & 8 else 0) + 1)  # the size of what is unpacked, the header's checksum
    linked, checksum = not flags & 0x20, 4 if flags & 0x10 else 0
    before = b""
    while True:
        (word,) = unpack_from("<I", _exactly(read, 4))
        if not word:
            break
        if word & ~_HIGH > most:
            raise FormatError(f"is damaged: a block of {word & ~_HIGH} bytes")
        packed = _exactly(read, word & ~_HIGH)
        _exactly(read, checksum)
        data = packed if word & _HIGH else block(packed, most, before)
        before = (before + data)[-_WINDOW:] if linked else b""
        yield data
    _exactly(read, 4 if flags & 4 else 0)


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    data = read(count) if count else b""
    if len(data) != count:
        raise FormatError("ends too early")
    return data


def block(packed: bytes, most: int, before: bytes = b"") -> bytes:
    """Return what a block unpacks to, at most ``most`` bytes; ``before`` is what came before it. Raises FormatError."""
    out = bytearray(before)
    most += len(before)
    at, end = 0, len(packed)
    try:
        while at < end:
            token = packed[at]
            at += 1
            if token > 15:
                length = token >> 4
                if length == 15:
                    at, length = _length(packed, at, length)
                out += packed[at : at + length]
                at += length
            if at == end:
                break
            offset = packed[at] | packed[at + 1] << 8
            at += 2
            length = (token & 15) + 4
            if length == 19:
                at, length = _length(packed, at, length)
            size = len(out)
            start = size - offset
            stop = start + length
            if start < 0 or not offset or size + length > most:
                raise FormatError("is damaged: it copies what is not there")
            if stop <= size:
                out += out[start:stop]
            else:
                out += (out[start:] * (length // offset + 1))[:length]
    except IndexError:
        at = end + 1
    if at != end or len(out) > most:
        raise FormatError("is damaged: a block does not end where it should")
    return bytes(out[len(before) :])


def _length(packed: bytes, at: int, length: int) -> tuple[int, int]:
    while True:
        more = packed[at]
        at += 1
        length += more
        if more != 255:
            return at, length
