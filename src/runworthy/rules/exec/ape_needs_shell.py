"""RW124: no handler takes an APE program, so that it starts from those callers alone that hand it to a shell."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import (
    assumption_note,
    caller_rows,
    caller_steps,
    passed_over,
    severity_of,
)
from runworthy.rules.words import finding

CODE = "RW124"
NAME = "ape-needs-shell"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("exec-format:unmet", "caller:unmet")
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the APE program that the kernel does not know."""
    if case.file is None or case.file.type != "ape":
        return
    for step in case.steps("exec-format"):
        if step.need.by == case.path:
            callers = caller_steps(case, case.path)
            yield Match(finding=_finding(case, step, callers), covers=(step, *callers))


def _finding(case: Case, step: Step, callers: list[Step]) -> Finding:
    starts = any(one.answer is Answer.MET for one in callers)
    ends = any(one.answer is Answer.UNMET for one in callers) or not callers
    how = "it starts only where its caller has a shell read it" if starts else "the kernel does not know it"
    return finding(
        case,
        (CODE, NAME, severity_of((step, *callers)) if ends else "warning"),
        f"`{case.subject}` is an APE program, and no handler of {case.target} takes it: {how}",
        cause="an APE program without a handler",
        steps=(step,),
        lines=caller_rows(case, callers),
        notes=(
            *passed_over(case, case.path),
            "the kernel answers ENOEXEC: its beginning is neither `#!` nor ELF",
            _unstated(case) or assumption_note((step, *callers)),
        ),
    )


def _unstated(case: Case) -> str:
    """Tell that handlers of the target are not known, where this is so."""
    if case.handlers.stated:
        return ""
    if case.handlers.basis:
        return f"its handlers are taken to be {case.handlers.basis}"
    return "which handlers a machine has is not stated of this target: it is taken to have none"
