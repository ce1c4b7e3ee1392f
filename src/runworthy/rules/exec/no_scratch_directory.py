"""RW126: a program that unpacks its loader finds no directory in which files can be written and executed."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, reason_of, severity_of
from runworthy.rules.words import finding, probes

CODE = "RW126"
NAME = "no-scratch-directory"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("scratch-directory:unmet",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the program that cannot unpack what it starts with."""
    for step in case.steps("scratch-directory"):
        yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    ape = case.file.ape if case.file else None
    loader = ape.loader_name if ape and ape.loader_name else "its loader"
    where = step.need.name or "TMPDIR, HOME or the working directory"
    noexec = "noexec" in step.detail
    says = f"`{loader}: Permission denied` and an exit with 126" if noexec else f"`cannot create {loader}`"
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        f"`{case.needer(step.need)}` unpacks `{loader}` before it starts, and {where} does not do: {reason_of(step)}",
        cause="no directory in which an APE program can unpack its loader",
        steps=(step,),
        lines=probes(case, step),
        notes=(f"what is seen is {says}", assumption_note((step,))),
    )
