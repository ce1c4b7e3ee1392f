"""RW102: what lies at the path of the program's loader cannot be one."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding

CODE = "RW102"
NAME = "unusable-interpreter"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("interpreter:unmet",)
ORDER = 60

_SEEN = {
    "ELIBBAD": "the kernel answers ELIBBAD, which a shell prints as `Accessing a corrupted shared library`",
    "EACCES": "the kernel answers EACCES, which a shell prints as `Permission denied`",
    "ENOEXEC": "the kernel answers ENOEXEC, which a shell prints as `Exec format error`",
}


def check(case: Case) -> Iterator[Match]:
    """Yield the program whose loader is there and is no loader."""
    for step in case.steps("interpreter"):
        found = finding(
            case,
            (CODE, NAME, SEVERITY),
            _message(case, step),
            cause=f"the loader `{step.need.name}` cannot be used",
            steps=(step,),
            notes=_notes(step),
        )
        yield Match(finding=found, covers=(step,))


def _message(case: Case, step: Step) -> str:
    reason = step.detail.partition(": ")[2] or step.detail
    if "PT_INTERP" in reason:
        return f"`{case.needer(step.need)}` names its loader in a PT_INTERP of a size that the kernel refuses"
    what = {"no regular file": "which is no regular file there", "not an ELF file": "which is no ELF file there"}
    is_what = what.get(
        reason, f"which is {reason} there" if reason.startswith("made for") else f"which is damaged: {reason}"
    )
    return f"`{case.needer(step.need)}` names the loader `{step.need.name}` of {case.target}, {is_what}"


def _notes(step: Step) -> tuple[str, ...]:
    number = step.detail.partition(":")[0]
    return (_SEEN[number],) if number in _SEEN else ()
