"""Sets of stored files with the same bytes, on one file system."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from runworthy.model.storage import Copies
from runworthy.targets.storage.comparing import Comparison
from runworthy.targets.storage.walk import DEVICE, SIZE, Files, Walk

if TYPE_CHECKING:
    from runworthy.targets.storage.index import Index
    from runworthy.targets.trees import Watch

__all__ = ["find_copies"]


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
    knows is not read again; it learns what is read. ``problems`` gets (path, why) of what could not be compared.
    """
    files = walk.files
    idle = {number for number, identity in enumerate(files) if identity in walk.added} if walk.added else set()
    systems = {device: filesystem_of(device) for device in set(files.column(DEVICE))}
    groups = [group for group in _groups(files, systems) if not idle.issuperset(group)]
    comparison = Comparison(files, idle=idle, threads=threads, watch=watch)
    partitions = comparison.partitions(groups)
    found = [
        _copies(files, numbers, systems)
        for partition in partitions
        for numbers in partition
        if len(numbers) > 1 and not idle.issuperset(numbers)
    ]
    if problems is not None:
        problems += sorted(comparison.problems.items())
    found.sort(key=lambda copies: (-copies.size, copies.files[0].names))
    return tuple(found)


def _groups(files: Files, systems: dict[int, str]) -> list[list[int]]:
    """Return the numbers of files of one size on one file system, where there are several."""
    devices = files.column(DEVICE)
    by_size: dict[object, list[int]] = {}
    if len(set(systems.values())) == 1:
        keys: list[object] = [*files.column(SIZE)]
    else:
        keys = [(systems[device], size) for device, size in zip(devices, files.column(SIZE), strict=True)]
    for number, key in enumerate(keys):
        if key in by_size:
            by_size[key].append(number)
        else:
            by_size[key] = [number]
    return [group for group in by_size.values() if len(group) > 1]


def _copies(files: Files, numbers: list[int], systems: dict[int, str]) -> Copies:
    stored = sorted(map(files.stored, numbers), key=lambda file: file.names)
    return Copies(size=stored[0].size, filesystem=systems[stored[0].device], files=tuple(stored))
