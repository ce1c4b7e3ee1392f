"""The verdicts on two builds: judged as ``check`` judges, and held against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING

from runworthy.engine.check import Engine, Wishes
from runworthy.engine.pairing import Build, File, Match
from runworthy.engine.verdict import known_host_in, weight_of
from runworthy.model.arch import Architecture
from runworthy.model.difference import Cell, Outcome, Shift
from runworthy.model.errors import ArchitectureError
from runworthy.model.finding import Result, Verdict
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Need
from runworthy.targets.names import TargetName

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["Court"]

_AT_ONCE = 400
_DECIDING = 8
_RANKS: Mapping[Verdict, int] = {"runs": 0, "risky": 1, "unknown": 2, "fails": 3}


class Court:
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


_Outcomes = dict[tuple[str, str], _Judged]
"""By the name of a file and the target as it was asked for. What an ecosystem does not take there has none."""


def _best(judged: Sequence[_Judged]) -> _Judged | None:
    """Return the best of what was judged, with the causes of all: an added file takes nothing that was not there."""
    if not judged:
        return None
    best = copy(min(judged, key=lambda one: _RANKS[one.outcome.verdict]))
    best.causes = {cause: need for one in judged for cause, need in one.causes.items()}
    return best


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
