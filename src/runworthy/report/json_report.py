"""The report as JSON."""

from __future__ import annotations

import json

from runworthy.model.finding import Report
from runworthy.report.document import document

__all__ = ["report_json"]


def report_json(report: Report, *, trace: bool = False) -> str:
    """Return the report document as JSON text, the same bytes for the same report."""
    return json.dumps(document(report, trace=trace), indent=2, ensure_ascii=True) + "\n"
