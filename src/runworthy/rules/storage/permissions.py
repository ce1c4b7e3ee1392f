"""RW812: files are stored again: owners or permissions differ."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import told

CODE = "RW812"
NAME = "permissions"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("permissions",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "permissions", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    del waste
    return "owners or permissions differ, and a file has one of each"
