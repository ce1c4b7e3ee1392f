"""Stored files that differ in a few blocks alone, by reading them: the rest of them could be shared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from runworthy.model.storage import Partial, StoredFile
from runworthy.targets.storage.extents import exclusive, opened, own_of
from runworthy.targets.storage.ioctls import iter_fiemap

__all__ = ["equal_ranges", "find_partial"]

_BLOCK: Final = 4096  # no file system that shares has smaller ones by default, and multiples of smaller ones will do
_CHUNK: Final = 1 << 20
_HOPELESS: Final = 4 << 20
"""Where the first so many bytes differ in every block, no more is read."""
_LEAST: Final = 65536
_SHORTEST: Final = 16384
"""What is shorter is not worth an entry in the map of the file."""
_HEADS: Final = 2
"""How many files of a group each one is compared with: a group of n files is read no more than 4n times."""

Watch = Callable[[str, int, int], None]
_Place = tuple[int, int]


def find_partial(
    groups: Iterable[Sequence[StoredFile]], *, least: int = _LEAST, watch: Watch | None = None
) -> tuple[Partial, ...]:
    """Return which of the files of each group (see ``storage.likely``) share all but a few blocks with another one.

    Not more than half of the blocks differ, and ``least`` bytes or more are equal and shared with no file yet. What
    is shared with others already stays as it is, since nothing would be freed. Files that are opened no more, or
    change meanwhile, are left out. ``watch`` is told the bytes of files that were compared, and of all.
    """
    found: list[Partial] = []
    settled: set[_Place] = set()
    kept: set[_Place] = set()
    every = [tuple(group) for group in groups]
    total = sum(file.size for group in every for file in group)
    done = 0
    for group in every:
        some = tuple(_in_group(group, settled, kept, least))
        found += some
        settled.update(_place(one.file) for one in some)
        kept.update(_place(one.kept) for one in some)
        done += sum(file.size for file in group)
        if watch:
            watch("partial", done, total)
    return tuple(sorted(found, key=lambda one: (-one.equal, one.file.names)))


def _in_group(group: Sequence[StoredFile], settled: set[_Place], kept: set[_Place], least: int) -> Iterator[Partial]:
    """Yield what is found in a group. ``settled`` are to share with another one already, ``kept`` are those others."""
    heads: list[StoredFile] = []
    for file in _in_order(group):
        if _place(file) in settled:
            continue
        one = None
        if _place(file) not in kept:
            one = next(filter(None, (_compared(file, head, least) for head in heads)), None)
        if one is not None:
            yield one
        elif len(heads) < _HEADS:
            heads.append(file)


def _in_order(group: Sequence[StoredFile]) -> list[StoredFile]:
    """Return the files, first those that share most of their storage already: it stays in use whatever is done."""
    known = []
    for file in group:
        try:
            with opened(file) as fd:
                known.append((exclusive(fd, sync=False), -file.links, file.names, file))
        except OSError:
            continue
    return [row[-1] for row in sorted(known, key=lambda row: row[:3])]


def _compared(file: StoredFile, kept: StoredFile, least: int) -> Partial | None:
    try:
        with opened(file) as one, opened(kept) as other:
            block = max(_BLOCK, os.fstatvfs(one).f_bsize)
            equal = equal_ranges(one, other, file.size, block)
            ranges = tuple(_both(equal, own_of(iter_fiemap(one)))) if equal else ()
        with opened(file), opened(kept):  # neither has changed meanwhile
            pass
    except OSError:
        return None
    size = sum(length for _, length in ranges)
    return Partial(file=file, kept=kept, ranges=ranges, equal=size) if ranges and size >= least else None


def equal_ranges(one: int, other: int, size: int, block: int = _BLOCK) -> list[tuple[int, int]]:
    """Return the (offset, end) of whole blocks that are equal in two open files of ``size`` bytes, neighbours joined.

    The last block counts as whole. Nothing is returned where more than half of the blocks differ, or where one of the
    files ends early. Raises OSError.
    """
    found: list[tuple[int, int]] = []
    seen = equal = 0
    blocks = -(-size // block)
    for start in range(0, size, max(_CHUNK, block)):
        length = min(max(_CHUNK, block), size - start)
        a, b = os.pread(one, length, start), os.pread(other, length, start)
        if len(a) != length or len(b) != length:
            return []
        for offset, end in _blocks(a, b, block):
            equal += -(-(end - offset) // block)
            if found and found[-1][1] == start + offset:
                found[-1] = (found[-1][0], start + end)
            else:
                found.append((start + offset, start + end))
        seen += -(-length // block)
        if (seen - equal) * 2 > blocks or (not equal and start + length >= _HOPELESS):
            return []
    return found


def _blocks(a: bytes, b: bytes, block: int) -> Iterator[tuple[int, int]]:
    if a == b:
        yield 0, len(a)
        return
    for offset in range(0, len(a), block):
        if a[offset : offset + block] == b[offset : offset + block]:
            yield offset, min(offset + block, len(a))


def _both(equal: Iterable[tuple[int, int]], own: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of what lies in one of each, (offset, end) in order, and is worth an entry."""
    mine = iter(own)
    start, end = next(mine, (0, 0))
    for first, last in equal:
        while end:
            low, high = max(start, first), min(end, last)
            if high - low >= _SHORTEST:
                yield low, high - low
            if end > last:
                break
            start, end = next(mine, (0, 0))


def _place(file: StoredFile) -> _Place:
    return file.device, file.inode
