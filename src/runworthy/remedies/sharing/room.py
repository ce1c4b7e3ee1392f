"""How much room there is, as the file systems themselves say (statvfs(3)), and what is known to be on their devices."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ctypes

__all__ = ["Room", "write_out"]

_FS_INFO = 0x8400941F  # BTRFS_IOC_FS_INFO, linux/btrfs.h: the identifier of the file system is behind two numbers
_FS_INFO_SIZE = 1024
_TRIES = 50
_TICK = 1_000_000_000
"""More than times in inodes are behind the clock (current_time, fs/inode.c), in nanoseconds."""


class Room:
    """What is free on the file systems of some paths. What others write meanwhile counts as well.

    All that these held when it was asked first is written out by then (syncfs(2)).
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._clocks = time.time_ns(), time.monotonic_ns()
        self._stack = contextlib.ExitStack()
        self._found: dict[object, tuple[int, int]] = {}
        self._whole = True
        for directory in sorted({os.path.dirname(path) for path in paths}):
            try:
                self._add(directory)
            except (OSError, ValueError):
                self._whole = False

    def _add(self, directory: str) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, fd)
            key = _identity(fd)
            if key not in self._found:
                self._found[key] = fd, _free(fd)
                self._stack.push(stack.pop_all())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        self._stack.close()

    def holds(self, status: os.stat_result) -> bool:
        """Whether a file was written out: nobody has changed it since. Not after somebody has set the clock."""
        begun, clock = self._clocks
        drift = abs((time.time_ns() - begun) - (time.monotonic_ns() - clock))
        return self._whole and drift < _TICK and status.st_ctime_ns < begun - _TICK

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


def write_out(fd: int) -> None:
    """Have all of a file system written to its device (syncfs(2)). Raises OSError."""
    import ctypes

    if _libc().syncfs(fd):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@cache
def _libc() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _free(fd: int) -> int:
    """Return what is free, when what was removed is given back. Raises OSError.

    ext4 and btrfs do that in the commit that syncfs(2) waits for; others, as xfs, a little later: therefore until it
    stands still.
    """
    from runworthy.targets.storage.ioctls import BTRFS, EXT, TMPFS, filesystem_type

    told = -1
    for _ in range(1 if filesystem_type(fd) in (BTRFS, EXT, TMPFS) else _TRIES):
        if told >= 0:
            time.sleep(0.01)
        write_out(fd)
        state = os.fstatvfs(fd)
        now = state.f_bfree * state.f_frsize
        if now == told:
            break
        told = now
    return told
