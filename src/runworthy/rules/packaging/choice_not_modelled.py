"""RW535: which of several builds is taken is decided in a way that is not modelled."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, listed, probes, quoted

CODE = "RW535"
NAME = "choice-not-modelled"
SINCE = "0.2.0"
SEVERITY: Severity = "warning"
READS = ("layout:unknown",)
ORDER = 60


def check(case: Case) -> Iterator[Match]:
    """Yield what cannot be told, once for each reason."""
    found: dict[str, list[Step]] = {}
    for step in case.steps("layout", answers=(Answer.UNKNOWN,)):
        found.setdefault(step.detail, []).append(step)
    for reason, steps in found.items():
        yield Match(finding=_finding(case, reason, steps), covers=tuple(steps))


def _finding(case: Case, reason: str, steps: list[Step]) -> Finding:
    names = quoted(step.need.name for step in steps)
    likely = [step.met_by for step in steps if step.met_by]
    by_name = f"by their names it is {listed([f'`{path}`' for path in likely], 5)}" if likely else ""
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"which build of {names} is taken on {case.target} is not known: {reason}",
        cause=f"which build of {names} is taken is not known",
        items=(step.need.name for step in steps),
        steps=steps,
        lines=probes(case, steps[0]) if len(steps) == 1 else (),
        notes=(by_name or "no build is for this platform by its name",),
    )
