"""RW404: a library asks for an executable stack, which a running process does not give."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW404"
NAME = "executable-stack"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("exec-stack",)
ORDER = 50

_REFUSED = (
    "since glibc 2.41 dlopen fails with `cannot enable executable stack as shared object requires`",
    "needed by a program from its start, it still loads",
)
_KEPT = ("it loads; code that it places on the stack, as nested functions of GNU C do, ends with SIGSEGV",)


def check(case: Case) -> Iterator[Match]:
    """Yield the library with an executable PT_GNU_STACK, or without any on a port where that means the same."""
    for step in case.steps("exec-stack"):
        who = case.needer(step.need)
        facts = case.objects.facts(step.need.by)
        marked = facts is None or facts.exec_stack is not None
        asks = "asks for an executable stack" if marked else "has no PT_GNU_STACK, which means an executable stack"
        refuses = step.detail == "cannot enable executable stack"
        seen = _REFUSED if refuses else _KEPT
        severity: Severity = SEVERITY if step.fatal else "warning"
        remedies = (
            help_(f"take the mark off, if it runs no code on the stack: `patchelf --clear-execstack {who}`"),
            help_('add `.section .note.GNU-stack,"",@progbits` to its assembly files and build it again'),
        )
        message = f"`{who}` {asks}, {case.libc} of {case.target} does not give one to a running process"
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, severity),
                message,
                cause="an executable stack is asked for",
                steps=(step,),
                notes=seen,
                remedies=remedies,
            ),
            covers=(step,),
        )
