"""The log of an entry: a line for each thing that comes to be known of files that share, added and never changed."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from runworthy.model.records import replace
from runworthy.remedies.journal.checking import line_from
from runworthy.remedies.journal.records import Entry, ShareChange, TouchedDirectory, plain

__all__ = ["LARGEST", "ShareLog", "sync_directory", "with_log"]

LARGEST = 256 << 20
"""More bytes than any file of the journal has."""


class ShareLog:
    """The lines that tell of files that are shared. It is whole at any moment but for a last line that is torn."""

    def __init__(self, path: str) -> None:
        """Cut off a torn last line: nothing was done for it. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._fd = os.open(path, flags, 0o600)
        try:
            self._size = _whole(self._fd)
            os.ftruncate(self._fd, self._size)
            if not self._size:
                sync_directory(os.path.dirname(path))
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def append(self, *records: ShareChange | TouchedDirectory, sync: bool = True) -> None:
        """Add records; ``sync``: they are on the device when this returns. Raises OSError: then none of them is there.

        What has been told of a change before is told anew by its number. Without ``sync`` it may be lost again, as
        what can be seen of the files themselves may be.
        """
        import json

        lines = (json.dumps(plain(one), separators=(",", ":")) for one in records)
        view = memoryview("".join(f"{line}\n" for line in lines).encode("ascii"))
        end = self._size + len(view)
        try:
            while view:
                view = view[os.pwrite(self._fd, view, end - len(view)) :]
            if sync:
                os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size = end


def _whole(fd: int) -> int:
    """Return how long a log is without a torn last line."""
    end = os.fstat(fd).st_size
    while end:
        start = max(0, end - (1 << 16))
        at = os.pread(fd, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def with_log(entry: Entry, path: str) -> Entry:
    """Return an entry with what its log tells, if it has one. Raises OSError, ValueError, TypeError and KeyError."""
    import json

    try:
        with open(path, "rb") as stream:
            data = stream.read(LARGEST + 1)
    except FileNotFoundError:
        return entry
    if len(data) > LARGEST:
        raise ValueError("its log is larger than any")
    shares: dict[int, ShareChange] = {}
    directories = {(one.base, one.path): one for one in entry.directories}
    for line in data.split(b"\n")[:-1]:  # what comes after the last end of a line is torn
        told = line_from(json.loads(line), entry.token)
        if isinstance(told, TouchedDirectory):
            directories.setdefault((told.base, told.path), told)
        else:
            shares[told.number] = told
    changes = tuple(shares[number] for number in sorted(shares))
    made: Entry = replace(entry, changes=(*entry.changes, *changes), directories=tuple(directories.values()))
    return made


def sync_directory(directory: str) -> None:
    """Have the names in a directory written to the device. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
