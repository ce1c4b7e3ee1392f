"""RW520: what a wheel promises, or where it is taken, cannot be known here."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Answer
from runworthy.rules import Case, Match
from runworthy.rules.wheels import tag_steps, words
from runworthy.rules.words import finding

CODE = "RW520"
NAME = "tag-not-judged"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("tag:unknown",)
ORDER = 70


def check(case: Case) -> Iterator[Match]:
    """Yield each tag of a system that is not modelled."""
    for step in tag_steps(case, "unknown", "offer", answers=(Answer.UNKNOWN,)):
        said = words(step)
        message = (
            f"what {step.need.name} promises cannot be judged: {said}"
            if step.detail.startswith("unknown")
            else f"whether pip takes `{case.subject}` on {step.need.name} is not known"
        )
        yield Match(
            finding=finding(case, (CODE, NAME, SEVERITY), message, cause="the tag is not judged", steps=(step,)),
            covers=(step,),
        )
