"""RW104: some machines of the target's architecture run such programs, others do not."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Answer
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW104"
NAME = "unstated-compatibility"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("exec-format",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the file of an architecture that only some kernels or CPUs take."""
    for step in case.steps("exec-format", answers=(Answer.UNKNOWN,)):
        if step.why != "machine-unstated":
            continue
        program = step.need.name
        depends = (
            "the kernel must be built with CONFIG_X86_X32_ABI and started with it, which distributions are not"
            if program == "x32"
            else f"the CPU must still have the 32-bit instructions of {program}, which newer {case.machine} cores lack, "
            "and the kernel must be built with CONFIG_COMPAT"
        )
        message = f"`{case.needer(step.need)}` is built for {program}, {case.target} is {case.machine}: some such machines run it"
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                steps=(step,),
                notes=(depends,),
                remedies=(help_(f"build it for {case.machine}"),),
            ),
            covers=(step,),
        )
