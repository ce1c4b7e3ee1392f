"""Sets of stored files with the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, overload

from runworthy.model.storage import Copies, Proof
from runworthy.targets.storage.comparing import Comparison, Partition
from runworthy.targets.storage.crew import collecting_later
from runworthy.targets.storage.walk import ALLOCATED, DEVICE, SIZE, Files, Walk

if TYPE_CHECKING:
    from runworthy.targets.storage.index import Class, Index
    from runworthy.targets.trees import Watch

__all__ = ["Found", "find_copies", "recorded_copies"]


class Found(Sequence[Copies]):
    """Sets of files with the same bytes, the largest files first, then by name.

    Each is made when it is looked at: there may be tens of thousands of them, of which a report shows ten.
    """

    def __init__(
        self, files: Files, sets: Iterable[tuple[list[int], Proof]], filesystem_of: Callable[[int], str]
    ) -> None:
        sizes = files.column(SIZE)
        self._files = files
        self._filesystem_of = filesystem_of
        self._sets = [(-sizes[numbers[0]], files.first(numbers), numbers, proof) for numbers, proof in sets]
        self._sets.sort()
        self._made: dict[int, Copies] = {}

    def __len__(self) -> int:
        return len(self._sets)

    @overload
    def __getitem__(self, at: int) -> Copies: ...
    @overload
    def __getitem__(self, at: slice) -> list[Copies]: ...
    def __getitem__(self, at: int | slice) -> Copies | list[Copies]:
        if isinstance(at, slice):
            return [self[number] for number in range(len(self._sets))[at]]
        number = range(len(self._sets))[at]
        made = self._made.get(number)
        if made is None:
            made = self._made[number] = self._make(number)
        return made

    def _make(self, number: int) -> Copies:
        size, _, numbers, proof = self._sets[number]
        stored = tuple(sorted(map(self._files.stored, numbers), key=attrgetter("names")))
        names = {self._filesystem_of(file.device) for file in stored}
        return Copies(size=-size, filesystem=names.pop() if len(names) == 1 else "", files=stored, proof=proof)

    def again(self) -> int:
        """Return how many bytes in blocks all but the first file of each set take."""
        takes = self._files.column(ALLOCATED)
        of_all = sum(takes[number] for _, _, numbers, _ in self._sets for number in numbers)
        return of_all - sum(takes[first] for _, (_, first), _, _ in self._sets)


def find_copies(
    walk: Walk,
    *,
    filesystem_of: Callable[[int], str],
    index: Index | None = None,
    threads: int = 0,
    watch: Watch | None = None,
    problems: list[tuple[str, str]] | None = None,
) -> Found:
    """Return the sets of files with the same bytes.

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
        sets = [
            (numbers, known.proof(numbers))
            for partition in known.partitions(comparison)
            for numbers in (_beside(files, every, idle, systems) for every in partition)
            if len(numbers) > 1
        ]
        if problems is not None:
            problems += sorted(comparison.problems.items())
        return Found(files, sets, systems.__getitem__)


def recorded_copies(walk: Walk, *, filesystem_of: Callable[[int], str], recorded: Callable[[str], str]) -> Found:
    """Return the sets of files of one size for which the records of installers name one hash. Nothing is read.

    ``recorded`` is the hash that is recorded of a path, empty where none is. What was changed since it was installed
    is taken for what it was.
    """
    files = walk.files
    idle, systems = _idle(walk), _systems(files, filesystem_of)
    by_hash: dict[tuple[int, str], list[int]] = {}
    for place, group in enumerate(_groups(files)):
        for number in group:
            if digest := next(filter(None, map(recorded, files.names_of(number))), ""):
                by_hash.setdefault((place, digest), []).append(number)
    held = (_beside(files, every, idle, systems) for every in by_hash.values())
    return Found(files, [(numbers, "recorded") for numbers in held if len(numbers) > 1], systems.__getitem__)


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
        signatures = self._files.signatures()
        classes = self._index.classes(signatures)
        self.read = set()
        left: list[list[int]] = []
        firsts: list[dict[int, list[int]]] = []
        for group in self._groups:
            by_class = _by_class(group, classes)
            unknown = by_class.pop(None, ())
            if unknown or len({one[:8] for one in by_class if one}) > 1:
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

    def proof(self, numbers: Iterable[int]) -> Proof:
        """Return how it is known that files have the same bytes."""
        return "compared" if self.read is None or self.read.issuperset(numbers) else "remembered"

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


def _by_class(group: Iterable[int], classes: Sequence[Class | None]) -> dict[Class | None, list[int]]:
    """Return the files of each class among some; those whose class is not known are under None."""
    by_class: dict[Class | None, list[int]] = {}
    for number in group:
        of = classes[number]
        if of in by_class:
            by_class[of].append(number)
        else:
            by_class[of] = [number]
    return by_class
