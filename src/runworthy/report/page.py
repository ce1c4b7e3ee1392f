"""The page of a rule as text for a terminal: its Markdown, without the worlds that are there for the tests."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.report.words import Style
from runworthy.rules import Rule

__all__ = ["page_lines"]

_FOR_TESTS = ("facts",)


def page_lines(rule: Rule, page: str, style: Style) -> Iterator[str]:
    """Yield the rule's head and its page. Fenced blocks are indented; blocks of facts are left out."""
    head = style.paint(f"{rule.CODE} {rule.NAME}", "bold")
    yield f"{head}  ({rule.SEVERITY}, since {rule.SINCE})"
    empty = True
    yield ""
    for line in _body(page, style):
        if line or not empty:
            yield line
        empty = not line


def _body(page: str, style: Style) -> Iterator[str]:
    fence: str | None = None
    for line in page.rstrip().splitlines():
        if line.startswith("```"):
            fence = line[3:].strip().partition(" ")[0] if fence is None else None
        elif fence is not None:
            if fence not in _FOR_TESTS:
                yield f"    {line}".rstrip()
        elif line.startswith("# "):
            continue  # the title is the head
        elif line.startswith("#"):
            yield style.paint(line.lstrip("# "), "bold")
        else:
            yield line
