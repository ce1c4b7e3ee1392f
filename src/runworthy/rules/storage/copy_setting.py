"""RW805: files are stored again: the installer was told to copy, or fell back to it, where links work."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import told, who

CODE = "RW805"
NAME = "copy-setting"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("copy-setting",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "copy-setting", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    said = dict(waste.facts).get("told by")
    if said:
        return f"{who(waste)} was told to copy by `{said}`"
    is_ = "it is not linked" if waste.files == 1 else "none of them is linked"
    return f"{is_}, though {who(waste)} links what it installs, and its cache is on the same mount"
