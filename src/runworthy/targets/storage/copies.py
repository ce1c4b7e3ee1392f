"""Sets of stored files with the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, overload

from runworthy.model.storage import Copies, Proof
from runworthy.targets.storage.comparing import Comparison, Partition
from runworthy.targets.storage.crew import collecting_later
from runworthy.targets.storage.files import ALLOCATED, CTIME, DEVICE, SIZE, Files
from runworthy.targets.storage.walk import Walk

if TYPE_CHECKING:
    from runworthy.targets.storage.index import Class, Index
    from runworthy.targets.trees import Watch

__all__ = ["Found", "find_copies", "recorded_copies"]

Set = tuple[Sequence[int], Proof]
"""The numbers of files with the same bytes, and how that is known."""


class Found(Sequence[Copies]):
    """Sets of files with the same bytes, the largest files first, then by name.

    Each is made when it is looked at: there may be tens of thousands of them, of which a report shows ten.
    """

    def __init__(self, files: Files, sets: Sequence[Set], filesystem_of: Callable[[int], str]) -> None:
        self._files = files
        self._sets = sets
        self._filesystem_of = filesystem_of
        self._made: dict[int, Copies] = {}

    @classmethod
    def of(cls, files: Files, sets: Iterable[Set], filesystem_of: Callable[[int], str]) -> Found:
        """Return sets in their order; of each the file with the least name comes first."""
        sizes = files.column(SIZE)
        ordered = sorted((-sizes[numbers[0]], *_first(files, numbers), proof) for numbers, proof in sets)
        return cls(files, [(numbers, proof) for _, _, numbers, proof in ordered], filesystem_of)

    @property
    def sets(self) -> Sequence[Set]:
        """The numbers of the files of each set, and how it is known that they are equal."""
        return self._sets

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
        numbers, proof = self._sets[number]
        stored = tuple(sorted(map(self._files.stored, numbers), key=attrgetter("names")))
        names = {self._filesystem_of(file.device) for file in stored}
        filesystem = names.pop() if len(names) == 1 else ""
        return Copies(size=stored[0].size, filesystem=filesystem, files=stored, proof=proof)

    def again(self) -> int:
        """Return how many bytes in blocks all but the first file of each set take."""
        takes = self._files.column(ALLOCATED)
        return sum(takes[number] for numbers, _ in self._sets for number in numbers[1:])


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
        known = _Known(files, groups, index, besides=f"{sorted(idle)} {sorted(systems.items())}")
        if remembered := known.whole():
            return Found(files, remembered, systems.__getitem__)
        sets = [
            (numbers, known.proof(numbers))
            for partition in known.partitions(comparison)
            for numbers in (_beside(files, every, idle, systems) for every in partition)
            if len(numbers) > 1
        ]
        if problems is not None:
            problems += sorted(comparison.problems.items())
        found = Found.of(files, sets, systems.__getitem__)
        if not comparison.problems:
            known.remember(found.sets)
        return found


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
    return Found.of(files, ((numbers, "recorded") for numbers in held if len(numbers) > 1), systems.__getitem__)


def _first(files: Files, numbers: Sequence[int]) -> tuple[str, list[int]]:
    """Return the least name of some files, and the files with the one that has it before the others."""
    name, first = files.first(numbers)
    return name, [first, *(number for number in numbers if number != first)]


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
    """What the index knows of files, and what that leaves to be read.

    ``besides`` is what else the sets depend on.
    """

    def __init__(self, files: Files, groups: Sequence[list[int]], index: Index | None, besides: str) -> None:
        self._files = files
        self._groups = groups
        self._index = index
        self._besides = besides
        self.read: set[int] | None = None
        """Files that were read, None for all of them."""

    def whole(self) -> list[Set]:
        """Return what a run found that saw just these files as they are, nothing where none did."""
        if self._index is None:
            return []
        sets = self._index.sets(self._key())
        return [(numbers, "remembered") for numbers in sets if max(numbers) < len(self._files)]

    def remember(self, sets: Iterable[Set]) -> None:
        """Keep what was found for a run that sees the same."""
        if self._index is not None:
            ctimes = self._files.column(CTIME)
            changed = (ctimes[number] for group in self._groups for number in group)
            self._index.keep(self._key(), (numbers for numbers, _ in sets), changed)

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

    def _key(self) -> bytes:
        """Return what is the same for the same files, as far as anything can be told from their names and status."""
        return self._files.digest(self._besides)

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
