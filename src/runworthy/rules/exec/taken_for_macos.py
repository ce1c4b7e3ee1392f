"""RW129: the script of an APE program takes the machine for macOS, by a directory."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, severity_of
from runworthy.rules.words import finding, help_

CODE = "RW129"
NAME = "taken-for-macos"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("payload:unmet",)
ORDER = 40


def check(case: Case) -> Iterator[Match]:
    """Yield the program whose script asks for /Applications and finds it."""
    for step in case.steps("payload"):
        if step.need.name == "Linux":
            yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        f"`{case.needer(step.need)}` is an APE program whose script takes {case.target} for macOS: "
        "`/Applications` is there",
        cause="`/Applications` is there",
        steps=(step,),
        notes=(
            "it goes the way of macOS, and what it unpacks for that is no program of Linux: `Exec format error`",
            "started by a handler with the APE loader it does not ask",
            assumption_note((step,)),
        ),
        remedies=(help_("move `/Applications` away from the root"),),
    )
