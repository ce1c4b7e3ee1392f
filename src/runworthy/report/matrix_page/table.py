"""The table of assets and targets. It says all that a cell comes to without a script, which only opens the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from posixpath import commonprefix

from runworthy.model.matrix import Asset, Cell, Column, Fit, Matrix, Served
from runworthy.report.matrix_page.markup import WORDS, icon
from runworthy.report.matrix_page.names import Layout, short
from runworthy.report.webpage.markup import Html, element, joined
from runworthy.report.words import bytes_of

__all__ = ["table"]


def table(matrix: Matrix, held: Layout) -> Html:
    """Return the table: a row for what to take on each target, then the assets in their groups."""
    served = {row.target: row for row in matrix.served}
    common = len(_common([held.name(asset.path) for asset in held.rows]))
    width = str(len(held.columns) + 1)
    assets = {asset.path: asset for asset in held.rows}
    bodies = [element("tbody", _served_row(held, served, common), class_="served")]
    for group in held.row_groups:
        head = element(
            "tr", element("th", element("span", group.label), scope="rowgroup", colspan=width), class_="group"
        )
        rows = (_row(assets[name], matrix, held, served) for name in group.names)
        bodies.append(element("tbody", head, *rows))
    caption = element("caption", "Each asset of the release on each target", class_="unseen")
    return element("table", caption, _head(held), *bodies, id="matrix")


def _head(held: Layout) -> Html:
    corner = element("td", "asset", element("span", "target"), rowspan="2", class_="corner")
    groups = (
        element("th", element("span", group.label), scope="colgroup", colspan=str(len(group.names)))
        for group in held.column_groups
    )
    names = (_column(column, held) for column in held.columns)
    return element("thead", element("tr", corner, *groups, class_="groups"), element("tr", *names, class_="targets"))


def _column(column: Column, held: Layout) -> Html:
    head, colon, tail = short(column).partition(":")
    name = joined([head + colon, Html("<wbr>"), tail]) if colon else head
    libc = element("small", column.libc or ("" if column.modelled else "not judged"))
    return element("th", element("a", name, libc, href=f"#{held.target(column.name)}"), scope="col")


def _common(names: Sequence[str]) -> str:
    """Return how all names begin, up to a sign that parts words: in a narrow cell the rest of a name has to do."""
    start = commonprefix(names) if len(names) > 1 else ""
    return start[: max(map(start.rfind, "-_. ")) + 1]


def _served_row(held: Layout, served: dict[str, Served], common: int) -> Html:
    head = element("th", element("span", "What to take"), scope="row")
    cells = (_served_cell(column, held, served.get(column.name), common) for column in held.columns)
    return element("tr", head, *cells)


def _served_cell(column: Column, held: Layout, served: Served | None, common: int) -> Html:
    if served is None:
        return element("td")
    words = WORDS[served.verdict] if served.asset else "nothing"
    small = element("small", held.name(served.asset)[common:] if served.asset else "serves it")
    link = _link(served.verdict if served.asset else "fails", words, small, href=held.target(column.name))
    return element("td", link)


def _row(asset: Asset, matrix: Matrix, held: Layout, served: dict[str, Served]) -> Html:
    name = element(
        "a",
        held.name(asset.path),
        element("small", joined(_marks(asset, matrix), " · ")),
        href=f"#{held.asset(asset.path)}",
    )
    cells = (_cell(held.cells.get((asset.path, column.name)), held, served.get(column.name)) for column in held.columns)
    return element("tr", element("th", name, scope="row"), *cells)


def _marks(asset: Asset, matrix: Matrix) -> Iterator[str]:
    """Yield what stands below an asset's name."""
    yield from (linkage for linkage in asset.linkages if linkage)
    if asset.minimum:
        yield f"from {asset.minimum}"
    if asset.size:
        yield bytes_of(asset.size)
    remarks = (
        ("unreadable", bool(asset.problem)),
        ("named wrongly", any(row.asset == asset.path for row in matrix.misnamed)),
        ("redundant", any(row.asset == asset.path for row in matrix.redundant)),
    )
    yield from (element("strong", word) for word, holds in remarks if holds)


def _cell(cell: Cell | None, held: Layout, served: Served | None) -> Html:
    if cell is None:
        return element("td")
    small = ""
    if cell.fit == "fails":
        stages = [result.stage for result in cell.results if result.verdict == "fails" and result.stage]
        small = f"at {stages[0]}" if stages else ""
    taken = served is not None and served.asset == cell.asset
    notes = [element("small", small)] if small else []
    notes += [element("small", "take this")] if taken else []
    link = _link(cell.fit, WORDS[cell.fit], *notes, href=held.cell(cell.asset, cell.target), taken=taken)
    return element("td", link)


def _link(fit: Fit, word: str, *small: Html, href: str, taken: bool = False) -> Html:
    return element("a", icon(fit), word, *small, href=f"#{href}", class_=f"{fit} taken" if taken else fit)
