"""RW106: the subject is no ELF file, and how it would be run is not known."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_, quoted, unique

CODE = "RW106"
NAME = "not-elf"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("exec-format:unknown", "handler:unknown", "script-interpreter:unknown", "tool:unknown")
ORDER = 65

_KINDS = tuple(kind.partition(":")[0] for kind in READS)


def check(case: Case) -> Iterator[Match]:
    """Yield the file of which it is not known how it would be run."""
    steps = case.steps(*_KINDS, answers=(Answer.UNKNOWN,))
    outside = [step for step in steps if step.why == "outside-core"]
    for step in steps:
        if step.why != "outside-core":
            who = case.needer(step.need)
            if step.detail.startswith("is "):
                message, cause = f"`{who}` {step.detail}", f"it {step.detail}"
            else:
                cause = f"how it is run cannot be told: {step.detail or 'nothing is known of it'}"
                message = f"`{who}`: {cause}"
            yield Match(
                finding=finding(case, (CODE, NAME, SEVERITY), message, cause=cause, steps=(step,)), covers=(step,)
            )
    if outside:
        yield Match(finding=_outside(case, outside), covers=tuple(outside))


def _outside(case: Case, steps: list[Step]) -> Finding:
    """Tell of all that a root of which only the core is known may have or not."""
    names = unique(step.need.name for step in steps)
    are = "is" if len(names) == 1 else "are"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"`{case.subject}` is run by {quoted(names, 7)}, which {are} outside what is known of {case.target}",
        cause="it is run by what lies outside the known core",
        items=names,
        steps=steps,
        notes=(f"of {case.target} only the C library, the compiler runtime and zlib are known",),
        remedies=(help_("name a root directory of that system as the target, or add its packages with `--with FILE`"),),
    )
