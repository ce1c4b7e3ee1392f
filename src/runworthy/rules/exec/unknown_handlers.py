"""RW132: which handlers the machine has cannot be told, and one of them could take the file."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Answer
from runworthy.rules import Case, Match
from runworthy.rules.words import finding

CODE = "RW132"
NAME = "unknown-handlers"
SINCE = "0.2.0"
SEVERITY: Severity = "warning"
READS = ("exec-format:unknown",)
ORDER = 15


def check(case: Case) -> Iterator[Match]:
    """Yield the file of which it is open who takes it."""
    why = case.handlers.unknown
    if not why or (case.file is None and case.facts is None):
        return
    for step in case.steps("exec-format", answers=(Answer.UNKNOWN,)):
        if why in step.detail or step.why != "machine-unstated":
            yield Match(
                finding=finding(
                    case,
                    (CODE, NAME, SEVERITY),
                    f"which handlers {case.target} has cannot be told, nor who takes `{case.needer(step.need)}`: {why}",
                    cause=f"which handlers there are cannot be told: {why}",
                    steps=(step,),
                    notes=("handlers come before the kernel's own formats: any of them may take any file",),
                ),
                covers=(step,),
            )
