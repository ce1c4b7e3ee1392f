"""RW213: a library of a directory finds what it needs in the process of the file that loads it, and not alone."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding

CODE = "RW213"
NAME = "loaded-by-sibling"
SINCE = "0.2.0"
SEVERITY: Severity = "note"
READS = ("loaded-by-sibling",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield in whose process the library was judged, and what that brings."""
    for event in case.events("loaded-by-sibling"):
        process, _, brought = event.text.rpartition(" loads it with ")
        message = f"`{case.subject}` is judged as `{case.show(process)}` loads it, which brings {brought}"
        notes = ("by itself it does not find that: a program that opens it alone, by dlopen, needs it loaded before",)
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause="judged in the process of the file that loads it",
                items=(brought,),
                steps=(),
                stage="load",
                notes=notes,
            )
        )
