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
READS = ("isa:unknown",)
ORDER = 50

_MARCH = {"armel": "armv5te"}


def check(case: Case) -> Iterator[Match]:
    """Yield the ARM file on a machine of an older ARM architecture."""
    for step in case.steps("isa", answers=(Answer.UNKNOWN,)):
        who = case.needer(step.need)
        message = f"`{who}` does not tell which ARM architecture its code needs, {case.target} is {case.machine}"
        notes = (
            "code for ARMv7 has the same ELF header as code for ARMv6: an instruction that is not there is SIGILL",
        )
        remedies = (help_(f"build it for {case.machine}: `-march={_MARCH.get(case.machine, case.machine)}`"),)
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause="the ARM architecture of the code is not told",
                steps=(step,),
                notes=notes,
                remedies=remedies,
            ),
            covers=(step,),
        )
