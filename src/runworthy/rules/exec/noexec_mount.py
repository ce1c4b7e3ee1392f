"""RW120: the file lies on a file system that is mounted so that nothing is executed from it."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, ends_in, severity_of
from runworthy.rules.words import finding

CODE = "RW120"
NAME = "noexec-mount"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("permission:unmet", "handler:unmet", "script-interpreter:unmet", "interpreter:unmet")
ORDER = 30

_READ = "a shell or interpreter that is given the file reads it all the same"
_MAPPED = "the loader refuses to map it as well: `ld.so FILE` does not help"


def check(case: Case) -> Iterator[Match]:
    """Yield each file of the start that lies on such a mount."""
    for step in case.steps("handler", "script-interpreter", "interpreter") or case.steps("permission"):
        if step.need.name == "noexec" or "noexec" in step.detail:
            yield Match(finding=_finding(case, step), covers=(step, *ends_in(case, step)))


def _finding(case: Case, step: Step) -> Finding:
    needer = case.needer(step.need)
    who = needer if step.need.kind == "permission" else step.need.name
    script = case.file is not None and case.file.script is not None and step.need.by == case.path
    notes = (
        "" if who == needer else f"`{needer}` is started by it",
        f"`{case.subject}` starts it" if step.need.kind == "permission" and step.need.by != case.path else "",
        "the kernel answers EACCES, which a shell prints as `Permission denied`; `chmod +x` changes nothing",
        _READ if script else _MAPPED if case.facts is not None else "",
        assumption_note((step,)),
    )
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        f"`{who}` lies on a file system of {case.target} that is mounted with noexec",
        cause="on a file system that is mounted noexec",
        steps=(step,),
        notes=notes,
    )
