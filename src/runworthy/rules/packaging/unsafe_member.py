"""RW501: members of an archive reach out of the directory that it is unpacked in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.archive_members import odd_members

CODE = "RW501"
NAME = "unsafe-member"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("archive-member:unmet",)
ORDER = 20

_KINDS: Mapping[str, tuple[str, str, str]] = {
    "outside": ("member", "members", "named so as to lie outside of the directory it is unpacked in"),
    "link-outside": ("link", "links", "leading out of the directory it is unpacked in"),
    "through-link": ("member", "members", "written through links that it brings itself"),
    "device": ("device, FIFO or socket", "devices, FIFOs and sockets", "among its members"),
}


def check(case: Case) -> Iterator[Match]:
    """Yield each way in which members are unsafe."""
    yield from odd_members(
        case, CODE, NAME, _KINDS, left_out="unpackers refuse such members or the whole archive; they are left out here"
    )
