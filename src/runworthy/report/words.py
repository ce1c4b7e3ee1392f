"""What all text reports share: names made safe to print, colours, marks, counts and lists in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from runworthy.model.words import aligned, bytes_of, count, listed

if TYPE_CHECKING:
    from runworthy.model.finding import Verdict

__all__ = [
    "MANY",
    "PLAIN",
    "Style",
    "but",
    "bytes_of",
    "clean",
    "count",
    "encodable",
    "listed",
    "size",
    "table",
    "visible",
]

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36", "bold": "1", "dim": "2"}
_MARKS = {"runs": "✓", "risky": "!", "unknown": "?", "fails": "✗"}
_PLAIN_MARKS = {"runs": "+", "risky": "!", "unknown": "?", "fails": "x"}
MANY: dict[Verdict, str] = {"fails": "fail", "unknown": "unknown", "risky": "risky", "runs": "run"}
"""Verdicts as they are said of several, the worst first."""

_OF_VERDICT = {"runs": "green", "risky": "yellow", "unknown": "yellow", "fails": "red"}
_OF_SEVERITY = {"error": "red", "warning": "yellow", "note": "cyan"}


def clean(text: str) -> str:
    """Return ``text`` with everything a terminal would obey, or cannot show, written as an escape.

    Names come from files of strangers and may hold newlines, escape sequences, marks that turn the direction of a line
    (which Unicode counts among the unprintable) and bytes that are no UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that surrogateescape carried through
        return f"\\x{code - 0xDC00:02x}"
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(letter)
    return named or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def encodable(text: str) -> str:
    """Return ``text`` with bytes that are no UTF-8 as a backslash, ``x`` and two digits.

    Left as lone surrogates they would make JSON that many readers refuse.
    """
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class Style:
    """How text is drawn. ``width`` is None where lines may be as long as they like."""

    __slots__ = ("colour", "unicode", "width")

    def __init__(self, *, colour: bool = False, unicode: bool = True, width: int | None = None) -> None:
        self.colour = colour
        self.unicode = unicode
        self.width = width

    def paint(self, text: str, *colours: str) -> str:
        """Return ``text`` in these colours, if there are any."""
        if not self.colour or not text or not colours:
            return text
        return f"\x1b[{';'.join(_COLOURS[name] for name in colours)}m{text}\x1b[0m"

    def mark(self, verdict: str) -> str:
        """Return the sign of a verdict, which stands before the word."""
        return (_MARKS if self.unicode else _PLAIN_MARKS)[verdict]

    def verdict(self, verdict: str, text: str) -> str:
        """Return ``text`` in the colour of a verdict."""
        return self.paint(text, _OF_VERDICT[verdict])

    def severity(self, severity: str, text: str) -> str:
        """Return ``text`` in the colour of a severity."""
        return self.paint(text, "bold", _OF_SEVERITY[severity])


PLAIN = Style()


def but(waived: int) -> str:
    """Return what is said after a number of which so many are waived: `` (2 waived)``, nothing for none."""
    return f" ({waived} waived)" if waived else ""


def size(number: int) -> str:
    """Return bytes as ``4 KiB`` where they are whole, else as they are."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if number >= unit and number % unit == 0:
            return f"{number // unit} {name}"
    return count(number, "byte")


def table(rows: Iterable[Sequence[str]], *, gap: str = "  ") -> list[str]:
    """Return rows with aligned columns, nothing after the last word. Colours take no room."""
    return aligned(rows, gap=gap, width=visible)


def visible(text: str) -> int:
    """Return how many columns ``text`` takes when its colours are obeyed."""
    return len(re.sub(r"\x1b\[[0-9;]*m", "", text)) if "\x1b" in text else len(text)
