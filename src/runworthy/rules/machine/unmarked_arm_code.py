"""RW405: ARM code does not tell which CPUs can run it."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Answer
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW405"
NAME = "unmarked-arm-code"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("isa",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the ARM file on a machine of an older ARM architecture."""
    for step in case.steps("isa", answers=(Answer.UNKNOWN,)):
        message = f"`{case.needer(step.need)}` does not tell which ARM architecture its code needs, {case.target} is {case.machine}"
        notes = ("code for ARMv7 has the same ELF header as code for ARMv6: only instructions tell, and the first unknown one ends it with SIGILL",)
        remedies = (help_(f"build it for {case.machine}: `-march=armv6`"),) if case.machine == "armv6" else ()
        yield Match(
            finding=finding(case, (CODE, NAME, SEVERITY), message, steps=(step,), notes=notes, remedies=remedies),
            covers=(step,),
        )
