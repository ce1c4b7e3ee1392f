"""RW128: an APE program rewrites its own file when it starts, and the file cannot be written."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, reason_of, severity_of
from runworthy.rules.words import finding

CODE = "RW128"
NAME = "read-only-ape"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("permission:unmet",)
ORDER = 40


def check(case: Case) -> Iterator[Match]:
    """Yield the program that would have to change itself."""
    for step in case.steps("permission"):
        if step.need.name == "write":
            yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    who = case.needer(step.need)
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        f"`{who}` is an APE program that rewrites itself when it starts, and cannot be written: {reason_of(step)}",
        cause="an APE program that rewrites itself, where it cannot be written",
        steps=(step,),
        notes=(
            "it carries no loader: its script turns the file itself into an ELF file of this machine",
            f"a shell says `cannot create {who}`, as `Read-only file system` or `Permission denied`",
            assumption_note((step,)),
        ),
    )
