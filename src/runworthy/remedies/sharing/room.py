"""How much room there is, as the file systems themselves say (statvfs(3)), when all is written out."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

__all__ = ["Room"]

_FS_INFO = 0x8400941F  # BTRFS_IOC_FS_INFO, linux/btrfs.h: the identifier of the file system is behind two numbers
_FS_INFO_SIZE = 1024
_TRIES = 50


class Room:
    """What is free on the file systems of some paths. What others write meanwhile counts as well."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._stack = contextlib.ExitStack()
        self._found: dict[object, tuple[int, int]] = {}
        for directory in sorted({os.path.dirname(path) for path in paths}):
            with contextlib.suppress(OSError, ValueError):
                self._add(directory)

    def _add(self, directory: str) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK)
        key = _identity(fd)
        if key in self._found:
            os.close(fd)
            return
        self._stack.callback(os.close, fd)
        self._found[key] = fd, _free(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        self._stack.close()

    def freed(self) -> int:
        """Return how many bytes more are free than in the beginning. Less than none is none."""
        return max(0, sum(_free(fd) - before for fd, before in self._found.values()))


def _identity(fd: int) -> object:
    """Return which file system it is: the subvolumes of btrfs have device numbers of their own. Raises OSError."""
    from runworthy.targets.storage.ioctls import BTRFS, filesystem_type

    if filesystem_type(fd) == BTRFS:
        import fcntl

        raw = bytearray(_FS_INFO_SIZE)
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, _FS_INFO, raw)
            return bytes(raw[16:32])
    return os.fstat(fd).st_dev


def _free(fd: int) -> int:
    """Return what is free, when what was removed is given back. Raises OSError.

    ext4 and btrfs do that in the commit that syncfs(2) waits for; xfs a little later: therefore until it stands still.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    told = -1
    for _ in range(_TRIES):
        libc.syncfs(fd)
        state = os.fstatvfs(fd)
        now = state.f_bfree * state.f_frsize
        if now == told:
            break
        told = now
        time.sleep(0.01)
    return told
