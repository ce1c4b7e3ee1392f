"""The floors of two builds: which of them differ, and what each rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.engine.diff.docket import Docket
from runworthy.engine.opening import Given
from runworthy.engine.pairing import Build, unversioned
from runworthy.model.arch import X86_64_LEVELS
from runworthy.model.difference import FloorChange, Pair
from runworthy.model.floor import Floor, ShippedFloor
from runworthy.model.records import replace

__all__ = ["changed_floors"]


def changed_floors(given: tuple[Given, Given], docket: Docket, pairs: Sequence[Pair]) -> Iterator[FloorChange]:
    """Yield the floors that differ, and those of added assets, for each architecture and C library that has its own."""
    start = 0
    for case in docket.cases:
        own = pairs[start : start + len(case.pairs)]
        start += len(case.pairs)
        name = case.asset.name if case.asset else ""
        if case.builds[1] is None or not (any(pair.judged for pair in own) or case.builds[0] is None):
            continue
        new = _floors_of(given[1], case.builds[1])
        old = _floors_of(given[0], case.builds[0]) if case.builds[0] else {}
        for place, after in new.items():
            before = old.get(place)
            if before is not None:
                yield from _floor_changes(name, before, after)
            elif case.builds[0] is None:
                yield from _first_floors(name, after)


def _floors_of(given: Given, build: Build) -> dict[tuple[str, str, int], ShippedFloor]:
    """Return the floors of a build by the archive in it, the architecture, and where there are several, the number."""
    from runworthy.engine.floor import floors_of

    inside = {file.name for file in build.files}
    part = replace(given, subjects=[one for one in given.subjects if one.name in inside], holders=[])
    found: dict[tuple[str, str, int], ShippedFloor] = {}
    for one in floors_of([part]).shipped:
        nested = (
            unversioned(one.asset[len(build.name) :].lstrip("/!")) if one.asset.startswith(build.name) else one.asset
        )
        number = sum((inner, arch) == (nested, one.arch) for inner, arch, _ in found)
        found[nested, one.arch, number] = one
    return found


def _floor_changes(asset: str, old: ShippedFloor, new: ShippedFloor) -> Iterator[FloorChange]:
    for before, after in zip(old.floors, new.floors, strict=True):
        if _floor_text(before) != _floor_text(after):
            yield replace(_floor_change(new.arch, before, after), asset=asset)


def _first_floors(asset: str, shipped: ShippedFloor) -> Iterator[FloorChange]:
    """Yield the floors of what was added: each asks for more than nothing."""
    for floor in shipped.floors:
        if _floor_text(floor) is not None:
            nothing = Floor(kind=floor.kind, state="any")
            yield replace(_floor_change(shipped.arch, nothing, floor), asset=asset)


def _floor_text(floor: Floor) -> str | None:
    if floor.state == "at":
        return None if floor.release == X86_64_LEVELS[0] else floor.release  # every machine has the first level
    return None if floor.state in ("any", "unmarked") else floor.state


def _floor_change(arch: str, old: Floor, new: Floor) -> FloorChange:
    ranks = [(floor.state == "nowhere", floor.order if floor.state == "at" else ()) for floor in (old, new)]
    more = ranks[1] > ranks[0]
    higher = new if more else old
    reasons = (higher.rungs[0].reasons if higher.rungs else ()) or higher.reasons
    reason = reasons[0] if reasons else None
    return FloorChange(
        kind=old.kind,
        architecture=arch,
        effect="needs-more" if more else "needs-less",
        old=_floor_text(old),
        new=_floor_text(new),
        because=reason.need if reason else "",
        file=reason.file if reason else "",
        symbols=tuple(dict.fromkeys(symbol for one in reasons for symbol in one.symbols)),
    )
