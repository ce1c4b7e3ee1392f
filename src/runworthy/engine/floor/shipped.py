"""What is shipped together: the given files, what else of their tree they load, and what comes from outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.engine.floor.jury import Jury, Shipped
from runworthy.model.elf import ElfFile
from runworthy.model.records import dataclass
from runworthy.rules.known import libc_of_library
from runworthy.targets.catalogue.layout import authority

__all__ = ["Holding", "holdings_of", "outside"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A file of the release. ``bundled`` are the libraries that it gets from the release itself, by the names asked."""

    path: str
    shown: str
    elf: ElfFile
    given: bool
    bundled: frozenset[str]


def holdings_of(jury: Jury, targets: Sequence[str]) -> tuple[list[Holding], list[Shipped]]:
    """Return every file of the release, as the loaders of ``targets`` find them, and the given ones that none loads.

    What another file loads is judged with that, where it is loaded: a library may find its own only because of who
    asked for it (RPATH). Where files load each other, all of them are judged.
    """
    given = {file.place: file for file in jury.files}
    loads = {path: _loads(jury, file, targets) for path, file in given.items()}
    heads = {
        path: file
        for path, file in given.items()
        if all(by in loads[path] for by in given if by != path and path in loads[by])
    }
    bundled: dict[str, frozenset[str]] = {}
    for path in heads:
        for loaded, names in loads[path].items():
            bundled[loaded] = bundled.get(loaded, names) & names
    return [
        Holding(path=path, shown=jury.shown(path), elf=jury.elf(targets[0], path), given=path in given, bundled=names)
        for path, names in ({path: frozenset[str]() for path in given} | bundled).items()
    ], list(heads.values())


def _loads(jury: Jury, file: Shipped, targets: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the files of the release that a file loads, itself among them, each with the names that all are found by.

    Copies with the same bytes are one file, by the name that is judged.
    """
    found = [pair for target in targets for pair in jury.own_objects(file, target)]
    names = frozenset(name for name, _ in found)
    return dict.fromkeys((file.place, *(jury.judged(path) for _, path in found)), names)


def outside(holdings: Sequence[Holding]) -> frozenset[str]:
    """Return the libraries that come from neither the release nor a C library: nobody can say more of them."""
    own = authority(frozenset())
    return frozenset(
        name
        for name in _asked_outside(holdings)
        if name not in own and libc_of_library(name) != "musl" and "/" not in name
    )


def _asked_outside(holdings: Sequence[Holding]) -> Iterator[str]:
    for holding in holdings:
        facts = holding.elf.facts
        yield from (name for name in (*facts.needed, *facts.filters) if name not in holding.bundled)
