"""RW502: unpackers do not agree on what members of an archive are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.archive_members import odd_members

CODE = "RW502"
NAME = "ambiguous-member"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("archive-member:unmet",)
ORDER = 21

_KINDS: Mapping[str, tuple[str, str, str]] = {
    "duplicate": ("member", "members", "of which there is another one of the same name"),
    "name": ("member", "members", "with a name that is not the same everywhere"),
    "overlap": ("member", "members", "with bytes of others, as archives have that are made to fill disks"),
    "disagrees": ("contradiction", "contradictions", "in what it says of its members"),
}


def check(case: Case) -> Iterator[Match]:
    """Yield each way in which members are ambiguous."""
    yield from odd_members(
        case, CODE, NAME, _KINDS, note="what lies on a disk afterwards depends on the program that unpacks it"
    )
