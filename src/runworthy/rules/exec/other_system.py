"""RW123: the file is a program for Windows or macOS, and no handler takes it."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.program import FileFacts
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import (
    LEFT_TO_CALLER,
    NO_SHELL,
    assumption_note,
    caller_rows,
    caller_steps,
    passed_over,
    severity_of,
    what_it_is,
)
from runworthy.rules.words import finding, help_

CODE = "RW123"
NAME = "other-system"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("exec-format:unmet",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the program that Linux does not know."""
    file = case.file
    if file is None or file.type not in ("pe", "mach-o"):
        return
    for step in case.steps("exec-format"):
        if step.need.by == case.path:
            callers = caller_steps(case, case.path)
            yield Match(finding=_finding(case, file, step, callers), covers=(step, *callers))


def _finding(case: Case, file: FileFacts, step: Step, callers: list[Step]) -> Finding:
    what = what_it_is(file)
    damage = f"it is damaged: {file.problem}" if file.problem else ""
    reads = any(one.answer is Answer.MET for one in callers)
    notes = [LEFT_TO_CALLER if reads else NO_SHELL, *passed_over(case, case.path), damage]
    return finding(
        case,
        (CODE, NAME, severity_of((step, *callers))),
        f"`{case.subject}` is {what}, and no handler of {case.target} takes it",
        cause=f"it is {what}",
        steps=(step,),
        lines=caller_rows(case, callers),
        notes=(*notes, assumption_note((step, *callers))),
        remedies=(help_(f"fetch or build it for Linux on {case.machine}"),),
    )
