"""Positioned reads over something that holds bytes, and the limits that keep hostile sizes harmless."""

from __future__ import annotations

import errno
import os
import stat
from typing import Protocol

from runworthy.model.errors import FormatError

__all__ = [
    "READ_LIMIT",
    "BytesContent",
    "Content",
    "FileContent",
    "Spliced",
    "Window",
    "hash_of",
    "read_exactly",
    "release",
]

READ_LIMIT = 44 << 20
"""Largest single table (bytes) that a reader takes into memory; the largest seen in real libraries is near 40 MiB."""

_STRETCH = 1 << 20


class Content(Protocol):
    """Bytes that can be read at any offset."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``; fewer at the end, none outside. Raises OSError."""


class BytesContent:
    """Content that is in memory already."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self._data)

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``."""
        return self._data[offset : offset + count] if offset >= 0 and count > 0 else b""


class FileContent:
    """A regular file, opened at the first read. A FIFO or device is refused before it could block."""

    __slots__ = ("_fd", "_path", "_size")

    def __init__(self, path: str, size: int) -> None:
        self._path = path
        self._size = size
        self._fd = -1

    @property
    def size(self) -> int:
        """Length in bytes when it was looked up."""
        return self._size

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises OSError."""
        count = min(count, self._size - offset)
        if offset < 0 or count <= 0:
            return b""
        if self._fd < 0:
            self._fd = _open_regular(self._path)
        return _pread(self._fd, count, offset)

    def close(self) -> None:
        """Give the descriptor back; a later read opens the file again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


if hasattr(os, "pread"):
    _pread = os.pread
else:
    from threading import Lock

    _SEEK = Lock()

    def _pread(fd: int, count: int, offset: int, /) -> bytes:
        """Read at an offset where one has to go there first, and no thread may come between."""
        with _SEEK:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.read(fd, count)


def _open_regular(path: str) -> int:
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:  # the time of its last use tells who uses a file, and looking at it is no use
        descriptor = os.open(path, flags | getattr(os, "O_NOATIME", 0))
    except PermissionError:  # not the owner
        descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


class Window:
    """A Content with one stretch of it at hand, so that tables that lie together cost one read."""

    __slots__ = ("_content", "_data", "_start", "size")

    def __init__(self, content: Content, start: int, count: int) -> None:
        self.size = content.size
        self._content = content
        self._start = start
        self._data = content.pread(start, count)

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``, without a system call when they are at hand. Raises OSError."""
        begin = offset - self._start
        if begin >= 0 and 0 <= count <= len(self._data) - begin:
            return self._data[begin : begin + count]
        return self._content.pread(offset, count)


class Spliced:
    """A Content in which the bytes from one offset on are others, as many as there were."""

    __slots__ = ("_at", "_content", "_patch", "size")

    def __init__(self, content: Content, at: int, patch: bytes) -> None:
        self.size = content.size
        self._content = content
        self._at = at
        self._patch = patch

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises OSError."""
        data = self._content.pread(offset, count)
        start, end = max(self._at, offset), min(self._at + len(self._patch), offset + len(data))
        if start >= end:
            return data
        return data[: start - offset] + self._patch[start - self._at : end - self._at] + data[end - offset :]


def read_exactly(content: Content, offset: int, count: int, what: str) -> bytes:
    """Return exactly ``count`` bytes or raise FormatError naming ``what`` and the offset. Raises OSError."""
    if count > READ_LIMIT:
        raise FormatError(f"{what} claims {count} bytes, over the limit of {READ_LIMIT}", offset=offset)
    if offset < 0 or count < 0 or offset + count > content.size:
        raise FormatError(f"{what} reaches past the end of the file ({content.size} bytes)", offset=offset)
    data = content.pread(offset, count)
    if len(data) != count:
        raise FormatError(f"{what} could not be read in full", offset=offset)
    return data


def hash_of(content: Content) -> str:
    """Return the SHA-256 of all the bytes, in hexadecimal digits. Raises OSError."""
    from hashlib import sha256

    found = sha256()
    for offset in range(0, content.size, _STRETCH):
        found.update(content.pread(offset, _STRETCH))
    return found.hexdigest()


def release(content: Content) -> None:
    """Give back what ``content`` holds open: thousands of readers live at once, descriptors do not."""
    close = getattr(content, "close", None)
    if close is not None:
        close()
