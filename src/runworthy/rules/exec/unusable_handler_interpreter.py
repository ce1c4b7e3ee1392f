"""RW114: the interpreter of the handler that takes the file is there, and is of a kind that cannot serve it."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import (
    LEFT_TO_CALLER,
    assumption_note,
    caller_rows,
    caller_steps,
    ends_in,
    errno_of,
    interpreter_words,
    interpreters_of,
    seen,
    severity_of,
)
from runworthy.rules.words import finding

CODE = "RW114"
NAME = "unusable-handler-interpreter"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("handler:unmet", "script-interpreter:unmet", "exec-format:unmet")
ORDER = 42

_KEEPS_OPEN = "with O or C"
_SCRIPT = "a script, to which the kernel cannot hand an open file (its flag O or C)"
_NO_OTHER = "no other handler is tried"


def check(case: Case) -> Iterator[Match]:
    """Yield the handler's interpreter that the kernel cannot start."""
    for step in case.steps("handler"):
        yield _match(case, step, step)
    started = interpreters_of(case, "handler")
    for step in case.steps("script-interpreter", "exec-format"):
        if step.need.by in started and (step.need.kind == "exec-format" or _KEEPS_OPEN in step.detail):
            yield _match(case, started[step.need.by], step)


def _match(case: Case, handler: Step, refused: Step) -> Match:
    """Tell of the step that names an interpreter and of the step that refuses it; they may be the same."""
    callers = caller_steps(case, handler.need.by)
    covers = (refused, *callers, *ends_in(case, refused))
    return Match(finding=_finding(case, handler, refused, callers), covers=covers)


def _finding(case: Case, handler: Step, refused: Step, callers: list[Step]) -> Finding:
    who, interpreter = case.needer(handler.need), handler.need.name
    reads = any(one.answer is Answer.MET for one in callers)
    says = LEFT_TO_CALLER if reads else seen(refused, who) or f"the kernel answers {errno_of(refused)}"
    what = _SCRIPT if _KEEPS_OPEN in refused.detail else f"which {interpreter_words(case, refused)}"
    return finding(
        case,
        (CODE, NAME, severity_of((refused, *callers))),
        f"a handler takes `{who}` for `{interpreter}`, {what}",
        cause="a handler's interpreter that cannot serve",
        items=(interpreter,),
        steps=(refused,),
        lines=caller_rows(case, callers),
        notes=(f"{says}; {_NO_OTHER}", assumption_note((refused, *callers))),
    )
