"""Remedies for a whole report: each result that fails before its loader starts gets what is planned for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runworthy.model.errors import RunworthyError
from runworthy.model.records import replace

if TYPE_CHECKING:
    from runworthy.engine import Wishes
    from runworthy.model.finding import Finding, Remedy, Report, Result
    from runworthy.remedies.situation import Situation
    from runworthy.targets.names import TargetName

__all__ = ["best_remedy", "with_remedies"]

_AT_BOOT = "RW134"
_HANDFUL = 24
"""Of how many results the remedies are planned: of more, those of the first tell what to do."""


def with_remedies(report: Report, targets: Sequence[TargetName], wishes: Wishes, *, loader: str = "") -> Report:
    """Return the report with remedies at its findings of the first stage.

    ``targets`` and ``wishes`` are those that it was made with. What cannot be read again has the remedies of its rules
    alone. ``loader`` is the path of an APE loader in the targets, where one is named.
    """
    wanted = [index for index, result in enumerate(report.results) if _is_wanted(result)][:_HANDFUL]
    if not wanted:
        return report
    results = list(report.results)
    by_name = {name.text: name for name in targets}
    for index in wanted:
        results[index] = _helped(results[index], by_name[results[index].wanted], wishes, loader)
    return replace(report, results=tuple(results))


def best_remedy(report: Report) -> Remedy | None:
    """Return the first remedy of a report that has edits, a proved one before all others; None where there is none."""
    held = [one for result in report.results for finding in result.findings for one in finding.remedies if one.edits]
    return next((one for one in held if one.proved), held[0] if held else None)


def _is_wanted(result: Result) -> bool:
    return bool(result.findings and result.path and result.wanted) and (
        _fails_early(result) or _changed_by_boot(result) is not None
    )


def _fails_early(result: Result) -> bool:
    return result.verdict in ("fails", "risky") and result.stage == "exec"


def _changed_by_boot(result: Result) -> int | None:
    """Return which finding tells that the next boot changes who takes the file, None where none does."""
    return next((at for at, one in enumerate(result.findings) if one.code == _AT_BOOT), None)


def _helped(result: Result, name: TargetName, wishes: Wishes, loader: str) -> Result:
    """Return a result with remedies: against what fails now, and else against what will fail after the next boot."""
    from runworthy.remedies.planning import plan

    later = _changed_by_boot(result)
    try:
        situation = _situation(result, name, wishes, loader) if _fails_early(result) else None
        remedies = plan(situation) if situation is not None else ()
        place = next(
            (at for at, one in enumerate(result.findings) if (one.stage, one.severity) == ("exec", "error")), 0
        )
        if not remedies and later is not None and not name.at_boot:
            situation = _situation(result, name, wishes, loader, later=True)
            proposed = plan(situation) if situation is not None else ()
            remedies, place = tuple(one for one in proposed if one.proved or not one.edits), later
    except (RunworthyError, OSError):
        return result
    if not remedies:
        return result
    findings = list(result.findings)
    findings[place] = _with(findings[place], remedies)
    return replace(result, findings=tuple(findings))


def _with(finding: Finding, remedies: Sequence[Remedy]) -> Finding:
    """Return a finding with what is proved, then what its rule says, then what nothing here can prove."""
    proved = [one for one in remedies if one.proved]
    titles = {one.title for one in remedies}
    own = [one for one in finding.remedies if one.title not in titles]
    return replace(finding, remedies=(*proved, *own, *(one for one in remedies if not one.proved)))


def _situation(
    result: Result, name: TargetName, wishes: Wishes, loader: str, *, later: bool = False
) -> Situation | None:
    """Return the situation of a result, None where its subject is not to be had; ``later``: after the next boot.

    Raises RunworthyError, OSError.
    """
    from runworthy.engine.again import judge_again
    from runworthy.engine.context import launch_on
    from runworthy.engine.subjects import read_subject
    from runworthy.remedies.situation import Situation
    from runworthy.targets.directory import DirectoryView
    from runworthy.targets.edits import after_boot
    from runworthy.targets.host import in_container
    from runworthy.targets.overlay import Overlay
    from runworthy.targets.placement import place

    machine = DirectoryView("/")
    subject = read_subject(result.subject, machine)
    if subject.source is None:
        return None
    target = name.open(subject.arch)
    overlay = Overlay(machine if target.live else target.view)
    for addition in wishes.additions:
        addition(target, overlay)
    target = replace(target, view=overlay)
    if later:
        target = after_boot(target)
    path = place(subject.source, target, overlay, wishes.at)
    judge = judge_again(result.subject, launch_on(target, wishes.launch))
    boots = not name.in_catalogue and not in_container(target)
    return Situation(
        target=target,
        path=path,
        file=subject.file,
        result=judge(target, path),
        judge=judge,
        boot=after_boot if boots else None,
        loader=loader,
        at_boot=boots and (later or name.at_boot or not (target.live or target.machine_facts)),
    )
