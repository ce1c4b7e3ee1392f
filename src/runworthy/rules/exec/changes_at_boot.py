"""RW134: the next boot changes who takes the file."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding

CODE = "RW134"
NAME = "changes-at-boot"
SINCE = "0.2.0"
SEVERITY: Severity = "warning"
READS = ("boot-differs",)
ORDER = 60


def check(case: Case) -> Iterator[Match]:
    """Yield what will be otherwise after the next boot."""
    for event in case.events("boot-differs"):
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                f"what takes `{case.show(event.by) if event.by else case.subject}` changes when {case.target} boots: "
                f"{event.text}",
                cause="the next boot changes who takes it",
                steps=(),
                stage="exec",
                notes=("handlers are kept in the kernel's memory: each boot registers them anew, from files",),
            )
        )
