"""RW512: a wheel holds files for the C library that its tag is not for."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.wheels import by_tag, promised, table, tag_steps, who, words
from runworthy.rules.words import finding, help_

CODE = "RW512"
NAME = "wrong-libc"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("tag:unmet",)
ORDER = 20


def check(case: Case) -> Iterator[Match]:
    """Yield each tag with the files that are for the other C library."""
    for tag, steps in by_tag(tag_steps(case, "libc")).items():
        names, several = who(case, steps)
        other = words(steps[0])
        message = f"{names} {'are' if several else 'is'} made for {other}, {tag} promises {promised(tag)}"
        family = {"musl": "musllinux", "glibc": "manylinux"}[other]
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause=f"files for {other} in a wheel for another C library",
                steps=steps,
                lines=table((case.needer(step.need), f"asks for {step.need.file}") for step in steps),
                remedies=(help_(f"build one wheel for each C library, and name this one {family}"),),
            ),
            covers=tuple(steps),
        )
