"""RW107: an ELF file that is neither a program nor a library."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.executing import caller_rows, caller_steps, severity_of
from runworthy.rules.words import finding

CODE = "RW107"
NAME = "not-loadable"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("exec-format:unmet",)
ORDER = 60

_TYPES = {1: "an object file (ET_REL), which has to be linked first", 4: "a core dump (ET_CORE)"}


def check(case: Case) -> Iterator[Match]:
    """Yield the file that nothing can start or load."""
    for step in case.steps("exec-format"):
        kind = case.facts.header.type if case.facts else 0
        reason = step.detail.partition(": ")[2]
        what = _TYPES.get(kind, reason if "neither" in reason else "an ELF file without program headers")
        message = f"`{case.needer(step.need)}` is {what}"
        seen = "the kernel answers ENOEXEC: a shell says `cannot execute binary file: Exec format error`"
        callers = caller_steps(case, step.need.by)
        found = finding(
            case,
            (CODE, NAME, severity_of((step, *callers))),
            message,
            cause=f"it is {what}",
            steps=(step,),
            lines=caller_rows(case, callers),
            notes=(seen,),
        )
        yield Match(finding=found, covers=(step, *callers))
