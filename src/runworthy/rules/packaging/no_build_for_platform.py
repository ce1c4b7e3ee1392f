"""RW530: a package holds builds for several platforms, and none for this one."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, probes

CODE = "RW530"
NAME = "no-build-for-platform"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("layout:unmet", "layout:unknown")
ORDER = 40

_SOURCE = "it is built from its source"


def check(case: Case) -> Iterator[Match]:
    """Yield each thing that there is no build of."""
    for step in case.steps("layout", answers=(Answer.UNMET, Answer.UNKNOWN)):
        from_source = step.answer is Answer.UNKNOWN and step.detail.startswith(_SOURCE)
        if step.need.version == "build" and (step.answer is Answer.UNMET or from_source):
            yield Match(finding=_finding(case, step, from_source=from_source), covers=(step,))


def _finding(case: Case, step: Step, *, from_source: bool) -> Finding:
    severity: Severity = "warning" if from_source or not step.fatal else SEVERITY
    goes_on = "" if step.fatal else "what asks for it goes on without it"
    return finding(
        case,
        (CODE, NAME, severity),
        f"`{case.subject}` has no build of `{step.need.name}` for {case.target}: {step.detail}",
        cause=f"`{step.need.name}` has no build for the platform",
        steps=(step,),
        lines=probes(case, step),
        notes=(goes_on,),
    )
