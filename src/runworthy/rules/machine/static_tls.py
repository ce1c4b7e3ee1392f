"""RW406: a library that is opened at run time wants more static thread-local storage than is left."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW406"
NAME = "static-tls"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("static-tls:unmet",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield each opened library whose thread-local variables find no place."""
    for step in case.steps("static-tls"):
        who = case.needer(step.need)
        message = f"`{who}` wants {step.need.name} of static thread-local storage when it is opened, {_left(case)}"
        notes = (f"dlopen answers `{step.detail}`",)
        remedies = (
            help_("build it without `-ftls-model=initial-exec`"),
            help_("or have the program need it at start: link with it, or preload it"),
        )
        found = finding(
            case,
            (CODE, NAME, SEVERITY),
            message,
            cause="static thread-local storage is wanted late",
            steps=(step,),
            notes=notes,
            remedies=remedies,
        )
        yield Match(finding=found, covers=(step,))


def _left(case: Case) -> str:
    if case.libc is not None and case.libc.family == "musl":
        return f"{case.libc} of {case.target} has none for a library that comes later"
    return f"{case.libc} of {case.target} keeps 1664 bytes for all such libraries"
