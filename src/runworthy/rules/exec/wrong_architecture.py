"""RW103: the file is built for another architecture than the target's."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW103"
NAME = "wrong-architecture"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("exec-format:unmet",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the file whose code the machine cannot run."""
    for step in case.steps("exec-format"):
        if "the machine is" in step.detail:
            yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    target = case.target if case.target.endswith(f"/{case.machine}") else f"{case.target} is {case.machine}"
    if target == case.target:
        target = f"the machine of {case.target} is {case.machine}"
    program = case.facts is None or case.facts.is_program
    seen = (
        "the kernel answers ENOEXEC: a shell says `cannot execute binary file: Exec format error`"
        if program
        else "a loader passes over it, or ends with `wrong ELF class` or `invalid ELF header`"
    )
    remedies = [help_(f"build it for {case.machine}")]
    if ":" in case.target and not case.target.startswith(("/", ".", "rootfs:")):
        name = case.target.partition("/")[0] if case.target.endswith(f"/{case.machine}") else case.target
        remedies.append(help_(f"check it on its own architecture: `--on {name}/{step.need.name}`"))
    message = f"`{case.needer(step.need)}` is built for {step.need.name}, {target}"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause="built for another architecture",
        items=(step.need.name,),
        steps=(step,),
        notes=(seen,),
        remedies=remedies,
    )
