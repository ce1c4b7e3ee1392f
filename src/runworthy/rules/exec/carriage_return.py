"""RW116: the `#!` line of a script ends with a carriage return, which belongs to what is executed."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Event, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import ends_in, seen, severity_of
from runworthy.rules.words import finding, help_

CODE = "RW116"
NAME = "carriage-return"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("script-interpreter:unmet", "tool:unmet", "rewritten")
ORDER = 30

_LINES = "its lines end as in Windows (CR LF): the kernel and shells know LF alone"


def check(case: Case) -> Iterator[Match]:
    """Yield the script that was saved with the line ends of Windows."""
    steps = [step for step in case.steps("script-interpreter", "tool") if step.need.name.endswith("\r")]
    for step in steps:
        yield Match(finding=_finding(case, step), covers=(step, *ends_in(case, step)))
    line = case.file.script if case.file else None
    if not steps and line and line.carriage_return and line.argument and _reaches(case):
        message = (
            f"`{case.subject}` gives `{line.interpreter}` the argument `{_shown(line.argument)}`, with a carriage "
            "return at its end"
        )
        yield Match(finding=_bare(case, message))


def _reaches(case: Case) -> list[Event]:
    return [event for event in case.events("rewritten") if event.by == case.path]


def _finding(case: Case, step: Step) -> Finding:
    who, name = case.needer(step.need), step.need.name
    if step.need.kind == "tool":
        message = f"`{who}` is a script whose `#!` line makes env look for a command `{_shown(name)}`"
        says = f"env says that `{_shown(name)}` is not there, and exits with 127"
    else:
        message = f"`{who}` is a script whose `#!` line makes the kernel look for `{_shown(name)}`"
        says = seen(step, who)
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        message,
        cause="the `#!` line ends with a carriage return",
        steps=(step,),
        notes=(_LINES, says),
    )


def _bare(case: Case, message: str) -> Finding:
    return finding(
        case,
        (CODE, NAME, "warning"),
        message,
        cause="the `#!` line ends with a carriage return",
        steps=(),
        stage="exec",
        notes=(_LINES,),
        remedies=(help_(f"`dos2unix {case.subject}`"),),
    )


def _shown(name: str) -> str:
    r"""Return a name with its carriage return written as ``\r``."""
    return name.replace("\r", "\\r")
