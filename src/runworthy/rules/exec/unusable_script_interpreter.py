"""RW119: what a script's `#!` line names is there, and cannot be executed."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import (
    assumption_note,
    caller_rows,
    caller_steps,
    ends_in,
    interpreter_words,
    interpreters_of,
    seen,
    severity_of,
)
from runworthy.rules.words import finding

CODE = "RW119"
NAME = "unusable-script-interpreter"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("script-interpreter:unmet", "exec-format:unmet")
ORDER = 44


def check(case: Case) -> Iterator[Match]:
    """Yield the script whose interpreter is no program that may run."""
    for step in case.steps("script-interpreter"):
        if step.need.name:
            callers = _callers(case, step)
            yield Match(finding=_finding(case, step, step, callers), covers=(step, *callers, *ends_in(case, step)))
    started = interpreters_of(case, "script-interpreter")
    for step in case.steps("exec-format"):
        if step.need.by in started and started[step.need.by].need.by != step.need.by:
            callers = _callers(case, started[step.need.by])
            found = _finding(case, started[step.need.by], step, callers)
            yield Match(finding=found, covers=(step, *callers))


def _callers(case: Case, names: Step) -> tuple[Step, ...]:
    return tuple(caller_steps(case, names.need.by))


def _finding(case: Case, names: Step, refused: Step, callers: tuple[Step, ...]) -> Finding:
    """Tell of the step that names an interpreter and of the step that refuses it; they may be the same."""
    who, interpreter = case.needer(names.need), names.need.name
    return finding(
        case,
        (CODE, NAME, severity_of((refused, *callers))),
        f"`{who}` is a script for `{interpreter}`, which {interpreter_words(case, refused)}",
        cause=f"the interpreter `{interpreter}` of a script cannot be executed",
        items=(interpreter,),
        steps=(names,),
        lines=caller_rows(case, callers),
        notes=(seen(refused, who), assumption_note((refused,))),
    )
