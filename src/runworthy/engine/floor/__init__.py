"""The floor of a release: the oldest C libraries, runtimes, kernels, CPUs and targets on which it runs, and why."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from runworthy.engine.floor.families import oldest_targets
from runworthy.engine.floor.gates import Gates, breaches, parse_gates
from runworthy.engine.floor.jury import Jury, Shipped, gather
from runworthy.engine.floor.ladder import libc_floor, releases_of
from runworthy.engine.floor.machine import cpu_floor, kernel_floor, page_sizes
from runworthy.engine.floor.reasons import Names
from runworthy.engine.floor.runtime import runtime_floor
from runworthy.engine.floor.shipped import holdings_of, outside
from runworthy.engine.opening import Given, open_given
from runworthy.model.arch import Architecture
from runworthy.model.elf import ElfFacts
from runworthy.model.floor import FloorReport, Kind, ShippedFloor
from runworthy.rules.known import libc_of_library
from runworthy.targets.additions import UnfitError
from runworthy.targets.directory import DirectoryView

__all__ = ["Gates", "floors", "floors_of", "parse_gates"]

_LIBCS: Final[tuple[Kind, ...]] = ("glibc", "musl")


def floors(subjects: Iterable[str], gates: Gates | None = None) -> FloorReport:
    """Return the floors of what is named, a set for each architecture. Raises UsageError, TargetError.

    Where there are files for glibc and for musl, each get a set of their own, as do the assets of a release.
    """
    view = DirectoryView("/")
    return floors_of([open_given(name, view) for name in subjects], gates)


def floors_of(given: Iterable[Given], gates: Gates | None = None) -> FloorReport:
    """Return the floors of what was opened. Raises UsageError, TargetError."""
    wanted = gates or Gates()
    gathered = gather(given)
    problems = dict(gathered.problems)
    shipped = []
    for group in _groups(gathered.files):
        targets = [rows[-1].target for kind in _LIBCS if (rows := releases_of(kind, group.arch))]
        try:
            shipped.append(_shipped(group, gathered.copies, targets))
        except UnfitError as error:
            problems |= {file.name: str(error) for file in group.files}
    broken = tuple(breach for one in shipped for breach in breaches(one, wanted))
    return FloorReport(shipped=tuple(shipped), problems=problems, breaches=broken)


class _Group(NamedTuple):
    """Files that can be in one process. ``libc`` is empty where it needs no telling."""

    arch: Architecture
    libc: str
    files: list[Shipped]


def _groups(files: Iterable[Shipped]) -> Iterator[_Group]:
    """Yield the files of each asset that can be in one process."""
    by_asset: dict[str, list[Shipped]] = {}
    libcs: dict[str, set[str]] = {}
    for file in files:
        facts = file.elf.facts
        by_asset.setdefault(file.asset, []).append(file)
        if facts.architecture is not None:
            libcs.setdefault(facts.architecture.name, set()).add(_built_for(facts))
    both = {arch for arch, held in libcs.items() if held.issuperset(_LIBCS)}
    for held in by_asset.values():
        yield from _processes(held, both)


def _processes(files: Iterable[Shipped], both: Container[str]) -> Iterator[_Group]:
    """Yield the files of each architecture, for both C libraries apart; those for neither go with each.

    ``both`` are the architectures for which there are files for either, be it in other assets.
    """
    by_arch: dict[str, tuple[Architecture, dict[str, list[Shipped]]]] = {}
    for file in files:
        facts = file.elf.facts
        if facts.architecture is not None:
            held = by_arch.setdefault(facts.architecture.name, (facts.architecture, {}))[1]
            held.setdefault(_built_for(facts), []).append(file)
    for arch, held in by_arch.values():
        neutral = held.pop("", [])
        for libc, group in sorted(held.items()) or [("", [])]:
            yield _Group(arch, libc if arch.name in both else "", group + neutral)


def _built_for(facts: ElfFacts) -> str:
    asked = [*([facts.interpreter] if facts.interpreter else []), *facts.needed]
    return next(filter(None, (libc_of_library(name.rpartition("/")[2]) for name in asked)), "")


def _shipped(group: _Group, copies: Mapping[str, str], targets: Sequence[str]) -> ShippedFloor:
    """Return the floors of one group; ``targets`` are the newest of each C library. Raises UnfitError."""
    arch = group.arch
    if not targets:
        raise UnfitError(f"no C library is known for {arch.name}")
    jury = Jury(arch, group.files, copies=copies)
    holdings, heads = holdings_of(jury, targets)
    present = outside(holdings)
    jury = Jury(arch, heads, present, copies)
    names = Names(partial(jury.elf, targets[0]), Jury(arch, group.files).shown)
    libcs, demanding = {}, frozenset[str]()
    for kind in _LIBCS:
        libcs[kind], above = libc_floor(kind, jury, holdings, names)
        demanding |= above
    return ShippedFloor(
        asset=group.files[0].asset,
        arch=arch.name,
        libc=group.libc,
        files=tuple(file.name for file in group.files),
        bundled=tuple(holding.shown for holding in holdings if not holding.given),
        presumed=tuple(sorted(present)),
        floors=(
            *libcs.values(),
            runtime_floor("libstdc++", holdings),
            runtime_floor("libgcc", holdings),
            kernel_floor(jury, holdings, libcs["glibc"]),
            cpu_floor(holdings),
        ),
        pages=page_sizes(jury, holdings),
        oldest=oldest_targets(jury, libcs, demanding),
    )
