"""RW815: files are stored again: no record tells how they came there."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import told, who

CODE = "RW815"
NAME = "separate-copies"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("separate-copies",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "separate-copies", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    came = "how it came" if waste.files == 1 else "how they came"
    facts = dict(waste.facts)
    if "cache" in facts:
        return f"{who(waste)} links what it installs from its cache, and nothing tells what that had"
    if "in no record" not in facts:
        return f"records name the package, and nothing tells {came} there"
    return f"no record tells {came} there"
