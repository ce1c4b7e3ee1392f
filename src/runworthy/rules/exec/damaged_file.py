"""RW109: a file whose segments cannot be what its program headers say, as one that was cut off."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW109"
NAME = "damaged-file"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("segments:unmet",)
ORDER = 20


def check(case: Case) -> Iterator[Match]:
    """Yield each object that is not whole."""
    for step in case.steps("segments"):
        cut = "the file ends at" in step.detail
        what = "is cut off" if cut else "is damaged"
        message = f"`{case.needer(step.need)}` {what}: {step.detail}"
        notes = ("it is mapped all the same; the first access behind its end kills the process",) if cut else ()
        remedies = (help_("fetch or build it again, and compare its size and checksum"),)
        found = finding(
            case,
            (CODE, NAME, SEVERITY),
            message,
            cause=f"the file {what}",
            steps=(step,),
            notes=notes,
            remedies=remedies,
        )
        yield Match(finding=found, covers=(step,))
