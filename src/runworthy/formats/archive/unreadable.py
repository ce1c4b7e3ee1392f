"""What lies in an archive and cannot be read out of it, or is not kept."""

from __future__ import annotations

import errno
from typing import NoReturn

__all__ = ["Unreadable", "damaged"]


class Unreadable:
    """The content of a file whose bytes are not at hand, but for its ``head``. ``why`` tells for what reason."""

    __slots__ = ("_head", "size", "why")

    def __init__(self, why: str, size: int = 0, head: bytes = b"") -> None:
        self.size = size
        self.why = why
        self._head = head

    def pread(self, offset: int, count: int) -> bytes:
        """Return bytes of the head. Raises OSError (ENODATA) for any others."""
        if offset < 0 or count <= 0 or (offset >= self.size and self._head):
            return b""
        if offset + min(count, self.size - offset) > len(self._head):
            raise OSError(errno.ENODATA, self.why)
        return self._head[offset : offset + count]


def damaged(why: str) -> NoReturn:
    """Raise the OSError of bytes that are not what they should be."""
    raise OSError(errno.EBADMSG, why)
