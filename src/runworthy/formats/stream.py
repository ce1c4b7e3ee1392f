"""A stream from a pipe, unpacked as it comes: bytes that can be read once, from the front to the back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from runworthy.formats.package.streams import UNPACKED_LIMIT, NeedsZstdError, Read, compression_of, pieces
from runworthy.model.errors import FormatError, RunworthyError

__all__ = ["Stream", "StreamError"]

_PIECE: Final = 1 << 20
_KEPT: Final = 1 << 16
_MAGIC: Final = 8
_RATIO: Final = 400
"""What unpacks to more than this many times its size is no root: real ones reach 10, zeros make 1,000 and more. Below
``UNPACKED_LIMIT`` it is not asked: an image may begin with a swap file, and nothing is kept of what is skipped."""


class StreamError(RunworthyError):
    """A stream is damaged, cut off or refused: nothing in it counts. No FormatError, which is of one file in it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Stream:
    """The Content of a stream whose length nobody knows. Reads go forward; the last 64 KiB can be read again."""

    size: Final = 1 << 62

    def __init__(self, read: Read) -> None:
        """Take what ``read`` returns (fewer bytes than asked for only at the end). Raises OSError."""
        self._read = read
        self._packed = 0
        self._start = 0
        self._data = b""
        self._ended = False
        head = self._take(_MAGIC)
        self.compression = compression_of(head)
        self._pieces = self._unpacked(head) if self.compression else self._plain(head)

    @property
    def end(self) -> int:
        """How many bytes have come so far, unpacked."""
        return self._start + len(self._data)

    def pread(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset``, fewer only where the stream ends.

        Raises StreamError for damage and for an offset behind the end, OSError, ValueError for one that is gone.
        """
        if offset < self._start:
            raise ValueError(f"offset {offset} of a stream is gone")
        self._fill(offset, count)
        if offset > self.end:
            raise self.cut_off()
        return self._data[offset - self._start : offset - self._start + count]

    def line(self, offset: int, limit: int) -> bytes:
        """Return the line at ``offset`` with its newline, without one where the stream ends. Raises as ``pread``."""
        count = 256
        while True:
            data = self.pread(offset, min(count, limit))
            at = data.find(b"\n")
            if at >= 0 or len(data) < count:
                if at < 0 and len(data) >= limit:
                    raise StreamError(f"holds a line of more than {limit} bytes")
                return data[: at + 1] if at >= 0 else data
            count *= 4

    def drain(self, limit: int) -> None:
        """Read on for ``limit`` bytes at most, so that whoever writes ends in peace. Raises StreamError, OSError."""
        stop = self.end + limit
        while self.end < stop and not self._ended:
            self._fill(self.end, _PIECE)

    def cut_off(self) -> StreamError:
        """Return the error of a stream that ends too early."""
        return StreamError(f"was cut off after {self.end} bytes", hint="did the command on the other side fail?")

    def _fill(self, offset: int, count: int) -> None:
        parts, length = [self._data], len(self._data)
        while self._start + length < offset + count and not self._ended:
            piece = self._next()
            self._ended = not piece
            parts.append(piece)
            length += len(piece)
            if self._start + length < offset - _KEPT:  # skipped over
                self._start += length
                parts, length = [], 0
        self._data = b"".join(parts) if len(parts) != 1 else parts[0]
        gone = offset - _KEPT - self._start
        if gone > _PIECE:
            self._data = self._data[gone:]
            self._start += gone

    def _next(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except NeedsZstdError as error:
            raise StreamError(error.message, hint="pip install 'runworthy[zstd]'") from None
        except FormatError as error:
            raise StreamError(error.message) from None

    def _take(self, count: int) -> bytes:
        data = self._read(count)
        self._packed += len(data)
        return data

    def _plain(self, head: bytes) -> Iterator[bytes]:
        yield head
        while data := self._take(_PIECE):
            yield data

    def _unpacked(self, head: bytes) -> Iterator[bytes]:
        first = head
        unpacked = 0

        def take(count: int) -> bytes:
            nonlocal first
            data, first = first + self._take(count), b""
            return data

        for piece in pieces(take, self.compression):
            unpacked += len(piece)
            if unpacked > max(UNPACKED_LIMIT, self._packed * _RATIO):
                raise FormatError(f"unpacks {self._packed} bytes to more than {unpacked}: it is no root, but a bomb")
            yield piece
