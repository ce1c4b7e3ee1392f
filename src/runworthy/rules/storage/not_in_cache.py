"""RW807: files are stored again: their installer links, and none of their names is in its cache."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import told, who

CODE = "RW807"
NAME = "not-in-cache"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("not-in-cache",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "not-in-cache", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    names = "none of its names" if waste.files == 1 else "no name of any"
    return f"{who(waste)} links what it installs, and {names} is in its cache"
