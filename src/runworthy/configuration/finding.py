"""Where the file of a project is: in the working directory, or in the nearest one above that has one.

It ends at the top of a repository, so that nobody's file in a directory that many share is taken for the project's
own; outside of one, at the top of the file system. ``pyproject.toml`` counts where it has a table ``tool.runworthy``.
"""

from __future__ import annotations

import os
import stat

from runworthy.model.errors import UsageError
from runworthy.model.records import dataclass

__all__ = ["LIMIT", "NAMES", "OWN", "SHARED", "Found", "find", "read", "shown"]

OWN, SHARED = NAMES = ("runworthy.toml", "pyproject.toml")
LIMIT = 1 << 20
"""Bytes that a file can have: ten times as many as the longest that people write."""

_REPOSITORY = (".git", ".hg", ".jj", ".svn")
_WORD = b"runworthy"
_MOST_DIRECTORIES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file with its bytes. ``beside`` is another in its directory that was passed over, empty for none."""

    path: str
    data: bytes
    beside: str = ""


def find(directory: str) -> Found | None:
    """Return the file for whoever works in an absolute ``directory``, None where there is none. Raises UsageError."""
    for _ in range(_MOST_DIRECTORIES):
        found = _in(directory)
        if found is not None:
            return found
        above = os.path.dirname(directory)
        if above == directory or any(os.path.lexists(os.path.join(directory, name)) for name in _REPOSITORY):
            return None
        directory = above
    return None


def _in(directory: str) -> Found | None:
    own, shared = (os.path.join(directory, name) for name in NAMES)
    if os.path.lexists(own):
        return Found(path=own, data=read(own), beside=shared if _speaks(shared) else "")
    if not os.path.exists(shared):
        return None
    data = _read_if_ours(shared)
    return Found(path=shared, data=data) if data is not None else None


def _speaks(shared: str) -> bool:
    return os.path.exists(shared) and _read_if_ours(shared) is not None


def _read_if_ours(path: str) -> bytes | None:
    """Return the bytes of a ``pyproject.toml`` with our table; what others cannot read in it is not ours to say."""
    try:
        data = read(path)
    except UsageError:
        return None
    if _WORD not in data:  # most have not, and need no parser to say so
        return None
    from runworthy.configuration.toml import parse

    try:
        tool = parse(data, shown(path)).get("tool")
    except UsageError:
        if b"[tool.runworthy" in data:
            raise
        return None
    return data if isinstance(tool, dict) and "runworthy" in tool else None


def shown(path: str) -> str:
    """Return a file as people near it would write it."""
    try:
        near = os.path.relpath(path)
    except (OSError, ValueError):
        return path
    return near if len(near) < len(path) else path


def read(path: str) -> bytes:
    """Return the bytes of a file. Raises UsageError for what is none, cannot be read, or is too long."""
    name = shown(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(f"{name} is no regular file", option="--config")
            data = b""
            while len(data) <= LIMIT and (more := os.read(descriptor, LIMIT + 1)):
                data += more
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: {getattr(error, 'strerror', None) or error}", option="--config") from error
    if len(data) > LIMIT:
        raise UsageError(f"{name} has more than {LIMIT >> 20} MiB", hint="no project states as much", option="--config")
    return data
