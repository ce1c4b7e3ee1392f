"""One search from the walk to the report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from runworthy.engine.dedupe.ground import Loadings, Reflinks, ground_of, not_asked
from runworthy.engine.results import Cell, result_of
from runworthy.model.finding import Result
from runworthy.model.records import dataclass, field, replace
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
from runworthy.storage.planning import Wish, spares_of
from runworthy.storage.telling import told
from runworthy.storage.wastes import wastes_of
from runworthy.targets.directory import cache_directory
from runworthy.targets.storage.apart import kept_apart
from runworthy.targets.storage.caches import caches_for
from runworthy.targets.storage.copies import find_copies, recorded_copies
from runworthy.targets.storage.crew import collecting_later
from runworthy.targets.storage.environments import environments_of, root_around
from runworthy.targets.storage.owners import Owners
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.settings import settings_of
from runworthy.targets.storage.walk import Selection, Walk, walk, with_caches

if TYPE_CHECKING:
    from runworthy.targets.storage.index import Index
    from runworthy.targets.trees import Watch

__all__ = ["Search", "dedupe_of"]

_SECOND = 10**9
_GAIN, _PART = 256 << 20, 0.05
_LOADED_FROM = ("venv", "conda", "pixi", "magic", "node_modules")
_Found = Waste | Clash | Idle | Partial


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched, and what is wanted of it. ``min_size`` is in bytes, ``unused`` in seconds, 0 for not asked.

    ``thorough``: what takes long is asked however little it brings, as it is where sharing is about to be done. Without
    ``reasons`` equal files are found, and no more is asked about them. ``recorded``: what records of installers say is
    taken for it, and nothing is read.
    """

    paths: tuple[str, ...]
    min_size: int = 64 << 10
    only: tuple[str, ...] = ()
    wish: Wish = field(default_factory=Wish)
    caches: bool = True
    index: bool = True
    advise: bool = False
    unused: int = 0
    libraries: bool = False
    thorough: bool = False
    reasons: bool = True
    recorded: bool = False
    new: bool = False


def dedupe_of(search: Search, watch: Watch | None = None) -> StorageReport:
    """Return what is stored again below the paths of a search. Raises UsageError."""
    with collecting_later():
        return _Searching(search, watch).report()


class _Searching:
    """A search while it is made. Each part of what it finds is looked for when it is first asked for."""

    def __init__(self, search: Search, watch: Watch | None) -> None:
        self._search = search
        self._watch = watch
        self._places = Places()
        self._reflinks = Reflinks()
        self._problems: list[tuple[str, str]] = []

    def report(self) -> StorageReport:
        """Return all that was found."""
        found = self._found()
        if not self._search.reasons:
            return found
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

    def _found(self) -> StorageReport:
        """Return what is there and what is equal, without reasons."""
        copies = self._copies
        sizes = self._walked.sizes.values()
        return StorageReport(
            paths=self._walked.tops,
            environments=(),
            copies=copies,
            spares=(),
            results=(),
            files=sum(files for files, _ in sizes),
            allocated=sum(allocated for _, allocated in sizes),
            again=sum(file.allocated for one in copies for file in one.files[1:]),
            min_size=self._search.min_size,
            only=self._search.only,
            passed_over=self._walked.passed_over,
            problems=(*self._walked.problems, *self._problems),
            reasons=self._search.reasons,
            given=self._given,
        )

    @cached_property
    def _given(self) -> dict[str, str]:
        """The paths as they were written, by what they are: those that hold others come last."""
        written = {os.path.realpath(path): os.path.normpath(path) for path in self._search.paths}
        return dict(sorted(written.items(), key=lambda item: -len(item[0])))

    # -- what is there -----------------------------------------------------------------------

    @cached_property
    def _looked(self) -> tuple[Walk, tuple[Environment, ...]]:
        """What a walk finds, and the environments with the caches that they can have been filled from."""
        search = self._search
        walked = walk(search.paths, Selection(min_size=search.min_size, only=search.only), self._watch)
        if not search.reasons:
            return walked, ()
        environments = environments_of(walked, self._places)
        caches = caches_for(environments, os.environ, self._places) if search.caches else ()
        if caches:
            walked = with_caches(walked, [one.path for one in caches], self._watch)
        return walked, (*environments, *caches)

    @property
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

    @cached_property
    def _index(self) -> Index | None:
        if not self._search.index:
            return None
        from runworthy.targets.storage.index import Index

        return Index(cache_directory())

    @cached_property
    def _copies(self) -> tuple[Copies, ...]:
        for path in self._walked.devices:
            self._places.place(path)
        if self._search.recorded:
            return recorded_copies(
                self._walked,
                filesystem_of=self._places.filesystem_of,
                recorded=lambda path: self._owners.owner(path).recorded,
            )
        copies = find_copies(
            self._walked,
            filesystem_of=self._places.filesystem_of,
            index=self._index,
            watch=self._watch,
            problems=self._problems,
        )
        if not self._sharing:
            return copies
        from runworthy.targets.storage.extents import with_extents

        return with_extents(copies, self._sharing.__contains__, self._places.filesystem_of)

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

    def _planned(self, copies: Iterable[Copies], together: Callable[[str, str, str], Together]) -> list[Spare]:
        return spares_of(copies, ground_of(self._owners, self._places, self._reflinks, together), self._search.wish)

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
        return replace(spare, owner=own, kept_owner=kept)

    @cached_property
    def _situation(self) -> Situation:
        names = ((file.names, file.links) for file in self._walked.files.values())
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
        for file, number in zip(one.files, one.extents, strict=bool(one.extents)):
            if one.extents.count(number) > 1:
                yield file.device, file.inode


def _whose(one: _Found, owner: Callable[[str], Owner]) -> str:
    if isinstance(one, Idle):
        return one.environment.path
    return owner(one.file.names[0]).environment if isinstance(one, Partial) else one.environment
