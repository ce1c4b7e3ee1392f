"""RW209: the root has no dynamic loader for the library's architecture."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW209"
NAME = "no-loader"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("loader:unmet",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the library that no program of the root could load."""
    for step in case.steps("loader"):
        who = case.needer(step.need)
        message = f"`{who}` is a library for {step.need.name}, {case.target} has no dynamic loader for it"
        notes = ("neither glibc's nor musl's loader is at its path, so no dynamically linked program starts there",)
        remedies = (help_("use a root that has a C library, or link the code into a static program"),)
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause=f"no dynamic loader for {step.need.name}",
                steps=(step,),
                notes=notes,
                remedies=remedies,
            ),
            covers=(step,),
        )
