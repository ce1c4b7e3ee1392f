"""RW502: unpackers do not agree on what members of an archive are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.archive_members import by_oddity, how_many, table
from runworthy.rules.words import finding

CODE = "RW502"
NAME = "ambiguous-member"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("archive-member:unmet",)
ORDER = 21

_WORDS: Mapping[str, tuple[str, str, str]] = {
    "duplicate": ("member", "members", "of which there is another one of the same name"),
    "name": ("member", "members", "with a name that is not the same everywhere"),
    "overlap": ("member", "members", "with bytes of others, as archives have that are made to fill disks"),
    "disagrees": ("contradiction", "contradictions", "in what it says of its members"),
}


def check(case: Case) -> Iterator[Match]:
    """Yield each way in which members are ambiguous."""
    for kind, steps in by_oddity(case, _WORDS, Answer.UNMET).items():
        yield Match(finding=_finding(case, kind, steps), covers=tuple(steps))


def _finding(case: Case, kind: str, steps: list[Step]) -> Finding:
    one, many, what = _WORDS[kind]
    left_out = any(step.fatal for step in steps)
    return finding(
        case,
        (CODE, NAME, "error" if left_out else SEVERITY),
        f"`{case.needer(steps[0].need)}` holds {how_many(steps, one, many)} {what}",
        cause=f"it holds {many} {what}",
        items=(step.need.name for step in steps),
        steps=steps,
        lines=table(steps),
        notes=("what lies on a disk afterwards depends on the program that unpacks it",),
    )
