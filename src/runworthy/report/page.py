"""The page of a rule as text for a terminal: its Markdown, with its tests shown as the examples that they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runworthy.report.words import Style
from runworthy.rules import Rule

__all__ = ["page_lines"]

_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_TARGET = re.compile(r'^target\s*=\s*"([^"]+)"', re.MULTILINE)
_NOTHING_TO_SHOW = "verdict: runs"


def page_lines(rule: Rule, page: str, style: Style) -> Iterator[str]:
    """Yield the rule's head and its page.

    Of an example only what is said about it is shown, not the world (a ``facts`` block) in which it is said; one that
    runs says nothing, and its section is left out.
    """
    head = style.paint(f"{rule.CODE} {rule.NAME}", "bold")
    yield f"{head}  ({rule.SEVERITY}, since {rule.SINCE})"
    for heading, text in _sections(page):
        body = _body(text)
        if not body:
            continue
        yield ""
        if heading:
            yield style.paint(heading, "bold")
            yield ""
        yield from body


def _sections(page: str) -> Iterator[tuple[str, str]]:
    """Yield headings and what follows them; the title, which the head repeats, as an empty one."""
    heading, lines, fenced = "", list[str](), False
    for line in page.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        if not fenced and line.startswith("#"):
            yield heading, "\n".join(lines)
            heading, lines = ("" if line.startswith("# ") else line.lstrip("# ")), []
        else:
            lines.append(line)
    yield heading, "\n".join(lines)


def _body(text: str) -> list[str]:
    """Return the lines of a section, its fenced blocks indented, never two empty ones in a row."""
    shown: list[str] = []
    target = ""
    parts = re.split(r"^```(.*)\n((?:.*\n)*?)```$", text + "\n", flags=re.MULTILINE)
    for prose, kind, block in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        shown += _LINK.sub(_link, prose).splitlines()
        if kind == "facts":
            named = _TARGET.search(block)
            target = named[1] if named else ""
        elif block.strip() != _NOTHING_TO_SHOW:
            shown += [f"On {target}:", ""] if target and block else []
            shown += [f"    {line}".rstrip() for line in block.splitlines()]
            target = ""
    return _without_double_gaps(shown)


def _link(found: re.Match[str]) -> str:
    return found[1] if found[2].endswith(".md") else f"{found[1]} ({found[2]})"


def _without_double_gaps(lines: list[str]) -> list[str]:
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return kept
