"""RW115: a script names an interpreter that the root does not have."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, ends_in, errno_of, interpreter_words, seen, severity_of
from runworthy.rules.known import built_elsewhere
from runworthy.rules.words import finding

CODE = "RW115"
NAME = "missing-script-interpreter"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("script-interpreter:unmet",)
ORDER = 43

_MISSING = ("ENOENT", "ENOTDIR", "ENAMETOOLONG", "ELOOP")


def check(case: Case) -> Iterator[Match]:
    """Yield the script whose `#!` line leads nowhere."""
    for step in case.steps("script-interpreter"):
        if errno_of(step) in _MISSING:
            yield Match(finding=_finding(case, step), covers=(step, *ends_in(case, step)))


def _finding(case: Case, step: Step) -> Finding:
    who, interpreter = case.needer(step.need), step.need.name
    place = built_elsewhere(interpreter)
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        f"`{who}` is a script for `{interpreter}`, which {interpreter_words(case, step)}",
        cause=f"the interpreter `{interpreter}` of a script is not there",
        items=(interpreter,),
        steps=(step,),
        notes=(
            seen(step, who),
            "" if interpreter.startswith("/") else "the path is relative: it is looked for where the caller is",
            f"the path lies in {place} of the machine that made the script" if place else "",
            assumption_note((step,)),
        ),
    )
