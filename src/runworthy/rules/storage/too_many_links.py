"""RW813: files are stored again: a file has as many names as its file system allows."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import told

CODE = "RW813"
NAME = "too-many-links"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("too-many-links",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "too-many-links", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    del waste
    return "a file has as many names as its file system allows"
