"""RW106: the subject is no ELF file."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Answer
from runworthy.rules import Case, Match
from runworthy.rules.words import finding

CODE = "RW106"
NAME = "not-elf"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("exec-format:unknown",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the subject that is something else."""
    for step in case.steps("exec-format", answers=(Answer.UNKNOWN,)):
        if step.why == "not-modelled":
            message = f"`{case.subject}` {step.detail}"
            yield Match(
                finding=finding(case, (CODE, NAME, SEVERITY), message, cause=f"it {step.detail}", steps=(step,)),
                covers=(step,),
            )
