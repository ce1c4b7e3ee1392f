"""RW214: a library finds another one of its directory only in a process that has loaded it before."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_, probes, quoted, unique, would_come

CODE = "RW214"
NAME = "sibling-first"
SINCE = "0.2.0"
SEVERITY: Severity = "warning"
READS = ("wants-sibling-first",)
ORDER = 30


def check(case: Case) -> Iterator[Match]:
    """Yield each library that has to be loaded before, with where it lies."""
    for event in case.events("wants-sibling-first"):
        sibling, _, name = event.text.rpartition(" is ")
        steps = [step for step in case.steps("library") if step.need.name == name]
        if not steps:
            continue
        who = quoted(unique(case.needer(step.need) for step in steps))
        message = f"{who} finds `{name}` only after `{case.show(sibling)}` was loaded: {case.target} has none elsewhere"
        notes = (
            "a program that opens it may do so, as `java` does with `libjvm.so`; the loader alone does not look there",
            would_come(case.following(steps)),
        )
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause=f"`{name}` has to be loaded before",
                steps=steps,
                lines=probes(case, steps[0]),
                notes=notes,
                remedies=(help_("if nothing loads it before, give the file a RUNPATH that leads there"),),
            ),
            covers=tuple(steps),
        )
