"""Two builds compared, as data in the layout of ``schema/runworthy.diff-1.json``."""

from __future__ import annotations

import json

from runworthy import __version__
from runworthy.model.difference import AssetPair, Cell, Change, Difference, FloorChange, Outcome, Pair, SymbolChange
from runworthy.model.trace import Need
from runworthy.report.words import encodable

__all__ = ["SCHEMA", "diff_json"]

SCHEMA = "runworthy.diff/1"

Data = dict[str, object]


def diff_json(difference: Difference) -> str:
    """Return the document as JSON text, the same bytes for the same difference."""
    return json.dumps(_document(difference), indent=2, ensure_ascii=True) + "\n"


def _document(difference: Difference) -> Data:
    cells = [cell for pair in difference.pairs for cell in pair.cells]
    return {
        "schema": SCHEMA,
        "runworthy": __version__,
        "old": encodable(difference.old),
        "new": encodable(difference.new),
        "targets": [encodable(name) for name in difference.targets],
        "chosen": difference.chosen or None,
        "floors": None if difference.floors is None else [_floor(floor) for floor in difference.floors],
        "assets": [_asset(asset) for asset in difference.assets],
        "pairs": [_pair(pair) for pair in difference.pairs],
        "summary": {
            "assets": len(difference.assets),
            "pairs": len(difference.pairs),
            "differ": sum(pair.differs for pair in difference.pairs),
            **{
                shift: len({cell.target for cell in cells if cell.shift == shift})
                for shift in ("worse", "unclear", "better")
            },
        },
    }


def _asset(asset: AssetPair) -> Data:
    return {
        "name": encodable(asset.name),
        "old": None if asset.old is None else encodable(asset.old),
        "new": None if asset.new is None else encodable(asset.new),
        "paired_by": asset.paired_by,
        "files": asset.files,
    }


def _pair(pair: Pair) -> Data:
    return {
        "name": encodable(pair.name),
        "asset": encodable(pair.asset) or None,
        "old": None if pair.old is None else encodable(pair.old),
        "new": None if pair.new is None else encodable(pair.new),
        "paired_by": pair.paired_by,
        "architecture": pair.architecture or None,
        "identical": pair.identical,
        "judged": pair.judged,
        "problem": encodable(pair.problem) or None,
        "changes": [_change(change) for change in pair.changes],
        "targets": [_cell(cell) for cell in pair.cells],
    }


def _floor(floor: FloorChange) -> Data:
    return {
        "asset": encodable(floor.asset) or None,
        "kind": floor.kind,
        "architecture": floor.architecture,
        "effect": floor.effect,
        "old": floor.old,
        "new": floor.new,
        "because": encodable(floor.because) or None,
        "file": encodable(floor.file) or None,
        "symbols": [encodable(name) for name in floor.symbols],
    }


def _change(change: Change) -> Data:
    texts = {"name": change.name or None, "file": change.file, "old": change.old, "new": change.new}
    data: Data = {"kind": change.kind, "effect": change.effect}
    data |= {key: encodable(text) for key, text in texts.items() if text is not None}
    if change.symbols:
        data["symbols"] = [_symbol(symbol) for symbol in change.symbols]
    return data


def _symbol(symbol: SymbolChange) -> Data:
    data: Data = {"name": encodable(symbol.name), "version": encodable(symbol.version) if symbol.version else None}
    if symbol.was:
        data["was"] = [encodable(version) or None for version in symbol.was]
    if symbol.weak:
        data["weak"] = True
    return data


def _cell(cell: Cell) -> Data:
    return {
        "target": encodable(cell.target),
        "shift": cell.shift,
        "old": _outcome(cell.old) if cell.old else None,
        "new": _outcome(cell.new),
        "because": [_need(need) for need in cell.because],
    }


def _outcome(outcome: Outcome) -> Data:
    return {
        "verdict": outcome.verdict,
        "stage": outcome.stage,
        "decided_by": [_need(need) for need in outcome.decided_by],
    }


def _need(need: Need) -> Data:
    texts = {"version": need.version, "file": need.file}
    data: Data = {"kind": need.kind, "name": encodable(need.name)}
    return data | {key: encodable(text) for key, text in texts.items() if text}
