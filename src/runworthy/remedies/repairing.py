"""Carrying a remedy of a plan out: which one, on what ground, and who confirms that the subjects run after it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runworthy.model.edit import acts_on
from runworthy.model.errors import RemedyError, RunworthyError, UsageError
from runworthy.model.finding import Remedy, Report, Result
from runworthy.model.plan import Plan, Repair
from runworthy.model.records import replace
from runworthy.remedies.applying import Ground, apply, fingerprints, ground_of
from runworthy.remedies.applying.drafts import FILE_EDITS
from runworthy.remedies.fixing import each_name
from runworthy.remedies.journal import Journal
from runworthy.remedies.search import causes, step_key
from runworthy.remedies.situation import Means
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay

if TYPE_CHECKING:
    from runworthy.remedies.fixing import Asked, Planned

__all__ = ["repaired"]


def repaired(planned: Planned, means: Means, asked: Asked, again: Callable[[Sequence[str]], Report]) -> Repair:
    """Carry out the remedy of a plan that is asked for, and return what became of it.

    What does not make the subjects run, or does not please the person's own test, is taken back at once. Raises
    UsageError where there is no such remedy.
    """
    plan = planned.plan
    remedy = _chosen(plan, asked)
    refusal = _refusal(remedy, asked)
    if refusal:
        return Repair(target=plan.target, remedy=remedy, why=refusal)
    ground = ground_of(planned.situations[0].target, _copies(planned, asked.output))
    told: list[str] = []
    # A root that does not run has no kernel: what its boot does anyway is left to that.
    edits = tuple(edit for edit in remedy.edits if ground.live or acts_on(edit) == "root")
    if len(edits) < len(remedy.edits):
        told.append("handlers are registered when it boots")

    def judge() -> str:
        wrong = "" if means.dockerfile else _wrong(planned, remedy, ground, again)
        return wrong or _smoke(asked, ground, told)

    try:
        entry = apply(
            edits,
            ground,
            Journal(),
            allow_unsafe=asked.unsafe,
            allowed=means.allowed,
            subject=", ".join(plan.subjects),
            target=plan.target,
            title=remedy.title,
            judge=judge,
            seen=fingerprints(edits, ground),
        )
    except RemedyError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Repair(target=plan.target, remedy=remedy, entry=error.entry, why=f"{error}{hint}", told=tuple(told))
    kept = entry.state == "applied"
    why = "" if kept else entry.reason
    runs = kept and (remedy.proved or not means.dockerfile)
    told[:0] = entry.notes
    if runs and ground.copies and not _runs_alone(planned, remedy, ground, again):
        runs = False
        told.append("the copies need what lies beside the files that they were made of: copy that there, too")
    return Repair(target=plan.target, remedy=remedy, entry=entry.id, kept=kept, runs=runs, why=why, told=tuple(told))


def _chosen(plan: Plan, asked: Asked) -> Remedy:
    """Return the remedy that is to be carried out: the one named, else the first that may be. Raises UsageError."""
    if asked.choose:
        if not 0 < asked.choose <= len(plan.remedies):
            number = len(plan.remedies)
            raise UsageError(f"--choose {asked.choose}: there are {number} proposals", option="--choose")
        return plan.remedies[asked.choose - 1]
    ready = [one for one in plan.remedies if one.proved and one.edits and not _refusal(one, asked)]
    return ready[0] if ready else plan.remedies[0] if plan.remedies else Remedy(title="nothing is known that helps")


def _refusal(remedy: Remedy, asked: Asked) -> str:
    """Return why a remedy is not carried out, empty where it is."""
    if not remedy.edits or remedy.applicability == "manual":
        return "a person has to do it"
    if remedy.applicability == "unsafe" and not asked.unsafe:
        return "it is unsafe, and --unsafe is not given"
    if not remedy.proved and not asked.choose:
        return "it is not proved, and not chosen by --choose"
    return ""


def _copies(planned: Planned, output: str) -> tuple[tuple[str, str], ...]:
    """Return which directories of the target are written elsewhere: those above the subjects, into ``output``."""
    if not output:
        return ()
    tops = {one.tree or posixpath.dirname(one.path) for one in planned.situations}
    top = posixpath.commonpath(tops)
    os.makedirs(output, exist_ok=True)
    return ((top, output),)


# -- whether it helped ------------------------------------------------------------------------------------------------


def _wrong(planned: Planned, remedy: Remedy, ground: Ground, again: Callable[[Sequence[str]], Report]) -> str:
    """Return what still keeps the subjects of a plan from running, empty where nothing does."""
    names = set(planned.plan.subjects)
    try:
        if ground.copies or remedy.path:
            results = _judged_there(planned, remedy, ground)
        else:
            report = again(())
            found = [one for held in report.results for one in each_name(held, report.trees)]
            results = [one for one in found if one.target == planned.plan.target and one.subject in names]
    except (RunworthyError, OSError) as error:
        return f"it cannot be judged: {error}"
    if len({one.subject for one in results}) < len(names):
        return "not every subject could be judged again"
    settled = {one.name: one.settled for one in planned.situations}
    for result in results:
        for verdict, step in causes(result):
            if verdict != "risky" and step_key(step) not in settled.get(result.subject, ()):
                return f"{result.subject} {verdict} still: {step.need.kind} {step.need.name}"
    return ""


def _judged_there(planned: Planned, remedy: Remedy, ground: Ground) -> list[Result]:
    """Return what becomes of the subjects with what was really written in its place. Raises RunworthyError, OSError."""
    target = planned.situations[0].target
    overlay = Overlay(target.view)
    machine = DirectoryView("/")
    for path in dict.fromkeys(edit.path for edit in remedy.edits if isinstance(edit, FILE_EDITS)):
        real = machine.resolve(os.path.realpath(ground.place(path).here)).path
        overlay.add_from(path, machine, real)
    written = replace(target, view=overlay)
    return [one.judge(written, remedy.path or one.path) for one in planned.situations]


def _runs_alone(planned: Planned, remedy: Remedy, ground: Ground, again: Callable[[Sequence[str]], Report]) -> bool:
    """Whether the copies that were written run where they lie, with what is there and nothing else."""
    copies = [ground.place(remedy.path or one.path).here for one in planned.situations]
    if not all(map(os.path.exists, copies)):
        return False
    report = again(copies)
    return all(one.verdict in ("runs", "risky") for one in report.results if one.target == planned.plan.target)


def _smoke(asked: Asked, ground: Ground, told: list[str]) -> str:
    """Return why a person's own test is not content, empty where it is or there is none."""
    if not asked.then:
        return ""
    if ground.root is None or ground.copies:
        return "--then needs a root to run in: this machine, or a directory"
    from runworthy.running.smoke import smoke_test

    outcome = smoke_test(asked.then, ground.root)
    told.append(f"{asked.then}: {outcome.words}")
    return "" if outcome.passed else f"{asked.then}: {outcome.words}"
