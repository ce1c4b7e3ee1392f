"""RW601: a waiver has expired."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW601"
NAME = "expired-waiver"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("waiver:unmet",)
ORDER = 10


def check(case: Case) -> Iterator[Match]:
    """Yield each waiver whose day has come."""
    for step in case.steps("waiver"):
        what, _, of = step.need.name.partition(" of ")
        if what != "expiry":
            continue
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                f"the waiver of {of} expired on {step.need.version}",
                cause=f"the waiver of {of} expired",
                steps=(step,),
                notes=(step.detail, *(f"it was waived because: {reason.path}" for reason in step.searched)),
                remedies=(help_("look at it again; then set another day, or remove the waiver"),),
            ),
            covers=(step,),
        )
