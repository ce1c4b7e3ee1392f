"""RW202: a needed library is at none of the paths that the loader tries."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.known import package_of
from runworthy.rules.words import finding, help_, probes, quoted, unique, would_come

CODE = "RW202"
NAME = "missing-library"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("library",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield each library that is not found, once for all that need it."""
    found: dict[str, list[Step]] = {}
    for step in case.steps("library"):
        if not step.detail:
            found.setdefault(step.need.name, []).append(step)
    for name, steps in found.items():
        yield Match(finding=_finding(case, name, steps), covers=tuple(steps))


def _finding(case: Case, name: str, steps: list[Step]) -> Finding:
    needers = unique(case.needer(step.need) for step in steps)
    by_path = "/" in name
    message = f"`{needers[0]}` needs `{name}`, which is not in {case.target}"
    notes = (
        f"{quoted(needers[1:])} {'needs' if len(needers) == 2 else 'need'} it too" if len(needers) > 1 else "",
        would_come(case.following(steps)),
        "a name with a slash is opened as it stands: no search path is tried" if by_path else "",
    )
    remedies = tuple(_remedies(case, name))
    return finding(
        case, (CODE, NAME, SEVERITY), message, steps=steps, lines=probes(case, steps[0]), notes=notes, remedies=remedies
    )


def _remedies(case: Case, name: str) -> Iterator[Remedy]:
    package = package_of(name, case.target)
    if package:
        yield help_(f"install `{package}`")
    elif "/" not in name:
        yield help_(f"ship `{name}` with it, or install the package that brings it")
