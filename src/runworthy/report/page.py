"""Pages of rules: found by code or name, and as text for a terminal, their tests shown as the examples they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import import_module
from typing import cast

from runworthy.model.errors import UsageError
from runworthy.model.finding import Severity
from runworthy.model.records import dataclass
from runworthy.report.words import Style
from runworthy.rules import Rule

__all__ = ["Explanation", "explanation", "explanations", "page_lines"]

_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_TARGET = re.compile(r'^target\s*=\s*"([^"]+)"', re.MULTILINE)
_NOTHING_TO_SHOW = "verdict: runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a finding with this code means. ``since`` is the first release with it, ``page`` is Markdown."""

    code: str
    name: str
    severity: Severity
    since: str
    page: str


def explanations() -> tuple[Explanation, ...]:
    """Return what there is to explain, by code."""
    from runworthy.rules._index import MODULES

    rules = ((cast("Rule", import_module(f"runworthy.rules.{module}")), module) for module, _ in MODULES)
    return tuple(_explanation(rule, module) for rule, module in sorted(rules, key=lambda row: row[0].CODE))


def explanation(wanted: str) -> Explanation:
    """Return the explanation of a code or a name. Raises UsageError."""
    code = wanted.upper()
    name = wanted.lower().replace("_", "-")
    known = explanations()
    for one in known:
        if code == one.code or name == one.name:
            return one
    from difflib import get_close_matches

    words = [word for one in known for word in (one.code, one.name)]
    near = get_close_matches(code, words, n=2) + get_close_matches(name, words, n=2)
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else "`runworthy explain` lists all codes"
    raise UsageError(f"there is no finding `{wanted}`", hint=hint)


def _explanation(rule: Rule, module: str) -> Explanation:
    return Explanation(
        code=rule.CODE, name=rule.NAME, severity=rule.SEVERITY, since=rule.SINCE, page=_page(module.split("."))
    )


def _page(parts: list[str]) -> str:
    """Return the text of the page beside a rule's module. Raises UsageError when this installation lacks it."""
    import runworthy.rules

    path = os.path.join(os.path.dirname(os.path.abspath(runworthy.rules.__file__)), *parts)
    try:
        with open(f"{path}.md", encoding="utf-8") as page:
            return page.read()
    except FileNotFoundError:
        raise UsageError(f"the page of {'.'.join(parts)} is not in this installation") from None


def page_lines(told: Explanation, style: Style) -> Iterator[str]:
    """Yield the head of a rule and its page.

    Of an example only what is said about it is shown, not the world (a ``facts`` block) in which it is said; one that
    runs says nothing, and its section is left out.
    """
    head = style.paint(f"{told.code} {told.name}", "bold")
    yield f"{head}  ({told.severity}, since {told.since})"
    for heading, text in _sections(told.page):
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
