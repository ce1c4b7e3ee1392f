"""RW203: the loader ends at a file that it found."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, probes, unique, would_come

CODE = "RW203"
NAME = "refused-library"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("library:unmet",)
ORDER = 40


def check(case: Case) -> Iterator[Match]:
    """Yield each file that was found, cannot be used, and ends the search."""
    found: dict[tuple[str, str], list[Step]] = {}
    for step in case.steps("library"):
        if step.detail:
            found.setdefault((step.need.name, step.detail), []).append(step)
    for (name, detail), steps in found.items():
        yield Match(finding=_finding(case, name, detail, steps), covers=tuple(steps))


def _finding(case: Case, name: str, detail: str, steps: list[Step]) -> Finding:
    path, _, reason = detail.partition(": ")
    needers = unique(case.needer(step.need) for step in steps)
    message = f"`{needers[0]}` needs `{name}`, and the loader of {case.target} ends at `{case.show(path)}`: {reason}"
    notes = ("the search stops here: what lies in later directories is not tried", would_come(case.following(steps)))
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause=f"`{name}` is found and refused: {reason}",
        steps=steps,
        lines=probes(case, steps[0]),
        notes=notes,
    )
