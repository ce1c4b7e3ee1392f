"""RW519: an installer does not take this wheel on the target."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.wheels import tag_steps, words
from runworthy.rules.words import finding, help_

CODE = "RW519"
NAME = "not-offered"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("tag:unmet",)
ORDER = 10


def check(case: Case) -> Iterator[Match]:
    """Yield the wheel with the reason for each of its tags."""
    for step in tag_steps(case, "offer"):
        reasons = words(step).split("; ")
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                f"pip does not take `{case.subject}` on {step.need.name}: {reasons[0]}",
                cause="pip does not take it",
                steps=(step,),
                lines=tuple(reasons) if len(reasons) > 1 else (),
                notes=("told by the platform tags; which Python the target has is not judged",),
                remedies=(help_("build a wheel for it, or let it be built there from the source distribution"),),
            ),
            covers=(step,),
        )
