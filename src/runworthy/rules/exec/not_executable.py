"""RW108: nobody may execute the program."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, errno_of, reason_of, seen, severity_of
from runworthy.rules.words import finding, help_

CODE = "RW108"
NAME = "not-executable"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("permission:unmet",)
ORDER = 50


_DENIED = "the kernel answers EACCES: a shell says `Permission denied`"
# What the detail of a step may say, and what is told of it; without an execute bit where it says nothing else.
_OTHERWISE = {
    "search": "lies behind a directory that may not be searched",
    "regular-file": "is no regular file",
}


def check(case: Case) -> Iterator[Match]:
    """Yield the program that nobody has the right to execute."""
    for step in case.steps("permission"):
        yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    who, name = case.needer(step.need), step.need.name
    lacks = name == "execute" and (errno_of(step) in ("EACCES", "") and "no execute permission" in step.detail)
    if lacks:
        message = f"`{who}` has no execute permission in {case.target}"
    elif name in _OTHERWISE:
        message = f"`{who}` {_OTHERWISE[name]} in {case.target}: {reason_of(step)}"
    else:
        message = f"`{who}` cannot be executed in {case.target}: {reason_of(step)}"
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        message,
        cause="no execute permission" if lacks else "it may not be executed",
        steps=(step,),
        notes=(_DENIED if errno_of(step) == "EACCES" else seen(step, who), assumption_note((step,))),
        remedies=(help_(f"`chmod +x {who}`"),) if lacks else (),
    )
