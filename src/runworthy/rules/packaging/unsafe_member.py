"""RW501: members of an archive reach out of the directory that it is unpacked in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.archive_members import by_oddity, how_many, table
from runworthy.rules.words import finding

CODE = "RW501"
NAME = "unsafe-member"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("archive-member:unmet",)
ORDER = 20

_WORDS: Mapping[str, tuple[str, str, str]] = {
    "outside": ("member", "members", "named so as to lie outside of the directory it is unpacked in"),
    "link-outside": ("link", "links", "leading out of the directory it is unpacked in"),
    "through-link": ("member", "members", "written through links that it brings itself"),
    "device": ("device, FIFO or socket", "devices, FIFOs and sockets", "among its members"),
}


def check(case: Case) -> Iterator[Match]:
    """Yield each way in which members are unsafe."""
    for kind, steps in by_oddity(case, _WORDS, Answer.UNMET).items():
        yield Match(finding=_finding(case, kind, steps), covers=tuple(steps))


def _finding(case: Case, kind: str, steps: list[Step]) -> Finding:
    one, many, what = _WORDS[kind]
    left_out = any(step.fatal for step in steps)
    return finding(
        case,
        (CODE, NAME, "error" if left_out else "warning"),
        f"`{case.needer(steps[0].need)}` holds {how_many(steps, one, many)} {what}",
        cause=f"it holds {many} {what}",
        items=(step.need.name for step in steps),
        steps=steps,
        lines=table(steps),
        notes=("unpackers refuse such members or the whole archive; they are left out here" if left_out else "",),
    )
