"""Two builds: which of their files belong together, what differs, and on which targets the verdict changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, NamedTuple

from runworthy.engine.check import Engine, Wishes
from runworthy.engine.compare import changes_between
from runworthy.engine.opening import Given
from runworthy.engine.pairing import Build, File, Match, build_of, paired, touched, unversioned
from runworthy.engine.releases import assets_of, paired_assets
from runworthy.engine.verdict import known_host_in, weight_of
from runworthy.model.arch import X86_64_LEVELS, Architecture
from runworthy.model.difference import AssetPair, Cell, Difference, FloorChange, Outcome, Pair, Shift
from runworthy.model.errors import ArchitectureError, FormatError, UsageError
from runworthy.model.finding import Result, Verdict
from runworthy.model.floor import Floor, ShippedFloor
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Need
from runworthy.targets.names import TargetName

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["compare_builds"]

_CELLS = 4000
"""How many cells are judged where the user names no target: more of them take too long to wait for."""

_FLOOR_FILES = 100
_AT_ONCE = 400
_DECIDING = 8
_KNOWN_BY_ALL = ("alpine", "debian", "rhel", "ubuntu")
_RANKS: Mapping[Verdict, int] = {"runs": 0, "risky": 1, "unknown": 2, "fails": 3}


def compare_builds(
    old: str,
    new: str,
    targets: Sequence[TargetName] = (),
    *,
    like: TargetName | None = None,
    wishes: Wishes | None = None,
    watch: Watch | None = None,
) -> Difference:
    """Return what differs between two files, archives, directories or releases, and the verdicts on the targets.

    Without ``targets`` they are taken from the catalogue, with the machine and the stated libraries of ``like``.
    Raises UsageError, TargetError.
    """
    engine = Engine(wishes)
    given = engine.open(old, watch), engine.open(new, watch)
    builds = build_of(given[0]), build_of(given[1])
    if builds[0].is_tree is not builds[1].is_tree:
        hint = "compare two files, two archives or directories, or an archive with the same as a directory"
        raise UsageError(f"{old} is {_kind(given[0])} and {new} {_kind(given[1])}", hint=hint)
    docket = _docket(given, builds)
    matches = [match for case in docket.cases for match in case.matches]
    pairs = [pair for case in docket.cases for pair in case.pairs]
    judged = [at for at in docket.touched(given) if not pairs[at].problem]
    chosen = ""
    if not targets:
        targets, chosen = _telling(_architectures(matches, judged), len(judged), like or TargetName(""))
    court = _Court(engine, builds, targets, wishes or Wishes(), watch, named=not chosen)
    cells = court.judge({at: matches[at] for at in judged}, docket.beside())
    pairs = [replace(pair, judged=at in cells, cells=cells.get(at, ())) for at, pair in enumerate(pairs)]
    return Difference(
        old=old,
        new=new,
        pairs=tuple(pairs),
        targets=tuple(name.text for name in targets),
        chosen=chosen,
        floors=tuple(_floors(given, docket, pairs)) if len(judged) <= _FLOOR_FILES else None,
        assets=tuple(docket.assets),
    )


def _kind(given: Given) -> str:
    return "a directory" if given.is_directory else "an archive" if given.is_archive else "a file"


# -- assets ----------------------------------------------------------------------------------


class _Case(NamedTuple):
    """Two builds, or assets of them, with the files that belong together. ``asset`` is None for what is in none."""

    asset: AssetPair | None
    builds: tuple[Build | None, Build | None]
    matches: list[Match]
    pairs: list[Pair]

    @property
    def names(self) -> Iterator[str]:
        """The names of both, as people write them."""
        return (build.name for build in self.builds if build is not None)


class _Docket(NamedTuple):
    """All that is compared."""

    cases: list[_Case]
    assets: list[AssetPair]

    def touched(self, given: tuple[Given, Given]) -> Iterator[int]:
        """Yield the places, among all pairs, of those whose verdict is to be judged: not those of added assets.

        A change of an asset reaches those, too, that are installed with it.
        """
        reached = [list(touched(case.matches, [pair.identical for pair in case.pairs])) for case in self.cases]
        changed = {name for case, own in zip(self.cases, reached, strict=True) if own for name in case.names}
        start = 0
        for case, own in zip(self.cases, reached, strict=True):
            if None not in case.builds:
                joined = any(
                    not changed.isdisjoint(_companions(*side)) for side in zip(given, case.builds, strict=True)
                )
                yield from (start + at for at in (range(len(case.matches)) if joined else own))
            start += len(case.matches)

    def beside(self) -> dict[int, tuple[File, ...]]:
        """Return what was beside each added file before, by its place among all pairs: the same asset's old files."""
        found: dict[int, tuple[File, ...]] = {}
        start = 0
        for case in self.cases:
            old = [match for match in case.matches if match.old is not None]
            for at, match in enumerate(case.matches, start):
                if match.old is None:
                    arch = match.architecture
                    found[at] = tuple(one.old for one in old if one.old and one.architecture is arch)
            start += len(case.matches)
        return found


def _docket(given: tuple[Given, Given], builds: tuple[Build, Build]) -> _Docket:
    """Return what is compared with what: the builds, or where both are directories with assets, asset by asset."""
    if not (given[0].is_directory and given[1].is_directory):
        return _Docket([_case(None, builds)], [])
    old, new = assets_of(given[0], builds[0]), assets_of(given[1], builds[1])
    assets = paired_assets(old, new)
    if not assets:
        return _Docket([_case(None, builds)], [])
    by_place = [{build.name: build for name, build in held.items() if name} for held in (old, new)]
    cases = [_case(None, (old[""], new[""]))]
    cases += [_case(one, (by_place[0].get(one.old or ""), by_place[1].get(one.new or ""))) for one in assets]
    return _Docket(cases, assets)


def _case(asset: AssetPair | None, builds: tuple[Build | None, Build | None]) -> _Case:
    nothing = Build("", is_tree=True, files=())
    matches = paired(builds[0] or nothing, builds[1] or nothing)
    renamed = _renamed(matches)
    return _Case(asset, builds, matches, [_compared(match, renamed, asset) for match in matches])


def _renamed(matches: Iterable[Match]) -> dict[str, str]:
    """Return the libraries of both builds that go by another name in the new one."""
    pairs = [(match.old.soname, match.new.soname) for match in matches if match.old and match.new]
    return {before: after for before, after in pairs if before and after and before != after}


def _companions(given: Given, build: Build | None) -> Iterator[str]:
    """Yield the names of the packages of a release that are installed with one of them."""
    if len(given.holders) < 2 or build is None:
        return
    from runworthy.engine.companions import companions

    for holder in given.holders:
        if holder.name == build.name:
            yield from (one.name for one in companions(holder, given.holders))


def _compared(match: Match, renamed: Mapping[str, str], asset: AssetPair | None) -> Pair:
    old, new, by = match
    present = [file for file in (old, new) if file is not None]
    facts = [file.elf.facts for file in present if file.elf is not None]
    arch = facts[0].architecture if facts else None
    pair = Pair(
        name=_name(present[-1], asset),
        asset=asset.name if asset else "",
        old=old.name if old else None,
        new=new.name if new else None,
        paired_by=by,
        is_library=bool(facts) and not facts[-1].is_program,
        architecture=arch.name if arch else "",
        problem=next((f"{file.name}: {file.problem}" for file in present if file.problem), ""),
    )
    if old is None or new is None or old.elf is None or new.elf is None:
        return pair
    try:
        if old.same_bytes(new):
            return replace(pair, identical=True)
        return replace(pair, changes=changes_between(old.elf, new.elf, renamed))
    except (FormatError, OSError) as error:
        return replace(pair, problem=str(error))


def _name(file: File, asset: AssetPair | None) -> str:
    """Return the name of a file in its build, with that of the asset that it comes in."""
    if asset is None:
        return file.path
    where = asset.old if asset.new is None else asset.new
    return f"{asset.name}{file.name[len(where or '') :]}"


def _floors(given: tuple[Given, Given], docket: _Docket, pairs: Sequence[Pair]) -> Iterator[FloorChange]:
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


# -- targets ---------------------------------------------------------------------------------


def _architectures(matches: Sequence[Match], judged: Iterable[int]) -> dict[str, Architecture]:
    """Return the architectures of the files that are judged, by name."""
    found = (match.architecture for match in map(matches.__getitem__, judged))
    return {arch.name: arch for arch in found if arch is not None}


def _telling(archs: Mapping[str, Architecture], pairs: int, like: TargetName) -> tuple[Sequence[TargetName], str]:
    """Return targets of the catalogue, as many of them as are judged in a few seconds, and how they were chosen."""
    from runworthy.targets.catalogue import open_catalogue

    stated = like.wish.architecture()
    wanted = {stated.name} if stated else set(archs)
    index = open_catalogue().index()
    known = {row.name for row in index.targets() if row.arch.name in wanted}
    families = {family: [name for name in names if name in known] for family, names in index.families.items()}
    ends = {family: list(dict.fromkeys([*names[:1], *names[-1:]])) for family, names in families.items()}
    few = {family: ends.get(family, []) for family in _KNOWN_BY_ALL}
    for words, choice in (
        ("every target of the catalogue", families),
        ("the oldest and the newest target of each family", ends),
        (f"the oldest and the newest of {', '.join(_KNOWN_BY_ALL)}", few),
    ):
        names = [name for family in choice.values() for name in family]
        chosen = words
        if 2 * pairs * len(names) <= _CELLS:
            break
    return [TargetName(name, like.wish, like.present) for name in names], chosen


# -- verdicts --------------------------------------------------------------------------------


class _Court:
    """Has both builds judged as ``check`` judges, and keeps of each verdict only what is told."""

    def __init__(
        self,
        engine: Engine,
        builds: tuple[Build, Build],
        targets: Sequence[TargetName],
        wishes: Wishes,
        watch: Watch | None,
        *,
        named: bool,
    ) -> None:
        self._builds = builds
        self._targets = targets
        self._wishes = wishes
        self._watch = watch
        self._engine = engine
        self._named = named
        self._places = _places(targets)
        self._beside: Mapping[int, tuple[File, ...]] = {}
        self._there: dict[tuple[str, Architecture | None], bool] = {}

    def judge(
        self, matches: Mapping[int, Match], beside: Mapping[int, tuple[File, ...]]
    ) -> dict[int, tuple[Cell, ...]]:
        """Return the cells of each match, one for each target; ``beside`` is what was there before an added file.

        Raises UsageError, TargetError.
        """
        self._beside = beside
        self._refuse_unopenable(matches.values())
        cells: dict[int, tuple[Cell, ...]] = {}
        groups: dict[str, dict[int, Match]] = {}
        for at, match in matches.items():
            if match.new is not None:
                groups.setdefault(match.bound_to, {})[at] = match
        for bound, group in groups.items():
            cells |= self._group(group, [_bind(name, bound) for name in self._targets])
        return cells

    def _group(self, matches: Mapping[int, Match], targets: Sequence[TargetName]) -> dict[int, tuple[Cell, ...]]:
        """Judge some targets at a time: a verdict comes with its whole trace, of which little is kept."""
        cells: dict[int, list[Cell]] = {at: [] for at in matches}
        step = max(1, _AT_ONCE // (2 * len(matches)))
        for first in range(0, len(targets), step):
            some = targets[first : first + step]
            found = self._outcomes(matches, some)
            for at, match in matches.items():
                beside = self._beside.get(at, ())
                cells[at] += [cell for name in some if (cell := self._cell(name, match, beside, found)) is not None]
            if self._watch is not None:
                self._watch("judge", first + len(some), len(targets))
        return {at: tuple(held) for at, held in cells.items()}

    def _outcomes(self, matches: Mapping[int, Match], targets: Sequence[TargetName]) -> _Outcomes:
        old = [match.old for match in matches.values() if match.old]
        old += [file for at in matches for file in self._beside.get(at, ())]
        sides = [old, [match.new for match in matches.values() if match.new]]
        found: _Outcomes = {}
        # Each build by itself: packages of one release are not installed with those of the other.
        for build, side in zip(self._builds, sides, strict=True):
            wanted = frozenset(file.name for file in side)
            for result in self._engine.check([build.name], targets, only=wanted).results if wanted else ():
                found[result.subject, result.wanted] = _Judged(result)
        return found

    def _cell(self, name: TargetName, match: Match, beside: Iterable[File], found: _Outcomes) -> Cell | None:
        """Return what became of a verdict, None where the new file is not for the target."""
        old = found.get((match.old.name, name.text)) if match.old else None
        new = found.get((match.new.name, name.text)) if match.new else None
        if new is None or not self._is_there(name, match.architecture):
            return None
        family, place = self._places.get(name.text, ("", 0))
        before = old or _best([one for file in beside if (one := found.get((file.name, name.text)))])
        known = before.causes if before else {}
        shift = _shift(before, new)
        shift = "same" if old is None and shift == "better" else shift
        because = [need for cause, need in new.causes.items() if cause not in known]
        return Cell(
            target=name.text,
            shift=shift,
            old=old.outcome if old else None,
            new=new.outcome,
            because=tuple(because[:_DECIDING]) if shift in ("worse", "unclear") else (),
            family=family,
            place=place,
        )

    def _is_there(self, name: TargetName, arch: Architecture | None) -> bool:
        """Whether there is such a target for an architecture. One that the user named is told of in any case."""
        held = self._there.get((name.text, arch))
        if held is None:
            held = self._there[name.text, arch] = self._named or _opens(name, arch)
        return held

    def _refuse_unopenable(self, matches: Iterable[Match]) -> None:
        """Raise TargetError for a target that no file of either build can be judged on."""
        archs = {match.architecture for match in matches}
        for name in self._targets:
            errors = []
            for arch in archs:
                try:
                    name.open(arch)
                except ArchitectureError as error:
                    errors.append(error)
            if errors and len(errors) == len(archs):
                raise errors[0]


def _opens(name: TargetName, arch: Architecture | None) -> bool:
    try:
        name.open(arch)
    except ArchitectureError:
        return False
    return True


class _Judged:
    """What is kept of a result: the outcome, and every cause that decides it."""

    __slots__ = ("causes", "outcome")

    def __init__(self, result: Result) -> None:
        self.causes: Mapping[tuple[str, str, str | None], Need] = _causes(result)
        decided = tuple(self.causes.values())[:_DECIDING]
        self.outcome = Outcome(verdict=result.verdict, stage=result.stage, decided_by=decided)


def _best(judged: Sequence[_Judged]) -> _Judged | None:
    """Return the best of what was judged, with the causes of all: an added file takes nothing that was not there."""
    if not judged:
        return None
    best = copy(min(judged, key=lambda one: _RANKS[one.outcome.verdict]))
    best.causes = {cause: need for one in judged for cause, need in one.causes.items()}
    return best


_Outcomes = dict[tuple[str, str], _Judged]
"""By the name of a file and the target as it was asked for. What an ecosystem does not take there has none."""


def _causes(result: Result) -> dict[tuple[str, str, str | None], Need]:
    """Return the needs that alone would give the verdict, consequences of others left out."""
    if result.verdict == "runs":
        return {}
    known_host = known_host_in(result.trace)
    return {
        (step.need.kind, step.need.name, step.need.version): step.need
        for step in result.trace.needs
        if (step.answer is not Answer.MET or step.assumption)
        and step.because is None
        and weight_of(step, known_host=known_host) == result.verdict
    }


def _shift(old: _Judged | None, new: _Judged) -> Shift:
    """Return which way a verdict went.

    ``old`` is None for what was added with nothing beside it before. Where both builds rest on something that is not
    known of the target, the new one may only rest on the same.
    """
    before, after = old.outcome.verdict if old else "runs", new.outcome.verdict
    if after == "unknown" and before != "fails" and new.causes.keys() - (old.causes.keys() if old else set()):
        return "unclear"
    if _RANKS[before] == _RANKS[after]:
        return "same"
    return "better" if _RANKS[after] < _RANKS[before] else "worse"


def _bind(name: TargetName, platform: str) -> TargetName:
    """Return a target bound to an architecture, if it has none of its own: to what the old file ran on."""
    from runworthy.targets.catalogue.naming import carries_architecture

    if not platform or name.wish.platform or not name.in_catalogue or carries_architecture(name.text):
        return name
    return TargetName(name.text, replace(name.wish, platform=platform), name.present)


def _places(targets: Sequence[TargetName]) -> dict[str, tuple[str, int]]:
    """Return of each target of the catalogue its family and its place among those judged, the oldest first."""
    asked = {name.text for name in targets if name.in_catalogue}
    if not asked:
        return {}
    from runworthy.targets.catalogue import open_catalogue

    return {
        name: (family, place)
        for family, names in open_catalogue().index().families.items()
        for place, name in enumerate(name for name in names if name in asked)
    }
