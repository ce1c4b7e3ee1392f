"""What the panels tell, as plain sections: findings by cause for everybody, and every cell where no script runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runworthy.model.finding import Finding, Result
from runworthy.model.matrix import Asset, Cell, Column, Matrix, Served
from runworthy.report.causes import Cause, causes, ranked
from runworthy.report.matrix_page.data import (
    Facts,
    Told,
    against,
    asset_facts,
    asset_remarks,
    member_facts,
    target_facts,
)
from runworthy.report.matrix_page.markup import badge
from runworthy.report.matrix_page.names import Layout
from runworthy.report.webpage.findings import finding_head, finding_parts, finding_places, finding_rest
from runworthy.report.webpage.markup import Html, block, element, joined, prose
from runworthy.report.words import count

__all__ = ["cause_list", "plain_cells"]


# -- findings by cause -------------------------------------------------------------------------------


def cause_list(held: Layout) -> Html:
    """Return each cause once, with the cells in which it is found; nothing where nothing is found.

    Errors come at once. What keeps nothing from running unfolds.
    """
    cells = {id(result): cell for cell in held.cells.values() for result in cell.results}
    found = ranked(causes(result for cell in held.cells.values() for result in cell.results))
    parts = [_cause(cause, cells, held) for cause in found if cause.severity == "error"]
    for severity in ("warning", "note"):
        others = [_cause(cause, cells, held) for cause in found if cause.severity == severity]
        if others:
            parts.append(element("details", element("summary", count(len(others), severity)), *others))
    return joined(parts)


def _cause(cause: Cause, cells: dict[int, Cell], held: Layout) -> Html:
    first = cause.held[0][0]
    messages = list(dict.fromkeys(finding.message for finding, _ in cause.held))
    where = list(dict.fromkeys((cells[id(result)].asset, cells[id(result)].target) for _, result in cause.held))
    others = element(
        "details",
        element("summary", f"In other words: {count(len(messages) - 1, 'message')}"),
        element("ul", *(element("li", prose(message)) for message in messages[1:])),
    )
    return element(
        "article",
        element("h3", finding_head(first), " ", prose(cause.text) if cause.text != first.message else first.name),
        *finding_parts(first),
        *([others] if len(messages) > 1 else []),
        element("p", "In ", _places(where, held), class_="where"),
        class_=f"finding {cause.severity}",
    )


def _places(where: Sequence[tuple[str, str]], held: Layout) -> Html:
    """Return cells by their assets, as links."""
    rows: dict[str, list[str]] = {}
    for asset, target in where:
        rows.setdefault(asset, []).append(target)
    return joined(
        (
            joined(
                [
                    element("a", held.name(asset), href=f"#{held.asset(asset)}", class_="name"),
                    " on ",
                    joined((element("a", name, href=f"#{held.cell(asset, name)}") for name in targets), ", "),
                ]
            )
            for asset, targets in rows.items()
        ),
        "; ",
    )


# -- every cell --------------------------------------------------------------------------------------


def plain_cells(matrix: Matrix, held: Layout, told: Told) -> Iterator[Html]:
    """Yield targets, assets, cells and traces, at the anchors that the table's links lead to."""
    served = {row.target: row for row in matrix.served}
    yield element("h2", "Target by target")
    yield from (_target(column, served.get(column.name), held) for column in held.columns)
    details = _Details()
    yield element("h2", "Asset by asset")
    for asset in held.rows:
        yield _asset(asset, matrix, held)
        cells = [held.cells[pair] for column in held.columns if (pair := (asset.path, column.name)) in held.cells]
        head = element("summary", f"{held.name(asset.path)}: cell by cell")
        yield element("details", head, *(_plain_cell(cell, held, told, details) for cell in cells))
    yield element("h2", "Details of findings")
    for number, detail in enumerate(details.held, start=1):
        yield element(
            "details", element("summary", f"details {number}"), element("div", detail, id=f"details-{number}")
        )
    yield element("h2", "Steps")
    yield element(
        "p", "What the kernel and the loader do, in order. What several cells have in common stands here once."
    )
    texts = list(told.texts)
    for number, lines in enumerate(told.traces, start=1):
        steps = element("div", block(texts[line] for line in lines), id=f"trace-{number}")
        yield element("details", element("summary", f"trace {number}"), steps)


def _facts(rows: Facts) -> Html:
    return element("dl", *(joined([element("dt", label), element("dd", text)]) for label, text in rows))


def _target(column: Column, served: Served | None, held: Layout) -> Html:
    parts = [element("h3", column.name), _facts(target_facts(column))]
    if served is not None and served.asset:
        asset = (
            element("a", held.name(served.asset), href=f"#{held.asset(served.asset)}")
            if served.asset in held.assets
            else served.asset
        )
        parts.append(element("p", "take ", asset, " ", badge(served.verdict)))
    elif served is not None:
        parts.append(element("p", badge("fails", "nothing serves it"), " ", prose(served.why)))
    return element("section", *parts, id=held.target(column.name))


def _asset(asset: Asset, matrix: Matrix, held: Layout) -> Html:
    remarks = (element("p", prose(text)) for text in asset_remarks(asset, matrix))
    members = (element("li", element("span", name, class_="name"), f": {text}") for name, text in member_facts(asset))
    parts = [element("h3", held.name(asset.path)), _facts(asset_facts(asset)), *remarks, element("ul", *members)]
    return element("section", *parts, id=held.asset(asset.path))


class _Details:
    """What follows the messages of findings, each once: it is the same for one file on many targets."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[Html, int] = {}

    def of(self, parts: Iterable[Html]) -> Html:
        """Return a link to these parts, nothing where there are none."""
        detail = joined(parts)
        if not detail:
            return detail
        number = self.held.setdefault(detail, len(self.held) + 1)
        return element("a", f"details {number}", href=f"#details-{number}")


def _plain_cell(cell: Cell, held: Layout, told: Told, details: _Details) -> Html:
    member = [element("p", "decided by ", element("span", cell.member, class_="name"))] if cell.member else []
    alone = len(cell.results) == 1
    results = (part for result in cell.results for part in _plain_result(result, told, details, alone=alone))
    return element(
        "section",
        element("h4", held.name(cell.asset), " on ", cell.target, " ", badge(cell.fit)),
        element("p", prose(cell.reason)),
        *member,
        *results,
        id=held.cell(cell.asset, cell.target),
    )


def _plain_result(result: Result, told: Told, details: _Details, *, alone: bool) -> Iterator[Html]:
    """Yield a member's verdict and a link to its findings; those of the only one are told here."""
    findings = (_plain_finding(finding, details) for finding in result.findings)
    if alone:
        yield from findings
    else:
        name = element("span", result.subject, class_="name")
        # What is remarked of one that runs stands with its cause: it would be most of the page.
        more = details.of(findings) if result.verdict != "runs" else ""
        yield element("p", badge(result.verdict), " ", name, " ", more)
    stretches = told.stretches.get(id(result), [])
    for _, number in stretches:
        yield element("p", "its steps: ", element("a", f"trace {number + 1}", href=f"#trace-{number + 1}"))
    if stretches:
        yield element("ul", *(element("li", line) for line in against(result)))


def _plain_finding(finding: Finding, details: _Details) -> Html:
    message = element("p", finding_head(finding), " ", prose(finding.message))
    return element("div", message, *finding_places(finding), details.of(finding_rest(finding)), class_="finding")
