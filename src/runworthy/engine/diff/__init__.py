"""Two builds: which of their files belong together, what differs, and on which targets the verdict changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runworthy.engine.check import Engine, Wishes
from runworthy.engine.diff.choosing import telling_targets
from runworthy.engine.diff.court import Court
from runworthy.engine.diff.docket import docket_of
from runworthy.engine.diff.floors import changed_floors
from runworthy.engine.opening import Given
from runworthy.engine.pairing import build_of
from runworthy.model.difference import Difference
from runworthy.model.errors import UsageError
from runworthy.model.records import replace
from runworthy.targets.names import TargetName

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["compare_builds"]

_FLOOR_FILES = 100
"""Of how many files the floors are worked out: for more it takes long."""


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
    docket = docket_of(given, builds)
    matches = [match for case in docket.cases for match in case.matches]
    pairs = [pair for case in docket.cases for pair in case.pairs]
    judged = [at for at in docket.touched(given) if not pairs[at].problem]
    chosen = ""
    if not targets:
        archs = {arch.name for at in judged if (arch := matches[at].architecture) is not None}
        targets, chosen = telling_targets(archs, len(judged), like or TargetName(""))
    court = Court(engine, builds, targets, wishes or Wishes(), watch, named=not chosen)
    cells = court.judge({at: matches[at] for at in judged}, docket.beside())
    pairs = [replace(pair, judged=at in cells, cells=cells.get(at, ())) for at, pair in enumerate(pairs)]
    return Difference(
        old=old,
        new=new,
        pairs=tuple(pairs),
        targets=tuple(name.text for name in targets),
        chosen=chosen,
        floors=tuple(changed_floors(given, docket, pairs)) if len(judged) <= _FLOOR_FILES else None,
        assets=tuple(docket.assets),
    )


def _kind(given: Given) -> str:
    return "a directory" if given.is_directory else "an archive" if given.is_archive else "a file"
