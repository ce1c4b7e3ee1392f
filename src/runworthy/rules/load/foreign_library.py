"""RW204: a needed library is there, but only for another machine."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_, probes, quoted, unique, would_come

CODE = "RW204"
NAME = "foreign-library"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("library:unmet",)
ORDER = 30

_PASSED_OVER = "passed over: "


def check(case: Case) -> Iterator[Match]:
    """Yield each library of which every file found was passed over."""
    found: dict[str, list[Step]] = {}
    for step in case.steps("library"):
        if not step.detail and any(probe.outcome.startswith(_PASSED_OVER) for probe in step.searched):
            found.setdefault(step.need.name, []).append(step)
    for name, steps in found.items():
        yield Match(finding=_finding(case, name, steps), covers=tuple(steps))


def _finding(case: Case, name: str, steps: list[Step]) -> Finding:
    passed = [probe for probe in steps[0].searched if probe.outcome.startswith(_PASSED_OVER)]
    arch = case.facts.architecture if case.facts else None
    reasons = unique(probe.outcome.removeprefix(_PASSED_OVER) for probe in passed)
    files = quoted(case.show(probe.path) for probe in passed)
    who, machine = case.needer(steps[0].need), arch.name if arch else case.machine
    message = f"`{who}` needs `{name}` for {machine}, the loader passes over {files}"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"{message}: {', '.join(reasons)}",
        cause=f"`{name}` is there for other machines only",
        steps=steps,
        lines=probes(case, steps[0]),
        notes=(would_come(case.following(steps)), "the message that people see is `cannot open shared object file`"),
        remedies=(help_(f"ship or install `{name}` for {arch.name}"),) if arch else (),
    )
