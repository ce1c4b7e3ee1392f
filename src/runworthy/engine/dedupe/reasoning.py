"""The second half of a search: whose equal files are, why they are stored again, and what sharing them gives back."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from runworthy.engine.dedupe.ground import Loadings, Reflinks, ground_of, not_asked
from runworthy.engine.dedupe.search import Finding, Search
from runworthy.engine.results import Cell, result_of
from runworthy.model.finding import Result
from runworthy.model.records import replace
from runworthy.model.storage import (
    Advice,
    Clash,
    Copies,
    Environment,
    Idle,
    Owner,
    Partial,
    Spare,
    StorageReport,
    StoredFile,
    Together,
    Waste,
    as_given,
)
from runworthy.storage.causes import Situation, home_of, linking_environments, with_causes
from runworthy.storage.idle import idle_of
from runworthy.storage.planning import spares_of
from runworthy.storage.telling import told
from runworthy.storage.wastes import wastes_of
from runworthy.targets.storage.apart import kept_apart
from runworthy.targets.storage.caches import caches_for
from runworthy.targets.storage.copies import Found, recorded_copies
from runworthy.targets.storage.environments import environments_of, root_around
from runworthy.targets.storage.files import LINKS
from runworthy.targets.storage.owners import Owners
from runworthy.targets.storage.settings import settings_of
from runworthy.targets.storage.walk import Walk, with_caches

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["Reasoning"]

_SECOND = 10**9
_AT_A_TIME = 256
_GAIN, _PART = 256 << 20, 0.05
_LOADED_FROM = ("venv", "conda", "pixi", "magic", "node_modules")
_Found = Waste | Clash | Idle | Partial


class Reasoning(Finding):
    """A search that tells why files are stored again, and what can be done about it."""

    def __init__(self, search: Search, watch: Watch | None) -> None:
        super().__init__(search, watch)
        self._reflinks = Reflinks()

    def report(self) -> StorageReport:
        """Return all that was found."""
        if not self._search.reasons:
            return super().report()
        found = self._found(self._copies)
        spares, idle = self._told, self._idle()
        wastes, advice = self._advised(wastes_of(spares, self._situation))
        parts = self._told_parts
        seen: tuple[_Found, ...] = (*wastes, *parts, *self._clashes, *idle)
        partial = sum(one.equal for one in parts)
        shared = sum(one.file.allocated for one in spares if one.bar == "already-shared")
        return replace(
            found,
            environments=self._environments,
            spares=spares,
            results=tuple(self._results(seen)),
            wastes=wastes,
            partial=parts,
            clashes=self._clashes,
            idle=idle,
            advice=advice,
            again=sum(one.file.allocated for one in spares) - shared + partial,
            frees=sum(one.frees for one in spares) + partial,
            shared=shared,
            problems=(*found.problems, *self._owners.problems),
            new=self._new,
        )

    # -- what is there -----------------------------------------------------------------------

    @cached_property
    def _looked(self) -> tuple[Walk, tuple[Environment, ...]]:
        """What a walk finds, and the environments with the caches that they can have been filled from."""
        walked = self._walk()
        environments = environments_of(walked, self._places)
        caches = caches_for(environments, os.environ, self._places) if self._search.caches else ()
        if caches:
            walked = with_caches(walked, [one.path for one in caches], self._watch)
        return walked, (*environments, *caches)

    @cached_property
    def _walked(self) -> Walk:
        return self._looked[0]

    @property
    def _environments(self) -> tuple[Environment, ...]:
        return self._looked[1]

    @cached_property
    def _by_path(self) -> dict[str, Environment]:
        return {one.path: one for one in self._environments}

    @cached_property
    def _owners(self) -> Owners:
        return Owners(self._environments)

    def _compare(self) -> Found:
        if not self._search.recorded:
            return super()._compare()
        return recorded_copies(
            self._walked,
            filesystem_of=self._places.filesystem_of,
            recorded=lambda path: self._owners.owner(path).recorded,
        )

    @cached_property
    def _copies(self) -> Sequence[Copies]:
        """The same, with what shares its storage already."""
        if not self._sharing:
            return self._equal
        from runworthy.targets.storage.extents import with_extents

        return with_extents(self._equal, self._sharing.__contains__, self._places.filesystem_of)

    @cached_property
    def _sharing(self) -> frozenset[str]:
        """The file systems on which files can share extents."""
        return frozenset(one.place.filesystem for one in self._environments if self._reflinks.of(one.place))

    @cached_property
    def _partial(self) -> tuple[Partial, ...]:
        """Files that differ in a few blocks alone, where blocks can be shared."""
        if not self._sharing or self._search.wish.how not in ("auto", "reflink"):
            return ()
        from runworthy.storage.likely import likely
        from runworthy.targets.storage.partial import find_partial

        groups = likely(
            self._walked.files.values(),
            self._copies,
            owner=self._owners.owner,
            kinds={path: one.kind for path, one in self._by_path.items()},
            filesystem_of=self._places.filesystem_of,
            reflinks=self._sharing.__contains__,
            stay={(one.kept.device, one.kept.inode) for one in self._spares if one.how},
        )
        return find_partial((tuple(filter(self._may_share, group)) for group in groups), watch=self._watch)

    def _may_share(self, file: StoredFile) -> bool:
        """Whether a file is none of those that are never shared, and lies where something can be changed."""
        return not any(map(kept_apart, file.names)) and not self._places.place(os.path.dirname(file.names[0])).read_only

    # -- what is told of it ------------------------------------------------------------------

    @cached_property
    def _spares(self) -> tuple[Spare, ...]:
        if self._search.wish.within_env and self._search.thorough:  # no bar, and what comes of it is told
            loadings = Loadings(self._copies, self._environments, self._owners)
            return with_causes(map(self._at_home, self._planned(self._copies, loadings.together)), self._situation)
        spares = self._planned(self._copies, not_asked)
        if self._is_worth_asking(spares):
            loadings = Loadings(self._copies, self._environments, self._owners)
            known = {spare.file for spare in spares if spare.bar == "not-asked"}
            again = [one for one in self._copies if not known.isdisjoint(one.files)]
            settled = {file for one in again for file in one.files}
            spares = [spare for spare in spares if spare.file not in settled]
            spares += self._planned(again, loadings.together)
        return with_causes(map(self._at_home, spares), self._situation)

    def _planned(self, copies: Sequence[Copies], together: Callable[[str, str, str], Together]) -> list[Spare]:
        ground = ground_of(self._owners, self._places, self._reflinks, together)
        return spares_of(self._watched(copies), ground, self._search.wish)

    def _watched(self, copies: Sequence[Copies]) -> Iterator[Copies]:
        """Yield copies, and tell how far that is."""
        for number, one in enumerate(copies):
            if self._watch is not None and not number % _AT_A_TIME:
                self._watch("plan", number, len(copies))
            yield one

    def _is_worth_asking(self, spares: Iterable[Spare]) -> bool:
        """Whether to ask what processes load together: that takes long, so that it has to bring something."""
        again = asked = 0
        for spare in spares:
            again += spare.file.allocated
            asked += spare.file.allocated if spare.bar == "not-asked" else 0
        return asked > 0 if self._search.thorough else asked > min(_GAIN, again * _PART)

    def _at_home(self, spare: Spare) -> Spare:
        """Return a spare file as that of the environment that has it, rather than of the cache it is linked to."""
        own, kept = (self._owners.owner(home_of(one, self._situation)) for one in (spare.file, spare.kept))
        return spare if own is spare.owner and kept is spare.kept_owner else replace(spare, owner=own, kept_owner=kept)

    @cached_property
    def _situation(self) -> Situation:
        files = self._walked.files
        names = ((files.names_of(number), links) for number, links in enumerate(files.column(LINKS)) if links > 1)
        return Situation(
            environments=self._by_path,
            settings=settings_of(self._environments, os.environ, self._places),
            linking=linking_environments(names, self._by_path),
            cloned=frozenset(_cloned(self._copies)),
        )

    @cached_property
    def _new(self) -> frozenset[str] | None:
        """The names of files that no earlier run has told, which are remembered; None where not asked."""
        if not self._search.new or self._index is None:
            return None
        files = [spare.file for spare in self._spares] + [part.file for part in self._partial]
        unseen = frozenset(self._index.unseen(file.names[0] for file in files))
        self._index.tell(unseen)
        return unseen

    @property
    def _told(self) -> tuple[Spare, ...]:
        new = self._new
        return self._spares if new is None else tuple(one for one in self._spares if one.file.names[0] in new)

    @property
    def _told_parts(self) -> tuple[Partial, ...]:
        new = self._new
        return self._partial if new is None else tuple(one for one in self._partial if one.file.names[0] in new)

    @cached_property
    def _clashes(self) -> tuple[Clash, ...]:
        """Builds of one library that a process would load together, in each environment that processes load from."""
        if not self._search.libraries:
            return ()
        from runworthy.engine.dedupe.clashing import clashes_of
        from runworthy.engine.dedupe.loading import Loading

        held = [one for one in self._environments if one.kind in _LOADED_FROM]
        loadings = (Loading(one, root=root_around(one.path)) for one in held)
        return tuple(clash for one in loadings for clash in clashes_of(one, self._owners.owner))

    def _idle(self) -> tuple[Idle, ...]:
        if not self._search.unused:
            return ()
        return idle_of(self._environments, time.time_ns() - self._search.unused * _SECOND)

    def _advised(self, wastes: tuple[Waste, ...]) -> tuple[tuple[Waste, ...], tuple[Advice, ...]]:
        """Return settings that keep copies from coming back, each tried with real links between its two places.

        What the trials showed is told with the wastes, too.
        """
        if not self._search.advise:
            return wastes, ()
        from runworthy.storage.advice import advice_of, with_trials
        from runworthy.targets.storage.trials import trial

        advice = advice_of(wastes, self._situation, trial)
        return with_trials(wastes, advice, self._situation), advice

    def _results(self, found: Iterable[_Found]) -> Iterator[Result]:
        """Yield one result for each environment of which something was found: its findings, by the rules."""
        held: dict[str, list[_Found]] = {}
        for one in found:
            held.setdefault(_whose(one, self._owners.owner), []).append(one)
        for path, some in sorted(held.items()):
            cell = Cell(
                subject=as_given(path, self._given),
                target="",
                path=path,
                trace=told(path, some),
                shown=lambda one: as_given(one, self._given),
                storage=tuple(some),
            )
            yield result_of(cell)


def _cloned(copies: Iterable[Copies]) -> Iterator[tuple[int, int]]:
    """Yield the stored files that share their storage with another one."""
    for one in copies:
        many = Counter(one.extents)
        for file, number in zip(one.files, one.extents, strict=bool(one.extents)):
            if many[number] > 1:
                yield file.device, file.inode


def _whose(one: _Found, owner: Callable[[str], Owner]) -> str:
    if isinstance(one, Idle):
        return one.environment.path
    return owner(one.file.names[0]).environment if isinstance(one, Partial) else one.environment
