"""RW104: some machines of the target's architecture run such programs, others do not."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.arch import architecture
from runworthy.model.finding import Severity
from runworthy.model.trace import Answer
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW104"
NAME = "unstated-compatibility"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("exec-format:unknown",)
ORDER = 50

_ON_32_BIT = (
    "the CPU must still have the 32-bit instructions, which newer 64-bit cores lack",
    "the kernel must be built with CONFIG_COMPAT",
)
_DEPENDS = {"x32": ("the kernel must be built with CONFIG_X86_X32_ABI, which distributions leave out",)}


def check(case: Case) -> Iterator[Match]:
    """Yield the file of an architecture that only some kernels or CPUs take."""
    for step in case.steps("exec-format", answers=(Answer.UNKNOWN,)):
        if step.why != "machine-unstated" or architecture(step.need.name) is None:
            continue
        who, program = case.needer(step.need), step.need.name
        message = f"`{who}` is built for {program}, {case.target} is {case.machine}: some such machines run it"
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause=f"built for {program}, which some such machines run",
                steps=(step,),
                notes=_DEPENDS.get(program, _ON_32_BIT),
                remedies=(help_(f"build it for {case.machine}"),),
            ),
            covers=(step,),
        )
