"""Which stored files may differ in a few blocks alone: what is worth reading to know.

To compare all files of one size with each other would take longer than it gives. Two kinds of pairs are likely: one
file of one build of one package, into which an installer wrote the path of each environment (conda's prefix), or from
which it did (the entry of its cache); and what lies at the same place in two environments of one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from posixpath import basename
from typing import Final

from runworthy.model.storage import Copies, EnvironmentKind, Owner, StoredFile

__all__ = ["LEAST", "likely"]

LEAST: Final = 65536
"""The least size of a file that is worth the trouble, in bytes."""

_ENTRIES: Final = frozenset(("conda-cache", "rattler-cache"))
"""Caches that hold a directory for each package, in which its files lie as in an environment."""

_Key = tuple[str, ...]
_Place = tuple[int, int]


def likely(
    files: Iterable[StoredFile],
    copies: Iterable[Copies],
    *,
    owner: Callable[[str], Owner],
    kinds: Mapping[str, EnvironmentKind],
    filesystem_of: Callable[[int], str],
    reflinks: Callable[[str], bool],
    stay: Collection[tuple[int, int]] = (),
    least: int = LEAST,
) -> Iterator[tuple[StoredFile, ...]]:
    """Yield groups of two or more stored files of one size on one file system that ``reflinks``, in a stable order.

    Of ``copies``, which are among the ``files`` or not, one stands for all: that of ``stay`` (device, inode), where
    there is such a one. ``kinds`` are those of environments by
    their paths, ``owner`` is asked only of files that another one equals in size and base name.
    """
    again, ones = _each_content_once(copies, stay)
    known = {(file.device, file.inode): file for file in (*ones, *files) if file.size >= least}
    alike: dict[tuple[str, int, str], list[StoredFile]] = {}
    for place, file in known.items():
        filesystem = filesystem_of(file.device)
        if place not in again and reflinks(filesystem):
            alike.setdefault((filesystem, file.size, basename(file.names[0])), []).append(file)
    for _, some in sorted(alike.items()):
        if len(some) > 1:
            yield from _by_place(some, owner, kinds)


def _each_content_once(
    copies: Iterable[Copies], stay: Collection[_Place]
) -> tuple[set[tuple[int, int]], list[StoredFile]]:
    """Return the places of all copies but one of each content, and those ones: such as have the most names."""
    again: set[tuple[int, int]] = set()
    ones = []
    for one in copies:
        first = min(one.files, key=lambda file: ((file.device, file.inode) not in stay, -file.links, file.names[0]))
        ones.append(first)
        again.update((file.device, file.inode) for file in one.files if file is not first)
    return again, ones


def _by_place(
    files: list[StoredFile], owner: Callable[[str], Owner], kinds: Mapping[str, EnvironmentKind]
) -> Iterator[tuple[StoredFile, ...]]:
    groups: dict[_Key, list[StoredFile]] = {}
    for file in files:
        whose = owner(file.names[0])
        for key in _keys(file.names[0], whose, kinds.get(whose.environment)):
            groups.setdefault(key, []).append(file)
    told = set()
    for _, group in sorted(groups.items()):
        found = tuple(sorted(group, key=lambda file: file.names))
        places = tuple((file.device, file.inode) for file in found)
        if len(found) > 1 and places not in told:
            told.add(places)
            yield found


def _keys(path: str, owner: Owner, kind: EnvironmentKind | None) -> Iterator[_Key]:
    """Yield what files have in common that are likely to be much the same."""
    if not owner.environment or not path.startswith(f"{owner.environment.rstrip('/')}/"):
        return
    inside = path[len(owner.environment.rstrip("/")) + 1 :]
    if kind in _ENTRIES:
        inside = inside.partition("/")[2]
    if owner.package:
        yield ("package", owner.package, owner.version, owner.build, inside)
    if kind is not None and kind not in _ENTRIES:
        yield ("place", kind, inside)
