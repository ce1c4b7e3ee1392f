"""RW804: files are stored again: the installer copies whatever it installs."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import told, who

CODE = "RW804"
NAME = "copying-installer"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("copying-installer",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "copying-installer", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    return f"{who(waste)} copies whatever it installs"
