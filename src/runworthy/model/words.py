"""How numbers, lists and tables are said, alike in findings and in reports: words, and nothing of what they tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

__all__ = ["aligned", "bytes_of", "count", "listed"]

_UNITS = ("KiB", "MiB", "GiB", "TiB")


def count(number: int, one: str, many: str = "") -> str:
    """Return ``1 file`` or ``3 files``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def bytes_of(number: int) -> str:
    """Return a size for people: ``3.9 MiB``. What rounds to 1024 of a unit is told in the next one."""
    if number < 1024:
        return count(number, "byte")
    held = float(number)
    for unit in _UNITS:
        held /= 1024
        if held < 1023.95:
            return f"{held:.1f} {unit}"
    return f"{held:.1f} {_UNITS[-1]}"


def listed(words: Sequence[str], limit: int = 0) -> str:
    """Return ``a, b and c``; beyond ``limit`` (0: none) ``a, b and 7 more``."""
    if limit and len(words) > limit:
        words = [*words[: limit - 1], f"{len(words) - limit + 1} more"]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def aligned(rows: Iterable[Sequence[str]], *, gap: str = "  ", width: Callable[[str], int] = len) -> list[str]:
    """Return rows with aligned columns, nothing after the last word. ``width`` is how many columns a cell takes."""
    held = list(rows)
    columns = max(map(len, held), default=0)
    widths = [max((width(row[at]) for row in held if at < len(row)), default=0) for at in range(columns)]
    return [
        gap.join(cell + " " * (most - width(cell)) for cell, most in zip(row, widths, strict=False)).rstrip()
        for row in held
    ]
