"""RW810: files are stored again: a package has one file under several names."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import them, told

CODE = "RW810"
NAME = "version-chain"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("version-chain",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "version-chain", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    if waste.installer in ("uv", "pip", "poetry"):
        return f"the package has {them(waste)} under several names, and wheels cannot hold links"
    return f"the package has {them(waste)} under several names"
