"""RW814: files are stored again: they lie in layers of images."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.storage import Waste
from runworthy.rules import Case, Match
from runworthy.rules.storage.wasted import told

CODE = "RW814"
NAME = "image-layer"
SINCE = "0.3.0"
SEVERITY: Severity = "note"
READS = ("image-layer",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield what this stores again, with each environment that has the same."""
    return told(case, "image-layer", (CODE, NAME, SEVERITY), _why)


def _why(waste: Waste) -> str:
    return f"{'it lies' if waste.files == 1 else 'they lie'} in layers of images, and each layer is stored by itself"
