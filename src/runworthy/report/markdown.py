"""Markdown as GitHub and GitLab show it, with tables: what is text in it is shown as it is, whoever wrote it.

The syntax is that of GitHub Flavored Markdown 0.29. Texts come cleaned, without line feeds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["block", "cell", "code", "details", "row", "section", "table", "text"]

_MARKUP = frozenset("\\`*_[]<>#|~&")


def section(title: str, lines: Iterable[str], level: int = 3) -> Iterator[str]:
    """Yield a list below its title; nothing where it would be empty."""
    held = list(lines)
    if held:
        yield f"{'#' * level} {title}"
        yield ""
        yield from (f"- {line}" for line in held)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> Iterator[str]:
    """Yield a table. ``numbers`` are the columns that stand to the right."""
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---:' if at in numbers else '---' for at in range(len(head)))} |"
    yield from map(row, rows)


def row(cells: Sequence[str]) -> str:
    """Return a row of cells."""
    return f"| {' | '.join(cells)} |"


def code(words: str) -> str:
    """Return text as code; a bar would end the cell of a table, and as many backquotes as begin it the code."""
    words = words.replace("|", "\\|")
    if "`" not in words:
        return f"`{words}`"
    fence = "`" * (max(map(len, re.findall("`+", words))) + 1)
    return f"{fence} {words} {fence}"


def block(lines: Iterable[str], language: str = "") -> list[str]:
    """Return lines as a block of code. No line ends it: its fence is longer than any backquotes in them."""
    held = list(lines)
    longest = max((len(run) for line in held for run in re.findall("`+", line)), default=0)
    fence = "`" * max(4, longest + 1)
    return [f"{fence}{language}", *held, fence]


def details(summary: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines that unfold."""
    yield "<details>"
    yield f"<summary>{summary}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"


def cell(words: str) -> str:
    """Return words for the cell of a table."""
    return words.replace("|", "\\|")


def text(words: str) -> str:
    """Return a sentence; what is code in it stays so, and nothing else is taken for markup.

    Backquotes that nothing closes, or several in a row, are taken for text: code would end where nobody meant it to.
    """
    parts = words.split("`")
    if len(parts) % 2 == 0 or "``" in words:
        return _escaped(words)
    return "`".join(part if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _escaped(words: str) -> str:
    return "".join(f"\\{letter}" if letter in _MARKUP else letter for letter in words)
