"""RW602: a waiver matches no finding."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW602"
NAME = "unmatched-waiver"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("waiver:unmet",)
ORDER = 20


def check(case: Case) -> Iterator[Match]:
    """Yield each waiver of which there is nothing to waive."""
    for step in case.steps("waiver"):
        what, _, of = step.need.name.partition(" of ")
        if what != "match":
            continue
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                f"the waiver of {of} matches no finding",
                cause=f"the waiver of {of} matches no finding",
                steps=(step,),
                notes=(step.detail, *(f"it was waived because: {reason.path}" for reason in step.searched)),
                remedies=(help_("remove it, or correct what it is of"),),
            ),
            covers=(step,),
        )
