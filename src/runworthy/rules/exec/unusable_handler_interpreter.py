"""RW114: the interpreter of the handler that takes the file is there, and is of a kind that cannot serve it."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import (
    assumption_note,
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
        yield Match(finding=_finding(case, step, step), covers=(step, *ends_in(case, step)))
    started = interpreters_of(case, "handler")
    for step in case.steps("script-interpreter"):
        if _KEEPS_OPEN in step.detail and step.need.by in started:
            found = _finding(case, started[step.need.by], step)
            yield Match(finding=found, covers=(step, *ends_in(case, step)))
    for step in case.steps("exec-format"):
        if step.need.by in started:
            yield Match(finding=_finding(case, started[step.need.by], step), covers=(step,))


def _finding(case: Case, handler: Step, refused: Step) -> Finding:
    """Tell of the step that names an interpreter and of the step that refuses it; they may be the same."""
    who, interpreter = case.needer(handler.need), handler.need.name
    says = seen(refused, who) or f"the kernel answers {errno_of(refused)}"
    what = _SCRIPT if _KEEPS_OPEN in refused.detail else f"which {interpreter_words(case, refused)}"
    return finding(
        case,
        (CODE, NAME, severity_of((refused,))),
        f"a handler takes `{who}` for `{interpreter}`, {what}",
        cause="a handler's interpreter that cannot serve",
        items=(interpreter,),
        steps=(refused,),
        notes=(f"{says}; {_NO_OTHER}", assumption_note((refused,))),
    )
