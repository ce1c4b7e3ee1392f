"""Which files have the same bytes: told by reading them side by side, never by a hash.

Files of one size are split at the first chunk in which they differ, and what differs from all others is not read on.
Reads are of 128 KiB: two of them stay in a processor's own cache, where comparing costs next to nothing; reads of
1 MiB into buffers that are used again take four times as long, and so does comparing mapped files page by page.

A file counts as what the walk saw: device, inode, size and times of the open file are those of its row, before and
after it was read. What was replaced, cut off or changed meanwhile drops out, and is told as a problem.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from runworthy.targets.storage.crew import at_once, in_crew
from runworthy.targets.storage.files import ALLOCATED, SIZE, Files

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["Comparison", "Partition"]

Partition = list[list[int]]
"""The numbers of files with the same bytes, for each of the contents that there are; one alone has its own bytes."""

_WHOLE: Final = 128 << 10
_FIRST: Final = 16 << 10
_CHUNK: Final = 128 << 10
_HELD: Final = 16 << 20
_LEAST: Final = 512
_OPEN: Final = 48
_PER_FILE: Final = 64 << 10
"""Opening a file takes as long as reading this many bytes."""
_WEIGHT: Final = 64 << 20
_FEW: Final = 2
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_FLAGS |= getattr(os, "O_BINARY", 0)
_QUIETLY = getattr(os, "O_NOATIME", 0)
_SEEK_DATA: Final[int | None] = getattr(os, "SEEK_DATA", None)
_NEVER: Final = 1 << 63
_FULL = frozenset((errno.EMFILE, errno.ENFILE))
_REPLACED = frozenset((errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.EAGAIN, errno.EISDIR, errno.ESTALE))
_MANY: Final = 32
CHANGED: Final = "changed while it was read"


class _FullError(Exception):
    """No more files can be opened at this moment."""


class Comparison:
    """Compares the files of a walk, by their numbers.

    ``idle`` are files among which nobody looks for copies: a set of these alone is not read on, and
    not told. ``problems`` are the paths of files that dropped out, and why. ``workers`` is how many processes compare,
    0 where that is to be chosen.
    """

    def __init__(
        self, files: Files, *, idle: Collection[int] = (), workers: int = 0, watch: Watch | None = None
    ) -> None:
        self._files = files
        self._sizes = files.column(SIZE)
        self._allocated = files.column(ALLOCATED)
        self._idle = frozenset(idle)
        self._workers = workers
        self._watch = watch
        self._last = False
        self.problems: dict[str, str] = {}

    def partitions(self, groups: Sequence[Sequence[int]]) -> Iterator[tuple[int, Partition]]:
        """Yield how files of one size split, with the place of their group among ``groups``, as it becomes known."""
        costs = [self._sizes[group[0]] * len(group) for group in groups]
        total, done = sum(costs), 0
        again: list[int] = []
        tasks = _tasks(groups, costs)
        workers = at_once(self._workers) if self._workers or len(tasks) > _FEW else 1
        for partitions, problems, full in in_crew(partial(self._work, groups), tasks, min(workers, len(tasks))):
            self.problems.update(problems)
            again += full
            yield from partitions
            if self._watch is not None:
                done += sum(costs[place] for place, _ in partitions) + sum(costs[place] for place in full)
                self._watch("compare", done, total)
        self._last = True
        for place in sorted(again):
            yield place, self._partition(groups[place], 0)

    def _work(
        self, groups: Sequence[Sequence[int]], places: list[int]
    ) -> tuple[list[tuple[int, Partition]], dict[str, str], list[int]]:
        """Return how some groups split, why files dropped out, and the groups for which no files could be opened."""
        self.problems, before = {}, self.problems
        found: list[tuple[int, Partition]] = []
        full: list[int] = []
        for place in places:
            try:
                found.append((place, self._partition(groups[place], _OPEN)))
            except _FullError:
                full.append(place)
        self.problems, problems = before, self.problems
        return found, problems, full

    def _partition(self, group: Sequence[int], keep: int) -> Partition:
        size = self._sizes[group[0]]
        if size <= _WHOLE and size * len(group) <= _HELD:
            return _sorted_out(group, 0, size, self._read_whole) or []
        opened = _Opened(self, keep=len(group) <= keep)
        try:
            return list(self._lockstep(list(group), size, opened))
        finally:
            opened.close()

    def _read_whole(self, number: int, _offset: int, size: int) -> bytes | None:
        """Return the bytes of a file, None where it is not what it was. Most files are read by this, at one go."""
        files = self._files
        try:
            descriptor = open_quietly(files.path(number))
            try:
                data = os.read(descriptor, size)
                status = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self.fails(number, error)
            return None
        if len(data) == size and files.is_same(number, status):
            return data
        self.changed(number)
        return None

    def _lockstep(self, group: list[int], size: int, opened: _Opened) -> Iterator[list[int]]:
        """Yield the files of one size that have the same bytes."""
        pending = [(group, 0)]
        with_holes = all(self._allocated[number] < size for number in group)
        while pending:
            group, offset = pending.pop()
            count = _CHUNK if offset else _FIRST
            while offset < size and len(group) > 1:
                if self._idle.issuperset(group):
                    group = []
                    break
                if with_holes:
                    offset = min(size, *(opened.next_data(number, offset) for number in group))
                count = min(count, size - offset)
                if not count:
                    break
                parts = _sorted_out(group, offset, count, opened.read)
                if parts is None:
                    count = max(_LEAST, count // 8)
                    continue
                offset += count
                count = max(count, _CHUNK)
                group = parts.pop() if parts else []
                pending += [(part, offset) for part in parts]
            if len(group) > 1:
                group = [number for number in group if opened.is_same(number)]
            if group:
                yield group

    def is_same(self, number: int, status: os.stat_result) -> bool:
        """Whether an open file is the one that the walk saw, unchanged."""
        return self._files.is_same(number, status)

    def path(self, number: int) -> str:
        """Return the name of a file that was found first."""
        return self._files.path(number)

    def open(self, number: int) -> int:
        """Return a descriptor of a file. Raises OSError."""
        return open_quietly(self._files.path(number))

    def changed(self, number: int) -> None:
        """Let a file drop out that is not what it was."""
        self.problems[self._files.path(number)] = CHANGED

    def fails(self, number: int, error: OSError) -> None:
        """Let a file drop out that cannot be read. Raises _FullError where it may do better later."""
        if error.errno in _FULL and not self._last:
            raise _FullError from error
        path = self._files.path(number)
        self.problems[path] = CHANGED if error.errno in _REPLACED else error.strerror or "cannot be read"


class _Opened:
    """Files that are read chunk by chunk: kept open, or opened for each chunk where there are too many of them."""

    def __init__(self, comparison: Comparison, *, keep: bool) -> None:
        self._comparison = comparison
        self._keep = keep
        self._open: dict[int, int] = {}

    def read(self, number: int, offset: int, count: int) -> bytes | None:
        """Return ``count`` bytes of a file, None where it drops out."""
        try:
            data = self._read(number, offset, count)
        except OSError as error:
            self._comparison.fails(number, error)
            return None
        if data is not None and len(data) == count:
            return data
        self._comparison.changed(number)
        return None

    def next_data(self, number: int, offset: int) -> int:
        """Return where a file has bytes again from ``offset`` on, beyond all ends where it has none (lseek(2)).

        Where that cannot be told it is ``offset``: who reads there is told why.
        """
        if _SEEK_DATA is None:
            return offset
        held = self._open.get(number)
        try:
            descriptor = self._comparison.open(number) if held is None else held
        except OSError:
            return offset
        try:
            return os.lseek(descriptor, offset, _SEEK_DATA)
        except OSError as error:
            return _NEVER if error.errno == errno.ENXIO else offset
        finally:
            if held is None:
                os.close(descriptor)

    def _read(self, number: int, offset: int, count: int) -> bytes | None:
        descriptor = self._open.get(number)
        if descriptor is not None:
            return os.pread(descriptor, count, offset)
        descriptor = self._comparison.open(number)
        if self._keep:
            self._open[number] = descriptor
        try:
            if not self._comparison.is_same(number, os.fstat(descriptor)):
                return None
            return os.pread(descriptor, count, offset)
        finally:
            if not self._keep:
                os.close(descriptor)

    def is_same(self, number: int) -> bool:
        """Whether a file is still what it was; one that is not drops out."""
        try:
            descriptor = self._open.get(number)
            status = os.fstat(descriptor) if descriptor is not None else os.lstat(self._comparison.path(number))
        except OSError as error:
            self._comparison.fails(number, error)
            return False
        if not self._comparison.is_same(number, status):
            self._comparison.changed(number)
            return False
        return True

    def close(self) -> None:
        """Close what is open."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()


def _sorted_out(
    group: Sequence[int], offset: int, count: int, read: Callable[[int, int, int], bytes | None]
) -> Partition | None:
    """Return which files have the same ``count`` bytes at ``offset``. None: more contents than can be held.

    Few contents are compared one by one; from some number on a table finds the one to compare with.
    """
    if len(group) > _MANY:
        return _sorted_by_table(group, offset, count, read)
    known: list[tuple[bytes, list[int]]] = []
    for number in group:
        data = read(number, offset, count)
        if data is None:
            continue
        for held, numbers in known:
            if held == data:
                numbers.append(number)
                break
        else:
            known.append((data, [number]))
    return [numbers for _, numbers in known]


def _sorted_by_table(
    group: Sequence[int], offset: int, count: int, read: Callable[[int, int, int], bytes | None]
) -> Partition | None:
    known: dict[bytes, list[int]] = {}
    for number in group:
        data = read(number, offset, count)
        if data is None:
            continue
        known.setdefault(data, []).append(number)
        if len(known) * count > _HELD and count > _LEAST:
            return None
    return list(known.values())


def open_quietly(path: str) -> int:
    """Open a file without following a link or waiting for a FIFO. Raises OSError.

    Where that is allowed, the time of its last use stays: it tells which environments nobody uses.
    """
    if _QUIETLY:
        try:
            return os.open(path, _FLAGS | _QUIETLY)
        except PermissionError:  # not the owner
            pass
    return os.open(path, _FLAGS)


def _tasks(groups: Sequence[Sequence[int]], costs: Sequence[int]) -> list[list[int]]:
    """Return the places of groups that are compared at one go: first the largest ones, then many small ones each.

    Groups follow in the order in which their first files were found: neighbours on a disk, too.
    """
    weights = [cost + _PER_FILE * len(group) for cost, group in zip(costs, groups, strict=True)]
    tasks: list[list[int]] = [[place] for place, weight in enumerate(weights) if weight >= _WEIGHT]
    tasks.sort(key=lambda task: -weights[task[0]])
    held = 0
    task: list[int] = []
    for place in sorted(range(len(groups)), key=lambda place: groups[place][0]):
        if weights[place] >= _WEIGHT:
            continue
        task.append(place)
        held += weights[place]
        if held >= _WEIGHT:
            tasks.append(task)
            task, held = [], 0
    return [*tasks, task] if task else tasks
