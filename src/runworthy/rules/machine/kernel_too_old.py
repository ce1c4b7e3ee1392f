"""RW403: the kernel is older than the file's C library accepts."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import dotted, finding, help_

CODE = "RW403"
NAME = "kernel-too-old"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("kernel",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the file that names a newer minimum kernel."""
    for step in case.steps("kernel"):
        who = case.needer(step.need)
        kernel = case.hardware.kernel if case.hardware else None
        has = (
            f"the kernel of {case.target} is {dotted(kernel)}"
            if kernel
            else f"{case.target} is taken to have {step.assumption}"
        )
        notes = [f"its C library ends with `{step.detail}`"] if step.detail else []
        remedies = [help_(f"state the kernel: `--kernel {step.need.name}`")] if step.assumption else []
        remedies.append(help_(f"run it under Linux {step.need.name} or later"))
        severity: Severity = "warning" if step.assumption else SEVERITY
        message = f"`{who}` is built for Linux {step.need.name} or later, {has}"
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, severity),
                message,
                cause=f"Linux {step.need.name} or later is needed",
                steps=(step,),
                notes=notes,
                remedies=remedies,
            ),
            covers=(step,),
        )
