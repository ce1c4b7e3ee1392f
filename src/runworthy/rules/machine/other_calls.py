"""RW407: a static program for another system, which Linux starts and whose system calls it does not know."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW407"
NAME = "other-calls"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("system:unmet",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the program that is for a system with calls of its own."""
    for step in case.steps("system"):
        message = f"`{case.needer(step.need)}` is a program for {step.need.name}, {case.target} is Linux"
        note = "Linux starts it, as it does not look for what system it is; its calls of the system mean others there"
        found = finding(
            case,
            (CODE, NAME, SEVERITY),
            message,
            cause=f"it is a program for {step.need.name}",
            steps=(step,),
            notes=(note, f"it {step.detail}"),
            remedies=(help_(f"fetch or build it for Linux on {case.machine}"),),
        )
        yield Match(finding=found, covers=(step,))
