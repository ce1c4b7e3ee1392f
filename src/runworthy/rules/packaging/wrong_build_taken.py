"""RW531: the build that is taken is not for what its name says."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding

CODE = "RW531"
NAME = "wrong-build-taken"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("layout:unmet",)
ORDER = 30


def check(case: Case) -> Iterator[Match]:
    """Yield each build that was taken for its name and is another by its bytes."""
    for step in case.steps("layout"):
        if step.need.version == "contents":
            yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    tag, _, words = step.detail.partition(": ")
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"`{case.show(step.need.name)}` is taken on {case.target}, and {words}",
        cause=f"a build under `{tag}` {words}",
        steps=(step,),
        notes=(f"it is taken because it lies under `{tag}`: what reads the name does not look into the file",),
    )
