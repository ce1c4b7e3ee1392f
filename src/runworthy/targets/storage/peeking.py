"""Small files of environments, read without leaving a trace where that is possible, and never through a link.

That a file was read is the best there is to tell that an environment is in use: reading one with O_NOATIME (open(2))
leaves its time of access alone. Only the owner of a file, and root, may ask for that.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

from runworthy.model.errors import FormatError

__all__ = ["ancestors", "below", "entries", "is_directory", "peek", "status_of"]

_ENTRIES_MAX = 200_000
_STRETCH = 1 << 20
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
_UNTOUCHED = getattr(os, "O_NOATIME", 0)


def peek(path: str, most: int, *, beginning: bool = False) -> bytes:
    """Return the bytes of a regular file of at most ``most`` bytes, or the first of these. Raises OSError, FormatError.

    FormatError is for a file that is larger, where not only its ``beginning`` is wanted.
    """
    descriptor = _open(path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        if status.st_size > most and not beginning:
            raise FormatError(f"is {status.st_size} bytes, over the limit of {most}", path=path)
        return _read(descriptor, most)
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    if _UNTOUCHED:
        with suppress(PermissionError):
            return os.open(path, _FLAGS | _UNTOUCHED)
    return os.open(path, _FLAGS)


def _read(descriptor: int, most: int) -> bytes:
    data = os.read(descriptor, min(most, _STRETCH))
    if len(data) < _STRETCH:
        return data
    parts = [data]
    left = most - len(data)
    while left > 0 and (data := os.read(descriptor, min(left, _STRETCH))):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def entries(directory: str, wanted: Callable[[os.DirEntry[str]], bool], most: int = _ENTRIES_MAX) -> list[str]:
    """Return the names of some entries of a directory, sorted, of the first ``most``; none where it cannot be read."""
    try:
        with os.scandir(directory) as found:
            return sorted(entry.name for entry in islice(found, most) if wanted(entry))
    except OSError:
        return []


def is_directory(path: str) -> bool:
    """Whether there is a directory, and no link to one."""
    status = status_of(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def status_of(path: str) -> os.stat_result | None:
    """Return what lstat(2) says, None where there is nothing."""
    try:
        return os.lstat(path)
    except (OSError, ValueError):
        return None


def below(path: str, top: str) -> bool:
    """Whether a path is ``top``, or lies below it."""
    return path == top or path.startswith(f"{top.rstrip('/')}/")


def ancestors(path: str) -> Iterator[str]:
    """Yield a directory and those above it, the nearest first."""
    while True:
        yield path
        above = os.path.dirname(path)
        if above == path:
            return
        path = above
