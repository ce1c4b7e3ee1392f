"""RW811: files are stored again: they belong to a source tree that is installed in place."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import told

CODE = "RW811"
NAME = "editable"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("editable",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "editable", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    return f"{'it belongs' if waste.files == 1 else 'they belong'} to a source tree that is installed in place"
