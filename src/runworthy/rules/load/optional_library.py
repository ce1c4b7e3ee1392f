"""RW210: a library that the file opens at run time, by its own notes, is not there."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, listed, rows, unique

CODE = "RW210"
NAME = "optional-library"
SINCE = "0.1.0"
SEVERITY: Severity = "note"
READS = ("dlopen",)
ORDER = 50

_RANKS = {"required": 0, "recommended": 1, "suggested": 2}


def check(case: Case) -> Iterator[Match]:
    """Yield what ``.note.dlopen`` names and the root lacks or is not known to have, the most wanted first."""
    for answer in (Answer.UNMET, Answer.UNKNOWN):
        steps = [step for step in case.trace.needs if step.need.kind == "dlopen" and step.answer is answer]
        steps.sort(key=lambda step: _RANKS.get(_priority(step), 3))
        if steps:
            yield Match(finding=_finding(case, steps, answer), covers=tuple(steps))


def _priority(step: Step) -> str:
    return step.detail.partition(": ")[0]


def _finding(case: Case, steps: list[Step], answer: Answer) -> Finding:
    wanted = unique(_priority(step) for step in steps)
    severity: Severity = "warning" if answer is Answer.UNMET and "required" in wanted else SEVERITY
    names = ["`" + step.need.name.replace(" or ", "` or `") + "`" for step in steps]
    lacks = f"which {case.target} lacks" if answer is Answer.UNMET else f"which are not known of {case.target}"
    if answer is Answer.UNKNOWN and len(names) == 1:
        lacks = f"which is not known of {case.target}"
    table = rows((step.need.name, _priority(step), step.detail.partition(": ")[2]) for step in steps)
    message = f"`{case.needer(steps[0].need)}` opens {listed(names, 5)} at run time, {lacks}"
    notes = ("it starts without them, as its own notes say (.note.dlopen); what they bring is then missing",)
    return finding(
        case,
        (CODE, NAME, severity),
        message,
        cause=f"libraries that are opened at run time are {'lacking' if answer is Answer.UNMET else 'not known'}",
        items=(step.need.name for step in steps),
        steps=steps,
        lines=table,
        notes=notes,
    )
