"""RW113: the handler that takes the file names an interpreter that is not there, or that nobody may execute."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import (
    assumption_note,
    ends_in,
    errno_of,
    interpreter_words,
    origin_note,
    seen,
    severity_of,
    taker,
)
from runworthy.rules.words import finding

CODE = "RW113"
NAME = "missing-handler-interpreter"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("handler:unmet",)
ORDER = 40

_NOT_OPENED = ("ENOENT", "ENOTDIR", "ENAMETOOLONG", "EACCES")
_CONTAINER = (
    "it has no flag F: its interpreter is looked for in the root of whoever starts the file, each time; "
    "with F it is opened once, when the handler is registered, and serves containers and chroots too"
)


def check(case: Case) -> Iterator[Match]:
    """Yield the file whose handler leads nowhere."""
    for step in case.steps("handler"):
        if errno_of(step) in _NOT_OPENED:
            yield Match(finding=_finding(case, step), covers=(step, *ends_in(case, step)))


def _finding(case: Case, step: Step) -> Finding:
    who, interpreter = case.needer(step.need), step.need.name
    taken = next(
        (one for one in case.causes.get("exec-format", ()) if one.need.by == step.need.by and one.answer is Answer.MET),
        None,
    )
    handler = taker(case, taken) if taken else None
    name = handler.name if handler else "a handler"
    what = interpreter_words(case, step)
    missing = what.startswith("is not in ")
    notes = (
        f"{seen(step, who)}; no other handler is tried",
        origin_note(case, handler) if handler else "",
        _CONTAINER if handler and missing and "F" not in handler.flags else "",
        _RELATIVE if not interpreter.startswith("/") else "",
        assumption_note((step,)),
    )
    verb = f"the handler {name} takes `{who}`" if handler else f"a handler takes `{who}`"
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        f"{verb} for `{interpreter}`, which {what}",
        cause=f"the interpreter `{interpreter}` of a handler cannot be opened",
        items=(interpreter,),
        steps=(step,),
        notes=notes,
    )


_RELATIVE = "the path is relative: it is looked for in the directory in which the caller is"
