"""RW803: files are stored again: the cache of the installer is in another btrfs subvolume, so that it copied."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import them, told, who

CODE = "RW803"
NAME = "subvolume"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("subvolume",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "subvolume", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    return f"{who(waste)} copied {them(waste)}, as its cache is in another subvolume, to which no hard link leads"
