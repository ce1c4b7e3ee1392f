"""The floor as JSON. The layout is ``runworthy.floor/1``; ``schema/runworthy.floor-1.json`` describes it key by key."""

from __future__ import annotations

import json
from collections.abc import Iterable

from runworthy import __version__
from runworthy.model.floor import Breach, Floor, FloorReport, Oldest, PageSizes, Reason, Rung, ShippedFloor
from runworthy.report.words import encodable

__all__ = ["SCHEMA", "floor_data", "floor_json"]

SCHEMA = "runworthy.floor/1"

Data = dict[str, object]


def floor_json(report: FloorReport) -> str:
    """Return the report as JSON text, the same bytes for the same report."""
    return json.dumps(floor_data(report), indent=2, ensure_ascii=True) + "\n"


def floor_data(report: FloorReport) -> Data:
    """Return the report as data of strings, numbers, lists and dictionaries."""
    return {
        "schema": SCHEMA,
        "runworthy": __version__,
        "shipped": [_shipped(one) for one in report.shipped],
        "gates": [_breach(one) for one in report.breaches],
        "problems": [
            {"file": encodable(name), "message": encodable(text)} for name, text in sorted(report.problems.items())
        ],
    }


def _shipped(shipped: ShippedFloor) -> Data:
    return {
        "asset": encodable(shipped.asset) or None,
        "arch": shipped.arch,
        "libc": shipped.libc or None,
        "files": _texts(shipped.files),
        "bundled": _texts(shipped.bundled),
        "presumed": _texts(shipped.presumed),
        "floors": {floor.kind: _floor(floor) for floor in shipped.floors},
        "page_sizes": _pages(shipped.pages),
        "oldest": [_oldest(one) for one in shipped.oldest],
    }


def _floor(floor: Floor) -> Data:
    return {
        "state": floor.state,
        "release": encodable(floor.release) or None,
        "words": encodable(floor.words) or None,
        "judged": floor.judged,
        "oldest_judged": floor.oldest or None,
        "open_below": floor.open_below,
        "starts": floor.starts or None,
        "missing": _reasons(floor.missing),
        "ceiling": floor.ceiling or None,
        "above": _reasons(floor.above),
        "rungs": [_rung(rung) for rung in floor.rungs],
        "lower": floor.lower.release if floor.lower else None,
        "reasons": _reasons(floor.reasons),
    }


def _rung(rung: Rung) -> Data:
    return {
        "release": encodable(rung.release) or None,
        "words": encodable(rung.words) or None,
        "reasons": _reasons(rung.reasons),
    }


def _reasons(reasons: Iterable[Reason]) -> list[Data]:
    return [
        {
            "file": encodable(reason.file) or None,
            "need": encodable(reason.need) or None,
            "library": encodable(reason.library) or None,
            "symbols": _texts(reason.symbols),
            "weak": reason.weak,
            "lazy": reason.lazy,
        }
        for reason in reasons
    ]


def _pages(pages: PageSizes | None) -> Data | None:
    if pages is None:
        return None
    return {
        "fit": list(pages.fit),
        "refused": [{"size": size, "files": _texts(files)} for size, files in sorted(pages.refused.items())],
    }


def _oldest(oldest: Oldest) -> Data:
    return {
        "family": oldest.family,
        "target": oldest.target or None,
        "libc": oldest.libc,
        "verdict": oldest.verdict,
    }


def _breach(breach: Breach) -> Data:
    return {
        "gate": breach.gate,
        "limit": encodable(breach.limit),
        "has": encodable(breach.has),
        "arch": breach.arch,
        "kept": None if breach.unknown else False,
        "rungs": [_rung(rung) for rung in breach.rungs],
    }


def _texts(texts: Iterable[str]) -> list[str]:
    return [encodable(text) for text in texts]
