"""RW807: files are stored again: they were linked to entries of the cache that have been replaced since."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import them, told, who

CODE = "RW807"
NAME = "cache-replaced"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("cache-replaced",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "cache-replaced", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    return f"the entries that {who(waste)} linked {them(waste)} to have been replaced in its cache"
