"""RW503: something of an archive could not be judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.archive_members import by_oddity, how_many, table
from runworthy.rules.words import finding

CODE = "RW503"
NAME = "archive-not-read"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("archive-member:unknown", "metadata:unknown")
ORDER = 20

_WORDS: Mapping[str, str] = {
    "size": "too large for what holds it",
    "encrypted": "encrypted",
    "method": "packed in a way that is not read",
    "damaged": "damaged",
    "nested": "an archive too deep in others",
    "problem": "",
}


def check(case: Case) -> Iterator[Match]:
    """Yield each reason for which something could not be judged."""
    for kind, steps in by_oddity(case, _WORDS, Answer.UNKNOWN).items():
        yield Match(finding=_finding(case, kind, steps), covers=tuple(steps))
    for step in case.steps("metadata", answers=(Answer.UNKNOWN,)):
        yield Match(finding=_manifest(case, step), covers=(step,))


def _manifest(case: Case, step: Step) -> Finding:
    """Return that what is taken of a package is not known, since what says so cannot be read."""
    words = step.detail.partition(": ")[2]
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"what of `{case.needer(step.need)}` is taken where cannot be judged: {words}",
        cause="its manifest cannot be read",
        steps=(step,),
    )


def _finding(case: Case, kind: str, steps: list[Step]) -> Finding:
    who = case.needer(steps[0].need)
    message = f"{how_many(steps, 'member', 'members')} of `{who}` cannot be judged: {_WORDS[kind]}"
    cause = f"members of it cannot be judged: {_WORDS[kind]}"
    if kind == "problem":
        message = f"`{who}` cannot be judged to its end: {steps[0].detail}"
        cause = "it cannot be judged to its end"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause=cause,
        items=(step.need.name for step in steps),
        steps=steps,
        lines=table(steps),
    )
