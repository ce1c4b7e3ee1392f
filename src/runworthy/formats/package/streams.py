"""Compressed streams unpacked within bounds, and stretches of what holds bytes.

Source: RFC 1952 (gzip), the .xz file format, RFC 8878 (zstd), the LZ4 frame format. Several streams one after another
are one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from runworthy.formats.content import Content
from runworthy.model.errors import FormatError

__all__ = [
    "UNPACKED_LIMIT",
    "Decoder",
    "NeedsZstdError",
    "Read",
    "Slice",
    "Spool",
    "compression_of",
    "pieces",
    "reader",
    "unpack",
]

Read = Callable[[int], bytes]
"""Returns the next bytes, at most as many as asked for, none at the end. Raises OSError."""

UNPACKED_LIMIT = 4 << 30
"""Bytes that one package may hold; the largest of distributions (debug symbols of browsers) stay below."""
_HARMLESS = 64 << 20
_RATIO = 400  # real packages reach 50; zeros make 1,000 with gzip and far more with the others
_PIECE = 1 << 18
_IN_MEMORY = 16 << 20
_LONGEST_MAGIC = 6
_DICTIONARY = 256 << 20  # xz -9 asks for 65 MiB to read, zstd --ultra -22 for 128 MiB

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x5d\0\0", "lzma"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
)


class NeedsZstdError(FormatError):
    """The bytes are packed with zstd, and this Python cannot read it."""


class Slice:
    """A stretch of another content."""

    __slots__ = ("_content", "_start", "size")

    def __init__(self, content: Content, start: int, size: int) -> None:
        self._content = content
        self._start = start
        self.size = size

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises OSError."""
        count = min(count, self.size - offset)
        return self._content.pread(self._start + offset, count) if offset >= 0 and count > 0 else b""


class Spool:
    """Bytes as they were unpacked: in memory while they are few, then in a temporary file without a name."""

    __slots__ = ("_file", "size")

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - lives as long as its slices
        self.size = 0

    def append(self, data: bytes) -> None:
        """Add bytes at the end. Raises OSError."""
        self._file.write(data)
        self.size += len(data)

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises OSError."""
        if offset < 0 or count <= 0:
            return b""
        self._file.seek(offset)
        return self._file.read(count)

    def __del__(self) -> None:
        self._file.close()


class Decoder(Protocol):
    """What the standard library's decoders have in common."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before more goes in."""

    @property
    def unused_data(self) -> bytes:
        """What was put in after the end of the stream."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most ``max_length`` unpacked bytes."""


def compression_of(head: bytes) -> str:
    """Return the name of the compression that a file begins with, empty for none that is known."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "")


def unpack(content: Content, start: int = 0) -> Content:
    """Return what is packed from ``start`` to the end; itself when it is not. Raises FormatError, OSError."""
    kind = compression_of(content.pread(start, 8))
    packed = Slice(content, start, content.size - start)
    if not kind:
        return packed
    most = min(UNPACKED_LIMIT, max(_HARMLESS, packed.size * _RATIO))
    spool = Spool()
    try:
        for piece in pieces(reader(packed), kind):
            spool.append(piece)
            if spool.size > most:
                break
    except FormatError as error:
        raise type(error)(error.message, offset=start) from error
    if spool.size > most:
        raise FormatError(f"the {kind} stream of {packed.size} bytes unpacks to more than {most}", offset=start)
    return spool


def pieces(read: Read, kind: str) -> Iterator[bytes]:
    """Yield what a stream of this kind unpacks to, in pieces of bounded size. Raises FormatError, OSError."""
    try:
        if kind == "lz4":
            from runworthy.formats.package.lz4 import frames

            yield from frames(read)
        else:
            yield from _zstd(read) if kind == "zstd" else _pieces(read, _decoder(kind))
    except FormatError as error:
        raise type(error)(f"the {kind} stream {error.message}") from error


def reader(content: Content) -> Read:
    """Return what reads a content from its start to its end."""
    at = 0

    def read(count: int) -> bytes:
        nonlocal at
        data = content.pread(at, count)
        at += len(data)
        return data

    return read


def _pieces(read: Read, make: Callable[[], Decoder]) -> Iterator[bytes]:
    """Yield what comes out of the standard library's decoders. Raises FormatError, OSError."""
    decoder = make()
    data = b""
    while True:
        if decoder.eof:
            data = decoder.unused_data
            if len(data) < _LONGEST_MAGIC:
                data += read(_PIECE)
            if not compression_of(data[:_LONGEST_MAGIC]):
                return  # padding, or what gzip calls trailing garbage
            decoder = make()
        elif decoder.needs_input:
            data = read(_PIECE)
            if not data:
                raise FormatError("ends too early")
        with _damage():
            piece = decoder.decompress(data, _PIECE)
        data = b""
        if piece:
            yield piece


@contextmanager
def _damage() -> Iterator[None]:
    """Turn whatever a decoder raises into a FormatError: each has an exception of its own, bz2 has OSError."""
    try:
        yield
    except MemoryError:
        raise FormatError("asks for more memory than it may have") from None
    except Exception as error:
        raise FormatError(f"is damaged: {error}") from error


def _decoder(kind: str) -> Callable[[], Decoder]:
    if kind == "gzip":
        return _Gzip
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor
    import lzma

    return lambda: lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=_DICTIONARY)


class _Gzip:
    """zlib's decoder with the manners of the others."""

    def __init__(self) -> None:
        import zlib

        self._decoder = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._decoder.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)


def _zstd(read: Read) -> Iterator[bytes]:
    """Yield what comes out of Python 3.14's decoder, or of the zstandard module's. Raises FormatError, OSError."""
    import importlib

    try:
        module: Any = importlib.import_module("compression.zstd")
    except ImportError:
        try:
            module = importlib.import_module("zstandard")
        except ImportError:
            raise NeedsZstdError("cannot be read by this Python") from None
        yield from _zstandard(read, module)
        return
    options = {module.DecompressionParameter.window_log_max: _DICTIONARY.bit_length() - 1}
    yield from _pieces(read, lambda: module.ZstdDecompressor(options=options))


def _zstandard(read: Read, module: Any) -> Iterator[bytes]:  # noqa: ANN401 - it has no types where it is not installed
    """Yield pieces by the module's reader, which alone of its decoders bounds what comes out at once."""
    decoder = module.ZstdDecompressor(max_window_size=_DICTIONARY)
    reader = decoder.stream_reader(_Source(read), read_size=_PIECE, read_across_frames=True)
    while True:
        with _damage():
            piece: bytes = reader.read(_PIECE)
        if not piece:
            return
        yield piece


class _Source:
    """What the zstandard module reads from."""

    def __init__(self, read: Read) -> None:
        self.read = read
