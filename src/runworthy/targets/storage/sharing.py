"""Sharing parts of files, and giving files storage of their own again: by the kernel's comparing alone.

Neither changes anything but where bytes lie: names, times, owners and attributes stay, and so does who runs or maps it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from runworthy.targets.storage.extents import own_of
from runworthy.targets.storage.ioctls import BTRFS, STEP, dedupe_range, fiemap, filesystem_type

__all__ = ["own_storage", "share_ranges"]

_CHUNK = 1 << 20


def share_ranges(source: int, target: int, ranges: Sequence[tuple[int, int]], *, directory: int | None = None) -> int:
    """Have ``target`` share these (offset, length) of ``source``; return how many bytes the kernel found the same.

    The ranges are in order, in whole blocks but for the end of both files. Where they differ by now they are left.

    btrfs frees an extent only when no part of it is used: a single block that is not shared holds the whole of it.
    With ``directory`` (open, of that file system, to be written in) such rests are given extents of their own; where
    that fails for want of room, less is freed. Raises OSError where nothing is shared; what fails later ends it.
    """
    same: list[tuple[int, int]] = []
    for offset, length in ranges:
        try:
            done, status = dedupe_range(source, offset, length, target, offset)
        except OSError:
            if not same:
                raise
            break
        if done:
            same.append((offset, done))
        if status < 0:
            if not same:
                raise OSError(-status, os.strerror(-status))
            break
    if directory is not None and same and filesystem_type(target) == BTRFS:
        rests = _besides(own_of(fiemap(target, sync=True)), same)
        with suppress(OSError):
            own_storage(target, directory, rests)
    return sum(length for _, length in same)


def _besides(own: Iterable[tuple[int, int]], ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of what lies in ``own`` (offset, end) and in none of the ``ranges``, all in order."""
    for start, end in own:
        position = start
        for offset, length in ranges:
            if offset >= end:
                break
            if offset > position:
                yield position, offset - position
            position = max(position, offset + length)
        if position < end:
            yield position, end - position


def own_storage(target: int, directory: int, ranges: Iterable[tuple[int, int]]) -> int:
    """Give these (offset, length) of a file storage that it shares with none; return how many bytes were given it.

    They are written into a file without a name in ``directory`` (open, of the same file system), whose storage the
    target is then made to share: who writes to the target meanwhile keeps what he wrote. Holes must not be named.
    Raises OSError, ENOSPC among others; the target holds the same bytes in any case.
    """
    given = 0
    size = os.fstat(target).st_size
    held = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        for offset, length in ranges:
            end = min(offset + length, size)
            for start in range(offset, end, STEP):
                stop = min(start + STEP, end)
                _copy(target, held, start, stop)
                done, status = dedupe_range(held, start, stop - start, target, start)
                given += done
                if status < 0:
                    raise OSError(-status, os.strerror(-status))
    finally:
        # xfs lets go of a file some time after it is closed, and until then the target shares with it.
        with suppress(OSError):
            os.ftruncate(held, 0)
        os.close(held)
    return given


def _copy(source: int, target: int, start: int, stop: int) -> None:
    """Copy bytes by reading and writing: all that copies inside the kernel would share them."""
    while start < stop:
        data = os.pread(source, min(_CHUNK, stop - start), start)
        if not data:
            return
        start += os.pwrite(target, data, start)
