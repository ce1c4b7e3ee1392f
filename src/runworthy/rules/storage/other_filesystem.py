"""RW801: files are stored again: the cache of the installer is on another file system, so that it copied."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import them, told, who

CODE = "RW801"
NAME = "other-filesystem"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("other-filesystem",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "other-filesystem", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    return f"{who(waste)} copied {them(waste)}, as its cache lies on another file system"
