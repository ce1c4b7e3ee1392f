"""Sets of stored files with the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runworthy.model.storage import Copies, Proof
from runworthy.targets.storage.comparing import Comparison, Partition
from runworthy.targets.storage.crew import collecting_later
from runworthy.targets.storage.walk import DEVICE, SIZE, Files, Walk

if TYPE_CHECKING:
    from runworthy.targets.storage.index import Class, Index
    from runworthy.targets.trees import Watch

__all__ = ["find_copies", "recorded_copies"]


def find_copies(
    walk: Walk,
    *,
    filesystem_of: Callable[[int], str],
    index: Index | None = None,
    threads: int = 0,
    watch: Watch | None = None,
    problems: list[tuple[str, str]] | None = None,
) -> tuple[Copies, ...]:
    """Return the sets of files with the same bytes, the largest files first, then by name.

    Sets that lie in caches alone are left out. ``filesystem_of`` names the file system of a device. What ``index``
    knows is not read again; it learns what is read. ``threads`` is how many files are read at once, 0 where that is to
    be chosen. ``problems`` gets (path, why) of what could not be compared.
    """
    files = walk.files
    with collecting_later():
        idle, systems = _idle(walk), _systems(files, filesystem_of)
        groups = [group for group in _groups(files) if not idle.issuperset(group)]
        comparison = Comparison(files, idle=idle, workers=threads, watch=watch)
        known = _Known(files, groups, index)
        found = [
            _copies(files, numbers, systems, known)
            for partition in known.partitions(comparison)
            for numbers in (_beside(files, every, idle, systems) for every in partition)
            if len(numbers) > 1
        ]
        found.sort(key=lambda copies: (-copies.size, copies.files[0].names))
        if problems is not None:
            problems += sorted(comparison.problems.items())
        return tuple(found)


def recorded_copies(
    walk: Walk, *, filesystem_of: Callable[[int], str], recorded: Callable[[str], str]
) -> tuple[Copies, ...]:
    """Return the sets of files of one size for which the records of installers name one hash. Nothing is read.

    ``recorded`` is the hash that is recorded of a path, empty where none is. What was changed since it was installed
    is taken for what it was.
    """
    files = walk.files
    idle, systems = _idle(walk), _systems(files, filesystem_of)
    by_hash: dict[tuple[int, str], list[int]] = {}
    for place, group in enumerate(_groups(files)):
        for number in group:
            if digest := next(filter(None, map(recorded, files.stored(number).names)), ""):
                by_hash.setdefault((place, digest), []).append(number)
    held = [numbers for every in by_hash.values() if len(numbers := _beside(files, every, idle, systems)) > 1]
    found = [_set(files, numbers, systems, "recorded") for numbers in held]
    return tuple(sorted(found, key=lambda copies: (-copies.size, copies.files[0].names)))


def _beside(files: Files, numbers: list[int], idle: set[int], systems: Mapping[int, str]) -> list[int]:
    """Return files without those of caches on whose file system no other one lies: nobody could share them."""
    if idle.isdisjoint(numbers):
        return numbers
    of = {number: systems[files.fields(number)[DEVICE]] for number in numbers}
    held = {of[number] for number in numbers if number not in idle}
    return [number for number in numbers if of[number] in held]


def _idle(walk: Walk) -> set[int]:
    """Return the numbers of files that lie in caches alone."""
    return {number for number, identity in enumerate(walk.files) if identity in walk.added} if walk.added else set()


def _systems(files: Files, filesystem_of: Callable[[int], str]) -> dict[int, str]:
    return {device: filesystem_of(device) for device in set(files.column(DEVICE))}


def _groups(files: Files) -> list[list[int]]:
    """Return the numbers of files of one size, where there are several: on other file systems too."""
    by_key: dict[int, list[int]] = {}
    for number, key in enumerate(files.column(SIZE)):
        if key in by_key:
            by_key[key].append(number)
        else:
            by_key[key] = [number]
    return [group for group in by_key.values() if len(group) > 1]


def _copies(files: Files, numbers: Sequence[int], systems: Mapping[int, str], known: _Known) -> Copies:
    remembered = known.read is not None and not known.read.issuperset(numbers)
    return _set(files, numbers, systems, "remembered" if remembered else "compared")


def _set(files: Files, numbers: Sequence[int], systems: Mapping[int, str], proof: Proof) -> Copies:
    stored = sorted((files.stored(number) for number in numbers), key=lambda file: file.names)
    names = {systems[file.device] for file in stored}
    filesystem = names.pop() if len(names) == 1 else ""
    return Copies(size=stored[0].size, filesystem=filesystem, files=tuple(stored), proof=proof)


class _Known:
    """What the index knows of files, and what that leaves to be read."""

    def __init__(self, files: Files, groups: Sequence[list[int]], index: Index | None) -> None:
        self._files = files
        self._groups = groups
        self._index = index
        self.read: set[int] | None = None
        """Files that were read, None for all of them."""

    def partitions(self, comparison: Comparison) -> Iterator[Partition]:
        """Yield how the groups split. What is of one class is read once, where it must be compared with others."""
        if self._index is None:
            for _, partition in comparison.partitions(self._groups):
                yield partition
            return
        signatures = {number: self._files.signature(number) for group in self._groups for number in group}
        known = self._index.classes(signatures.values())
        self.read = set()
        left: list[list[int]] = []
        firsts: list[dict[int, list[int]]] = []
        for group in self._groups:
            by_class, unknown = _by_class(group, signatures, known)
            if unknown or len({run[:8] for run in by_class}) > 1:
                left.append(group)
                firsts.append({numbers[0]: numbers for numbers in by_class.values()} | {one: [one] for one in unknown})
                self.read.update(firsts[-1])
            else:
                yield list(by_class.values())
        found: list[Partition] = [[]] * len(left)
        for place, partition in self._compared(comparison, left, firsts):
            found[place] = partition
            yield partition
        self._index.learn([signatures[number] for number in numbers] for partition in found for numbers in partition)

    def _compared(
        self, comparison: Comparison, groups: Sequence[list[int]], firsts: Sequence[Mapping[int, list[int]]]
    ) -> Iterator[tuple[int, Partition]]:
        """Compare what is not known, and one file of each class; where that one drops out, all of the group."""
        again: list[int] = []
        for place, partition in comparison.partitions([list(ones) for ones in firsts]):
            ones = firsts[place]
            if any(len(ones[number]) > 1 for number in set(ones).difference(*partition)):
                again.append(place)
            else:
                yield place, [[number for one in numbers for number in ones[one]] for numbers in partition]
        if self.read is not None:
            self.read.update(number for place in again for number in groups[place])
        for at, partition in comparison.partitions([groups[place] for place in again]):
            yield again[at], partition


def _by_class(
    group: Iterable[int], signatures: Mapping[int, bytes], known: Mapping[bytes, Class]
) -> tuple[dict[Class, list[int]], list[int]]:
    """Return the files of each class among some, and those whose class is not known."""
    by_class: dict[Class, list[int]] = {}
    unknown: list[int] = []
    for number in group:
        found = known.get(signatures[number])
        if found is None:
            unknown.append(number)
        elif found in by_class:
            by_class[found].append(number)
        else:
            by_class[found] = [number]
    return by_class, unknown
