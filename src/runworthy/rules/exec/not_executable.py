"""RW108: nobody may execute the program."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW108"
NAME = "not-executable"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("permission",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the program without any execute permission."""
    for step in case.steps("permission"):
        who = case.needer(step.need)
        message = f"`{who}` has no execute permission in {case.target}"
        notes = ("the kernel answers EACCES: a shell says `Permission denied`",)
        remedies = (help_(f"`chmod +x {who}`"),)
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause="no execute permission",
                steps=(step,),
                notes=notes,
                remedies=remedies,
            ),
            covers=(step,),
        )
