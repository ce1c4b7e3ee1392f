"""RW802: files are stored again: the cache is behind another mount, which links do not cross."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import them, told, who

CODE = "RW802"
NAME = "bind-mount"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("bind-mount",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "bind-mount", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    return f"{who(waste)} copied {them(waste)}, as its cache is behind another mount of the same file system"
