"""RW809: files are stored again: each package brings the library along."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import them, told

CODE = "RW809"
NAME = "vendored"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("vendored",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "vendored", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    return f"each package brings {them(waste)} along"
