"""A matrix as one page that needs nothing else: no network, no other file, and no script to be read.

What comes from subjects is text of strangers. It is escaped where it becomes markup, its control and direction marks
are made visible, and the page's own policy (Content Security Policy Level 3, with hashes) lets nothing run or load that
is not part of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from runworthy import __version__
from runworthy.model.errors import UsageError
from runworthy.model.matrix import Matrix
from runworthy.report.matrix_page.data import embedded, tell
from runworthy.report.matrix_page.fallback import cause_list, plain_cells
from runworthy.report.matrix_page.markup import Html, element, joined
from runworthy.report.matrix_page.names import Layout, layout
from runworthy.report.matrix_page.summary import headline, jobs, legend, other_files, remarks, unserved
from runworthy.report.matrix_page.table import table
from runworthy.report.words import count

__all__ = ["matrix_html"]

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def matrix_html(matrix: Matrix) -> str:
    """Return the page, the same text for the same matrix."""
    from string import Template

    held = layout(matrix)
    data, told = tell(matrix, held)
    style, script = _file("page.css"), _file("page.js")
    return Template(_file("page.html")).substitute(
        policy=_policy(style, script),
        style=style,
        script=script,
        title=_title(matrix),
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


def _file(name: str) -> str:
    """Return the text of a file beside the parts of the page. Raises UsageError when this installation lacks it."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "matrix_page", name)
    try:
        with open(path, encoding="utf-8") as text:
            return text.read()
    except FileNotFoundError:
        raise UsageError(f"{name} of the matrix page is not in this installation") from None


def _policy(style: str, script: str) -> str:
    """Return the page's policy: its own style and script, known by their hashes, and nothing else.

    ``require-trusted-types-for`` has browsers refuse a script that turns text into markup. An icon is part of the page,
    for browsers ask a server for one otherwise.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _digest(text: str) -> str:
    """Return the hash of an inline element's text, as CSP has it."""
    from base64 import b64encode
    from hashlib import sha256

    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


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
