"""A matrix as one page that needs nothing else: no network, no other file, and no script to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runworthy import __version__
from runworthy.model.matrix import Matrix
from runworthy.report.matrix_page.data import embedded, tell
from runworthy.report.matrix_page.fallback import cause_list, plain_cells
from runworthy.report.matrix_page.names import Layout, layout
from runworthy.report.matrix_page.summary import headline, jobs, legend, other_files, remarks, unserved
from runworthy.report.matrix_page.table import table
from runworthy.report.webpage.markup import Html, element, joined
from runworthy.report.webpage.shell import filled, page, part
from runworthy.report.words import count

__all__ = ["matrix_html"]

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def matrix_html(matrix: Matrix) -> str:
    """Return the page, the same text for the same matrix."""
    held = layout(matrix)
    data, told = tell(matrix, held)
    style, script = part("matrix_page", "page.css"), part("matrix_page", "page.js")
    title = _title(matrix)
    body = filled(
        "matrix_page",
        script=script,
        title=title,
        subtitle=element("p", _subtitle(matrix), class_="soft"),
        summary=joined([headline(matrix), *_missing(matrix, held), _remarks(matrix, held)]),
        legend=legend(),
        table=table(matrix, held),
        causes=_section("Findings", cause_list(held), "By cause, the worst first"),
        others=_section("Other files", other_files(matrix), "What of the release is not judged"),
        assumptions=_assumptions(matrix),
        plain=joined(plain_cells(matrix, held, told), "\n"),
        version=element("span", f"runworthy {__version__}"),
        data=embedded(data),
    )
    return page(title, body, style=style, script=script)


def _title(matrix: Matrix) -> Html:
    names = {asset.claims.name for asset in matrix.builds if asset.claims.name}
    versions = {asset.claims.version for asset in matrix.builds if asset.claims.version}
    if len(names) != 1:
        return joined(["What this release runs on"])
    version = f" {versions.pop()}" if len(versions) == 1 else ""
    return joined([f"What {names.pop()}{version} runs on"])


def _subtitle(matrix: Matrix) -> str:
    known = {result.as_of for cell in matrix.cells for result in cell.results}
    dates = [text for text in known if _DATE.fullmatch(text)]  # of some roots it is the number of a release
    as_of = f", targets as of {max(dates)}" if dates else ""
    return f"{count(len(matrix.builds), 'asset')} on {count(len(matrix.columns), 'target')}{as_of}"


def _missing(matrix: Matrix, held: Layout) -> Iterator[Html]:
    missing = unserved(matrix, held)
    if missing:
        yield element("section", element("h2", "Nothing serves"), missing, class_="card bad")
    if matrix.jobs:
        lead = element("p", "Jobs that would build what is missing, to paste", class_="soft")
        yield element("section", element("h2", "What would build it"), lead, *jobs(matrix), class_="card")


def _remarks(matrix: Matrix, held: Layout) -> Html:
    found = list(remarks(matrix, held))
    return element("div", *found, class_="remarks") if found else Html("")


def _section(title: str, content: Html, lead: str) -> Html:
    """Return a section, nothing where it would be empty."""
    if not content:
        return content
    return element("section", element("h2", title), element("p", lead, class_="soft"), content)


def _assumptions(matrix: Matrix) -> Html:
    items = (element("li", text) for text in matrix.assumptions)
    return element("section", element("h2", "Assumed"), element("ul", *items)) if matrix.assumptions else Html("")
