"""One search from the walk to the report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from runworthy.engine.dedupe.ground import Reflinks, ground_of
from runworthy.engine.results import Cell, result_of
from runworthy.model.finding import Result
from runworthy.model.records import dataclass, field, replace
from runworthy.model.storage import (
    Clash,
    Copies,
    Environment,
    Idle,
    Owner,
    Partial,
    Spare,
    StorageReport,
    Waste,
)
from runworthy.storage.causes import Situation, cause_of
from runworthy.storage.idle import idle_of
from runworthy.storage.planning import Wish, spares_of
from runworthy.storage.telling import told
from runworthy.storage.wastes import wastes_of
from runworthy.targets.storage.caches import caches_for
from runworthy.targets.storage.copies import find_copies
from runworthy.targets.storage.environments import environments_of
from runworthy.targets.storage.owners import Owners
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.walk import Selection, Walk, walk, with_caches

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["Search", "dedupe_of"]

_SECOND = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched, and what is wanted of it. ``min_size`` is in bytes, ``unused`` in seconds, 0 for not asked."""

    paths: tuple[str, ...]
    min_size: int = 64 << 10
    only: tuple[str, ...] = ()
    wish: Wish = field(default_factory=Wish)
    caches: bool = True
    index: bool = True
    advise: bool = False
    unused: int = 0
    new: bool = False


def dedupe_of(search: Search, watch: Watch | None = None) -> StorageReport:
    """Return what is stored again below the paths of a search. Raises UsageError."""
    return _Searching(search, watch).report()


class _Searching:
    """A search while it is made: each step rests on those before it."""

    def __init__(self, search: Search, watch: Watch | None) -> None:
        self._search = search
        self._watch = watch
        self._places = Places()
        self._reflinks = Reflinks()

    def report(self) -> StorageReport:
        walked, environments = self._look()
        by_path = {one.path: one for one in environments}
        owner = Owners(environments).owner
        copies = self._copies(walked, by_path)
        ground = ground_of(copies, by_path, owner, self._places, self._reflinks)
        situation = self._situation(copies, by_path)
        spares = [_with_cause(spare, situation) for spare in spares_of(copies, ground, self._search.wish)]
        new = self._new(spares)
        told_now = spares if new is None else [spare for spare in spares if spare.file.names[0] in new]
        wastes = wastes_of(told_now, situation)
        partial = self._partial(walked, copies, owner, by_path)
        clashes = self._clashes(walked, environments)
        idle = idle_of(environments, time.time_ns() - self._search.unused * _SECOND) if self._search.unused else ()
        return StorageReport(
            paths=walked.tops,
            environments=environments,
            copies=copies,
            spares=tuple(told_now),
            results=tuple(_results(wastes, partial, clashes, idle, owner)),
            wastes=wastes,
            partial=partial,
            clashes=clashes,
            idle=idle,
            advice=self._advice(wastes, situation),
            **_totals(walked, told_now, partial),
            min_size=self._search.min_size,
            only=self._search.only,
            passed_over=walked.passed_over,
            problems=walked.problems,
            new=new,
        )

    # -- what is there -----------------------------------------------------------------------

    def _look(self) -> tuple[Walk, tuple[Environment, ...]]:
        """Walk, and return what was found with the environments, the caches that they were filled from among them."""
        search = self._search
        walked = walk(search.paths, Selection(min_size=search.min_size, only=search.only), self._watch)
        environments = environments_of(walked, self._places)
        if not search.caches:
            return walked, environments
        known = {one.path for one in environments}
        caches = [one for one in caches_for(environments, os.environ) if one.path not in known]
        return with_caches(walked, [one.path for one in caches], self._watch), (*environments, *caches)

    def _copies(self, walked: Walk, environments: Mapping[str, Environment]) -> tuple[Copies, ...]:
        for path in walked.devices:
            self._places.place(path)
        copies = find_copies(walked, filesystem_of=self._places.filesystem_of, index=self._index, watch=self._watch)
        sharing = {one.place.filesystem for one in environments.values() if self._reflinks.of(one.place)}
        if not sharing:
            return copies
        from runworthy.targets.storage.extents import with_extents

        return with_extents(copies, sharing.__contains__)

    def _partial(
        self,
        walked: Walk,
        copies: Sequence[Copies],
        owner: Callable[[str], Owner],
        environments: Mapping[str, Environment],
    ) -> tuple[Partial, ...]:
        """Return files that differ in a few blocks alone, where blocks can be shared."""
        sharing = {one.place.filesystem for one in environments.values() if self._reflinks.of(one.place) == "extents"}
        if not sharing:
            return ()
        from runworthy.storage.likely import likely
        from runworthy.targets.storage.partial import find_partial

        groups = likely(
            walked.files.values(),
            copies,
            owner=owner,
            kinds={path: one.kind for path, one in environments.items()},
            filesystem_of=self._places.filesystem_of,
            reflinks=sharing.__contains__,
        )
        return find_partial(groups, watch=self._watch)

    def _new(self, spares: Sequence[Spare]) -> frozenset[str] | None:
        """Return the names of spare files that no earlier run has told, and remember them; None where not asked."""
        if not self._search.new or self._index is None:
            return None
        names = [spare.file.names[0] for spare in spares]
        unseen = frozenset(self._index.unseen(names))
        self._index.tell(unseen)
        return unseen


def _with_cause(spare: Spare, situation: Situation) -> Spare:
    cause, _ = cause_of(spare.file, spare.owner, spare.kept, spare.kept_owner, situation)
    return replace(spare, cause=cause)


def _totals(walked: Walk, spares: Iterable[Spare], partial: Iterable[Partial]) -> dict[str, int]:
    held = list(spares)
    again = [one for one in held if one.bar != "already-shared"]
    return {
        "files": sum(files for files, _ in walked.sizes.values()),
        "allocated": sum(size for _, size in walked.sizes.values()),
        "again": sum(one.file.allocated for one in again) + sum(one.equal for one in partial),
        "frees": sum(one.frees for one in held) + sum(one.equal for one in partial),
        "shared": sum(one.file.allocated for one in held if one.bar == "already-shared"),
    }


def _results(found: Iterable[Waste | Clash | Idle | Partial], owner: Callable[[str], Owner]) -> Iterable[Result]:
    """Yield one result for each environment of which something was found: its findings, by the rules."""
    held: dict[str, list[Waste | Clash | Idle | Partial]] = {}
    for one in found:
        held.setdefault(_whose(one, owner), []).append(one)
    for environment, some in sorted(held.items()):
        trace = told(environment, some)
        yield result_of(Cell(subject=environment, target="", path=environment, trace=trace, storage=tuple(some)))


def _whose(one: Waste | Clash | Idle | Partial, owner: Callable[[str], Owner]) -> str:
    if isinstance(one, Idle):
        return one.environment.path
    return owner(one.file.names[0]).environment if isinstance(one, Partial) else one.environment
