"""RW806: files are stored again: they come from entries of caches that know packages and not bytes."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import told

CODE = "RW806"
NAME = "separate-cache-entries"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("separate-cache-entries",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "separate-cache-entries", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    entries = "an entry of a cache" if waste.files == 1 else "entries of caches"
    return f"each package has {entries} of its own, and caches know packages and not bytes"
