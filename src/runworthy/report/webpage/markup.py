"""Markup that cannot be broken out of: a text is escaped when it becomes part of an element, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from runworthy.report.words import clean

__all__ = ["Html", "block", "element", "folded", "joined", "prose", "shown"]

_QUOTED = re.compile("`([^`]+)`")
_LONGEST = 2000
"""Characters of one text that are shown. What is longer is no name or sentence of somebody who means well."""


class Html(str):
    """Markup, as against a text that has to be escaped to become such."""

    __slots__ = ()


def shown(text: str) -> str:
    """Return a text as it can be shown: without what would turn its direction or cannot be seen, and not too long."""
    text = clean(text[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def element(name: str, *children: str, **attributes: str) -> Html:
    """Return an element. Children that are no ``Html`` are escaped; ``class_`` is ``class``, ``data_x`` ``data-x``."""
    held = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(shown(value))}"' if value else f" {key.rstrip('_')}"
        for key, value in attributes.items()
    )
    return Html(f"<{name}{held}>{joined(children)}</{name}>")


def folded(items: Sequence[Html], shown_at_once: int, one: str) -> tuple[Sequence[Html], str]:
    """Return the items that are shown at once, and what the summary of the others says; all where few would be left."""
    left = len(items) - shown_at_once
    return (items, "") if left < 2 else (items[:shown_at_once], f"{left} more {one}s")


def joined(parts: Iterable[str], between: str = "") -> Html:
    """Return parts one after another, those that are texts escaped."""
    return Html(between.join(part if isinstance(part, Html) else escape(shown(part)) for part in parts))


def prose(text: str) -> Html:
    """Return a sentence in which what stands between backquotes is a name."""
    parts = _QUOTED.split(shown(text))
    return joined(element("code", part) if at % 2 else part for at, part in enumerate(parts))


def block(lines: Iterable[str], **attributes: str) -> Html:
    """Return lines as preformatted text."""
    return element("pre", joined(lines, "\n"), **attributes)
