"""RW808: files are stored again: the installer wrote the path of the environment into them."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import them, told, who

CODE = "RW808"
NAME = "prefix-patched"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("prefix-patched",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "prefix-patched", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    return f"{who(waste)} wrote the path of the environment into {them(waste)}, and links no such file"
