"""RW514: RECORD and the files of a wheel are not the same."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.wheels import aspect, table, words
from runworthy.rules.words import count, finding, help_, listed

CODE = "RW514"
NAME = "record-differs"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("record:unmet",)
ORDER = 30

_NOTE = "PEP 427 has an installer refuse it; `installer` does where a file is there, pip and uv do not look"
_WORDS = {
    "unlisted": "not in RECORD",
    "absent": "in RECORD, not in the wheel",
    "unhashed": "in RECORD without a hash",
    "size": "of another size than in RECORD",
    "hash": "of another hash than in RECORD",
}


def check(case: Case) -> Iterator[Match]:
    """Yield one finding on all that differs."""
    steps = case.steps("record")
    if not steps:
        return
    groups: dict[str, list[Step]] = {}
    for step in steps:
        groups.setdefault(aspect(step), []).append(step)
    parts = [f"{count(len(held), 'file')} {_WORDS[kind]}" for kind, held in groups.items() if kind in _WORDS]
    parts += [words(step) for step in groups.get("unreadable", ())]
    severity: Severity = SEVERITY if any(step.fatal for step in steps) else "warning"
    yield Match(
        finding=finding(
            case,
            (CODE, NAME, severity),
            f"RECORD of `{case.subject}` is not what the wheel holds: {listed(parts)}",
            cause="RECORD is not what the wheel holds",
            items=(step.need.by for step in steps),
            steps=steps,
            lines=table((step.need.by, _difference(step)) for step in steps),
            notes=() if severity == SEVERITY else (_NOTE,),
            remedies=(help_("pack it anew: `wheel unpack` and `wheel pack` write RECORD"),),
        ),
        covers=tuple(steps),
    )


def _difference(step: Step) -> str:
    kind = aspect(step)
    if kind == "size":
        said, found = words(step).split()
        return f"{said} bytes in RECORD, {found} in the wheel"
    if kind == "hash":
        said, found = words(step).split()
        return f"{said} in RECORD, {found} in the wheel"
    return _WORDS.get(kind, words(step))
