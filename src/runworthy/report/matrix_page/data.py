"""What the panels of the page show, as data: each text, finding and trace once, and cells that refer to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from runworthy.model.finding import Finding, Remedy, Result
from runworthy.model.matrix import Asset, Cell, Column, Matrix, Member, Served
from runworthy.report.finding import place
from runworthy.report.matrix_page.names import Layout, system_name
from runworthy.report.steps import assumptions, trace_lines
from runworthy.report.webpage.markup import shown
from runworthy.report.words import PLAIN, bytes_of, count, listed

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = [
    "Told",
    "against",
    "asset_facts",
    "asset_remarks",
    "embedded",
    "member_facts",
    "target_facts",
    "tell",
]

Data = dict[str, object]
Facts = list[tuple[str, str]]
Kept = TypeVar("Kept", bound="Hashable")

_TRACES = 6
"""Traces of one cell that are told. An asset of a hundred libraries has as many, and they are much alike."""
_LINES = 200
"""Lines of one trace that are told: more are lists of symbols."""
_TEXTS = 40_000
"""Different texts after which no more traces are told. A release of 40 programs has a tenth of them."""
_MEMBERS = 200


class _Shared(Generic[Kept]):
    """Things of which each is kept once, and known by its number."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: dict[Kept, int] = {}

    def add(self, thing: Kept) -> int:
        return self._at.setdefault(thing, len(self._at))

    def __len__(self) -> int:
        return len(self._at)

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._at)


class Told:
    """What is told of results, each thing once.

    ``texts`` are lines and sentences; ``findings`` and ``traces`` refer to them. A trace is what follows the head of a
    stretch, for that head names subject and target, and the rest is often the same on all targets of one family.
    ``stretches`` are, by the ``id`` of a result whose steps are told, the numbers of each head and trace.
    """

    __slots__ = ("findings", "stretches", "texts", "traces")

    def __init__(self) -> None:
        self.texts: _Shared[str] = _Shared()
        self.findings: _Shared[Finding] = _Shared()
        self.traces: _Shared[tuple[int, ...]] = _Shared()
        self.stretches: dict[int, list[tuple[int, int]]] = {}

    def lines(self, lines: Iterable[str]) -> list[int]:
        """Return the numbers of texts."""
        return [self.texts.add(shown(line)) for line in lines]

    def trace(self, result: Result) -> list[tuple[int, int]]:
        """Return the stretches of a result, and keep them; none where the page is long enough."""
        if len(self.texts) > _TEXTS:
            return []
        found: list[tuple[str, list[str]]] = []
        for line in trace_lines(result, PLAIN):
            if line.startswith("trace: "):
                found.append((line.removeprefix("trace: "), []))
            elif found and not line.startswith("  = "):  # what is assumed is told beside it
                found[-1][1].append(line.removeprefix("  "))
        held = [(self.lines([head])[0], self.traces.add(tuple(self.lines(_some(body))))) for head, body in found]
        self.stretches[id(result)] = held
        return held


def _some(lines: Sequence[str]) -> Sequence[str]:
    """Return lines, and how many more there are where there are too many."""
    if len(lines) <= _LINES:
        return lines
    return [*lines[:_LINES], f"… and {count(len(lines) - _LINES, 'more line')}: `--trace` tells them all"]


def tell(matrix: Matrix, held: Layout) -> tuple[Data, Told]:
    """Return the data of the panels, and the texts, findings and traces that it refers to."""
    told = Told()
    jobs = {target: at for at, job in reversed(list(enumerate(matrix.jobs, start=1))) for target in job.targets}
    served = {row.target: row for row in matrix.served}
    rows = {asset.path: at for at, asset in enumerate(held.rows)}
    data: Data = {
        "assets": [_asset(asset, matrix, held) for asset in held.rows],
        "targets": [
            _target(column, held) | _served(served.get(column.name), rows, jobs.get(column.name))
            for column in held.columns
        ],
        "cells": [
            [_cell(held.cells.get((asset.path, column.name)), told) for column in held.columns] for asset in held.rows
        ],
    }
    data["findings"] = [_finding(finding, told) for finding in told.findings]
    data["traces"] = list(told.traces)
    data["texts"] = list(told.texts)
    return data, told


def embedded(data: Data) -> str:
    """Return data as JSON that may stand in a script element: nothing in it ends that, or opens a comment."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


# -- cells -------------------------------------------------------------------------------------------


def _cell(cell: Cell | None, told: Told) -> Data | None:
    if cell is None:
        return None
    data: Data = {"fit": cell.fit, "reason": told.lines([cell.reason])[0]}
    if cell.member:
        data["member"] = told.lines([cell.member])[0]
    if cell.results:
        traced = {id(result) for result in _traced(cell)}
        data["results"] = [_result(result, told, trace=id(result) in traced) for result in cell.results]
    return data


def _traced(cell: Cell) -> list[Result]:
    """Return the results whose steps are told: of the file that decides, and of what does not run."""
    deciding = [result for result in cell.results if result.subject == cell.member]
    others = [result for result in cell.results if result.verdict != "runs" and result.subject != cell.member]
    return [*deciding, *others][:_TRACES] or list(cell.results[:1])


def _result(result: Result, told: Told, *, trace: bool) -> Data:
    data: Data = {"subject": told.lines([result.subject])[0], "verdict": result.verdict}
    if result.stage:
        data["stage"] = result.stage
    if result.findings:
        data["findings"] = [told.findings.add(finding) for finding in result.findings]
    if trace:
        data["against"] = told.lines(against(result))
        data["trace"] = told.trace(result)
    return data


def against(result: Result) -> Iterator[str]:
    """Yield what was judged against, and what that leaves open."""
    machine = result.hardware
    cpu = machine.cpu if machine and machine.level else result.machine
    known = "only libc, the compiler runtime and zlib are known" if result.completeness == "core" else ""
    as_of = f"as of {result.as_of}" if result.as_of else ""
    yield f"judged against {', '.join(filter(None, [result.libc, cpu, known, as_of]))}"
    yield from (f"assumed: {text}" for text in assumptions(result))
    yield from (f"note: {text}" for text in result.notes)


def _finding(finding: Finding, told: Told) -> Data:
    data: Data = {
        "severity": finding.severity,
        "code": finding.code,
        "name": finding.name,
        "message": told.lines([finding.message])[0],
    }
    held: list[tuple[str, Iterable[str]]] = [
        ("places", dict.fromkeys(map(place, finding.evidence))),
        ("lines", finding.lines),
        ("notes", finding.notes),
    ]
    data |= {name: told.lines(lines) for name, lines in held if lines}
    if finding.remedies:
        data["remedies"] = [_remedy(remedy, told) for remedy in finding.remedies]
    return data


def _remedy(remedy: Remedy, told: Told) -> Data:
    how = f"{remedy.applicability}{', proved' if remedy.proved else ''}"
    data: Data = {"title": told.lines([remedy.title])[0], "how": how}
    lines = [*(edit.words for edit in remedy.edits), *remedy.recipe]
    if lines:
        data["lines"] = told.lines(lines)
    if remedy.proof:
        data["proof"] = told.lines([remedy.proof])[0]
    return data


# -- assets and targets ------------------------------------------------------------------------------


def _asset(asset: Asset, matrix: Matrix, held: Layout) -> Data:
    return {
        "id": held.assets[asset.path],
        "name": shown(held.name(asset.path)),
        "facts": [(label, shown(text)) for label, text in asset_facts(asset)],
        "remarks": [shown(text) for text in asset_remarks(asset, matrix)],
        "members": [(shown(name), shown(text)) for name, text in member_facts(asset)],
    }


def asset_facts(asset: Asset) -> Facts:
    """Return what an asset is, and what its name claims, as labels and texts."""
    claims = asset.claims
    claimed = [system_name(claims.system), *claims.archs, claims.linkage, claims.family, *claims.tags, claims.level]
    rows: Facts = [
        ("file", asset.path),
        ("built for", ", ".join(filter(None, [*map(system_name, asset.systems), *asset.archs]))),
        ("C library", ", ".join(filter(None, asset.linkages))),
        ("oldest release", asset.minimum),
        ("its name says", ", ".join(filter(None, claimed))),
        ("version", claims.version),
        ("packed as", claims.packing),
        ("size", bytes_of(asset.size) if asset.size else ""),
    ]
    return [(label, text) for label, text in rows if text]


def asset_remarks(asset: Asset, matrix: Matrix) -> list[str]:
    """Return what a person should know of an asset beyond its cells, as sentences."""
    return [
        *([f"cannot be judged: {asset.problem}"] if asset.problem else []),
        *(f"named wrongly: it claims {row.claim}; {row.fact}" for row in matrix.misnamed if row.asset == asset.path),
        *(f"redundant: {row.reason}" for row in matrix.redundant if row.asset == asset.path),
    ]


def member_facts(asset: Asset) -> Facts:
    """Return what an asset holds: names, and what each is in words."""
    rows = [(member.name, _member(member)) for member in asset.members[:_MEMBERS]]
    more = len(asset.members) - _MEMBERS
    return [*rows, ("…", count(more, "more file"))] if more > 0 else rows


def _member(member: Member) -> str:
    by = " ".join(filter(None, [member.built_by, member.compiler]))
    words = [
        member.role,
        member.format,
        *member.archs,
        f"needs {member.minimum}" if member.minimum else "",
        member.linkage,
        f"built by {by}" if by else "",
        f"interpreter {member.interpreter}" if member.interpreter else "",
        f"imports {listed(list(member.imports), 12)}" if member.imports else "",
        f"loads later {listed(list(member.delayed), 12)}" if member.delayed else "",
    ]
    return ", ".join(filter(None, words))


def _target(column: Column, held: Layout) -> Data:
    return {
        "id": held.targets[column.name],
        "name": shown(column.name),
        "facts": [(label, shown(text)) for label, text in target_facts(column)],
    }


def target_facts(column: Column) -> Facts:
    """Return what a target is, as labels and texts."""
    rows: Facts = [
        ("system", " ".join(filter(None, [system_name(column.system), column.arch]))),
        ("C library", column.libc),
        ("end of life", column.eol),
        ("judged", "" if column.modelled else "no: what files say of themselves is told, and nothing is said to run"),
    ]
    return [(label, text) for label, text in rows if text]


def _served(served: Served | None, rows: dict[str, int], job: int | None) -> Data:
    """Return what one takes on a target, by the places of assets; nothing where nothing does."""
    if served is None:
        return {}
    place_of: Callable[[str], int | None] = rows.get
    data: Data = {"verdict": served.verdict, "why": shown(served.why)}
    data |= {"asset": place_of(served.asset), "nearest": place_of(served.nearest)}
    data["alternatives"] = [at for at in map(place_of, served.alternatives) if at is not None]
    if job is not None and not served.asset:
        data["job"] = job
    return data
