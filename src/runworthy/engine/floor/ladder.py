"""The floor of a C library: its releases one after the other, each judged as a root of its own.

Releases are judged where it matters: both ends, and by halves wherever the ends differ, so that the floor and the
release below it are always judged. What stands in the way of a file does not come and go between two releases with
nothing in the way, or with the same things where the newest has none; where the newest has some, all are judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from runworthy.engine.floor.jury import CLEAN, Hindrance, Jury, Shipped, Standing
from runworthy.engine.floor.reasons import Names, carriers, reasons
from runworthy.engine.floor.shipped import Holding
from runworthy.model.arch import Architecture
from runworthy.model.floor import Floor, Kind, Reason, Rung, State
from runworthy.model.records import replace
from runworthy.rules.known import GLIBC_LIBRARIES, libc_of_library
from runworthy.targets.catalogue import open_catalogue

__all__ = ["Release", "Standings", "libc_floor", "releases_of"]

_OTHER = {"glibc": "musl", "musl": "glibc"}
_QUALITY = {"fails": 0, "unknown": 1, "risky": 2, "runs": 3}
_STARTS = 2
_NODE = re.compile(r"GLIBC_(\d+(?:\.\d+)+)")


class Release(NamedTuple):
    """A release of a C library and the target of the catalogue that stands for it."""

    version: tuple[int, ...]
    target: str

    @property
    def text(self) -> str:
        """The release as people write it."""
        return ".".join(map(str, self.version))


class Standings(NamedTuple):
    """Releases, the oldest first, and how all files together stand on each."""

    releases: Sequence[Release]
    together: Sequence[Standing]
    demanding: frozenset[str]
    """Names of the files in whose way something stands on one of the releases."""


def releases_of(kind: Kind, arch: Architecture) -> list[Release]:
    """Return the releases of glibc or musl that the catalogue has for an architecture, the oldest first.

    musl has no targets of its own: the first Alpine with a release stands for it.
    """
    family = {"glibc": "glibc", "musl": "alpine"}[kind]
    found: dict[tuple[int, ...], tuple[tuple[int, ...], str]] = {}
    for row in open_catalogue().index().targets():
        version = row.libc.version
        if row.family == family and row.arch is arch and version is not None:
            found[version] = min(found.get(version, (row.order, row.name)), (row.order, row.name))
    return [Release(version, name) for version, (_, name) in sorted(found.items())]


def libc_floor(kind: Kind, jury: Jury, holdings: Sequence[Holding], names: Names) -> tuple[Floor, frozenset[str]]:
    """Return the floor of a C library, and the names of the files that ask for more than its oldest release has."""
    releases = releases_of(kind, jury.arch)
    names = names._replace(versioned=kind == "glibc")
    if not releases:
        said = Reason(file="", need=f"no release of {kind} is known for {jury.arch.name}")
        return Floor(kind=kind, state="unknown", reasons=(said,)), frozenset(file.name for file in jury.files)
    foreign = _built_for_other(kind, jury, releases[-1])
    if foreign:
        nowhere = Floor(kind=kind, state="nowhere", words=f"built for {_OTHER[kind]}", oldest=releases[0].text)
        return replace(nowhere, reasons=reasons(foreign, names)), frozenset()
    standings = _standings(jury, releases)
    floor = _floor(kind, standings, names)
    if floor.state == "at" and not floor.rungs:
        floor = _below(floor, holdings)
    elif kind == "glibc" and floor.state == "at":
        floor = replace(floor, rungs=(*floor.rungs, *_by_name(holdings, releases[0].version)))
    return floor, standings.demanding


def _built_for_other(kind: Kind, jury: Jury, newest: Release) -> frozenset[Hindrance]:
    """Return why the first file that is built for another C library does not run on this one."""
    for file in jury.files:
        facts = file.elf.facts
        asked = [*facts.needed, *([facts.interpreter] if facts.interpreter else [])]
        if any(libc_of_library(name.rpartition("/")[2]) == _OTHER[kind] for name in asked):
            fatal = jury.standing(file, newest.target).fatal
            foreign = {one for one in fatal if libc_of_library(one.name.rpartition("/")[2]) == _OTHER[kind]}
            if foreign:
                return frozenset(one for one in foreign if one.kind in ("interpreter", "library"))
    return frozenset()


def _standings(jury: Jury, releases: Sequence[Release]) -> Standings:
    together = [CLEAN] * len(releases)
    demanding = set()
    for file in jury.files:
        row = _row(partial(_judge, jury, releases, file), len(releases))
        if any(one is not CLEAN for one in row):
            demanding.add(file.name)
            together = [held.joined(one) for held, one in zip(together, row, strict=True)]
    return Standings(releases, together, frozenset(demanding))


def _judge(jury: Jury, releases: Sequence[Release], file: Shipped, at: int) -> Standing:
    return jury.standing(file, releases[at].target)


def _row(judge: Callable[[int], Standing], count: int) -> list[Standing]:
    """Return the standing on each of ``count`` releases, judging as few as can be."""
    last = count - 1
    held = {at: judge(at) for at in {0, last}}
    if held[last] != CLEAN:
        return [held.get(at) or judge(at) for at in range(count)]
    pending = [(0, last)]
    while pending:
        low, high = pending.pop()
        if held[low] == held[high]:
            held |= dict.fromkeys(range(low + 1, high), held[low])
        elif high - low > 1:
            middle = (low + high) // 2
            held[middle] = judge(middle)
            pending += [(low, middle), (middle, high)]
    return [held[at] for at in range(count)]


# -- what the standings say ------------------------------------------------------------------


def _floor(kind: Kind, standings: Standings, names: Names) -> Floor:
    releases, together, _ = standings
    quality = [_QUALITY[one.verdict] for one in together]
    best = max(quality)
    top = max(at for at, one in enumerate(quality) if one == best)
    plain = Floor(kind=kind, state="nowhere", oldest=releases[0].text)
    if best < _STARTS:
        held = together[top]
        state: State = "unknown" if best else "nowhere"
        return replace(plain, state=state, reasons=reasons(held.fatal or held.unknown, names))
    bottom = _down(quality, top, best)
    starts = _down(quality, bottom, _STARTS)
    capped = top + 1 < len(releases)
    return replace(
        plain,
        state="at",
        release=releases[bottom].text,
        order=releases[bottom].version,
        words=releases[bottom].target if kind == "musl" else "",
        open_below=bottom == 0,
        judged=bottom > 0,
        starts=releases[starts].text if starts < bottom or best == _STARTS else "",
        missing=reasons(together[bottom - 1 if starts < bottom else bottom].later, names),
        ceiling=releases[top].text if capped else "",
        above=reasons(together[top + 1].all - together[top].all, names) if capped else (),
        rungs=_rungs(standings, bottom, names),
    )


def _down(quality: Sequence[int], at: int, least: int) -> int:
    """Return the lowest place to which every quality from ``at`` down is at least this."""
    while at > 0 and quality[at - 1] >= least:
        at -= 1
    return at


def _rungs(standings: Standings, bottom: int, names: Names) -> tuple[Rung, ...]:
    """Return what is there from each release on and not before, for the floor and all below it."""
    releases, together, _ = standings
    found = []
    for at in range(bottom, 0, -1):
        new = (together[at - 1].all | together[at - 1].unknown) - together[at].all - together[at].unknown
        if new:
            said = reasons(new, names)
            found.append(Rung(release=releases[at].text, order=releases[at].version, reasons=said))
    return tuple(found)


# -- older than what can be judged -----------------------------------------------------------


def _below(floor: Floor, holdings: Sequence[Holding]) -> Floor:
    """Return the floor of files that run on the oldest release there is: by the names of the versions they need."""
    asks = any(holding.elf.facts.needed or holding.elf.facts.interpreter for holding in holdings)
    if not (asks or floor.ceiling or floor.starts):
        return Floor(kind=floor.kind, state="any", oldest=floor.oldest)
    if floor.kind == "musl":
        return floor
    rungs = _by_name(holdings, floor.order)
    if not rungs:
        return floor
    first = rungs[0]
    return replace(floor, release=first.release, order=first.order, open_below=False, rungs=rungs)


def _by_name(holdings: Sequence[Holding], oldest: tuple[int, ...]) -> tuple[Rung, ...]:
    """Return a rung for each version of glibc up to the oldest release that can be judged."""
    found: dict[tuple[int, ...], list[Reason]] = {}
    for holding in holdings:
        for need in holding.elf.facts.version_needs:
            node = _NODE.fullmatch(need.version)
            if node is None or need.weak or need.file in holding.bundled or not _is_glibc(need.file):
                continue
            order = tuple(map(int, node[1].split(".")))
            if order <= oldest:
                symbols, weak = carriers(holding.elf, need.file, need.version)
                said = Reason(file=holding.shown, need=need.version, library=need.file, symbols=symbols, weak=weak)
                found.setdefault(order, []).append(said)
    return tuple(
        Rung(release=".".join(map(str, order)), order=order, reasons=tuple(found[order]))
        for order in sorted(found, reverse=True)
    )


def _is_glibc(file: str) -> bool:
    return file in GLIBC_LIBRARIES or libc_of_library(file) == "glibc"
