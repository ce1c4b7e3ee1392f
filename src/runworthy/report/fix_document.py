"""Plans as JSON. The layout is ``runworthy.fix/1``; ``schema/runworthy.fix-1.json`` describes it key by key."""

from __future__ import annotations

import json

from runworthy import __version__
from runworthy.model.finding import Remedy
from runworthy.model.plan import FixReport, Plan, Repair
from runworthy.report.changes import change_lines
from runworthy.report.document import Data, document, remedy_data
from runworthy.report.words import encodable

__all__ = ["SCHEMA", "fix_json"]

SCHEMA = "runworthy.fix/1"


def fix_json(report: FixReport) -> str:
    """Return the report as JSON text, the same bytes for the same report."""
    data = {
        "schema": SCHEMA,
        "runworthy": __version__,
        "report": document(report.report),
        "plans": [_plan(plan) for plan in report.plans],
        "repairs": [_repair(repair) for repair in report.repairs],
    }
    return json.dumps(data, indent=2, ensure_ascii=True) + "\n"


def _plan(plan: Plan) -> Data:
    return {
        "target": encodable(plan.target),
        "subjects": [encodable(name) for name in plan.subjects],
        "remedies": [
            _proposal(number, remedy, live=plan.target == "host") for number, remedy in enumerate(plan.remedies, 1)
        ],
    }


def _proposal(number: int, remedy: Remedy, *, live: bool) -> Data:
    lines = [encodable(line) for line in change_lines(remedy, everything=True, live=live)]
    return {"number": number, "remedy": remedy_data(remedy), "changes": lines}


def _repair(repair: Repair) -> Data:
    return {
        "target": encodable(repair.target),
        "title": encodable(repair.remedy.title),
        "entry": repair.entry or None,
        "kept": repair.kept,
        "runs": repair.runs,
        "why": encodable(repair.why),
        "told": [encodable(line) for line in repair.told],
    }
