"""The tables of the page on storage, the largest first. Nothing sorts or opens them but the browser itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.storage import Environment, Spare, StorageReport
from runworthy.report import dedupe_figures as figures
from runworthy.report.webpage.markup import Html, element, joined
from runworthy.report.words import bytes_of, clean, count, listed

__all__ = ["environments", "files", "packages", "pairs"]

_SHOWN, _ROWS = 15, 300
"""Rows that are shown at once, and with those that unfold."""

_LONGEST = 300
"""Characters of a name that are shown in a table."""

Row = Sequence[Html]


def pairs(report: StorageReport) -> Html:
    """Return what is stored again, by environments."""
    rows = figures.by_pair(report)
    top = figures.top_of(path for row in rows[:_ROWS] for path in (row.environment, row.other))
    cells = [
        (
            _head(figures.within(row.environment, top)),
            _cell("itself") if row.environment == row.other else _name(figures.within(row.other, top)),
            *_numbers(row),
            _cell(_why(row)),
        )
        for row in rows[:_ROWS]
    ]
    heads = ("Again in", "As in", *_NUMBERS, "Why")
    return joined([_below(top), _tables("Stored again, by environments", heads, cells), _rest(len(rows), "pair")])


def packages(report: StorageReport) -> Html:
    """Return what is stored again, by packages."""
    rows = figures.by_package(report)
    cells = [
        (
            _head(row.name or "(of no package)"),
            _cell(listed(row.versions, 3)),
            *_numbers(row),
            _number(str(row.environments)),
            _cell(_why(row)),
        )
        for row in rows[:_ROWS]
    ]
    heads = ("Package", "Version", *_NUMBERS, "Environments", "Why")
    return joined([_tables("Stored again, by packages", heads, cells), _rest(len(rows), "package")])


def files(report: StorageReport) -> Html:
    """Return the largest files that are stored again, and what becomes of each."""
    groups, _ = figures.by_file(report, _ROWS)
    spares = [(group, spare) for group in groups for spare in group.spares][:_ROWS]
    top = figures.top_of(path for group, spare in spares for path in (group.path, _path(spare)))
    cells = [
        (
            _number(bytes_of(spare.file.allocated)),
            _cell(_fate(spare)),
            _head(figures.within(_path(spare), top)),
            _name(figures.within(group.path, top)),
        )
        for group, spare in spares
    ]
    table = _tables("Stored again, file by file", ("Size", "What becomes of it", "File", "The same as"), cells)
    return joined([_below(top), table, _rest(len(figures.spares_of(report)), "file")])


def environments(held: Sequence[Environment]) -> Html:
    """Return the environments and caches that were looked at."""
    cells = [
        (
            _head(one.path),
            _cell(one.kind),
            _cell(" ".join(filter(None, [one.installer, one.version]))),
            _number(str(one.files) if one.is_counted else ""),
            _number(figures.taken(one)),
            _cell(figures.day(one.used) if one.used else ""),
            _cell(one.place.type),
        )
        for one in held[:_ROWS]
    ]
    heads = ("Environment", "Kind", "Made by", "Files", "Size", "Last used", "File system")
    return joined([_tables("Environments and caches", heads, cells), _rest(len(held), "environment")])


_NUMBERS = ("Size", "Frees", "Files")
_RIGHT = frozenset((*_NUMBERS, "Environments"))


def _tables(caption: str, heads: Sequence[str], rows: Sequence[Row]) -> Html:
    """Return a table, and one that unfolds where there are many rows."""
    first = rows if len(rows) <= _SHOWN + 1 else rows[:_SHOWN]
    parts = [_table(caption, heads, first)]
    if len(first) < len(rows):
        summary = element("summary", f"{len(rows) - len(first)} more")
        parts.append(element("details", summary, _table(f"{caption}, continued", heads, rows[len(first) :])))
    return joined(parts)


def _table(caption: str, heads: Sequence[str], rows: Sequence[Row]) -> Html:
    head = element(
        "tr", *(element("th", name, scope="col", **({"class_": "number"} if name in _RIGHT else {})) for name in heads)
    )
    table = element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", head),
        element("tbody", *(element("tr", *row) for row in rows)),
    )
    # A part that scrolls can be reached by keys, and says what it is (WCAG 2.2, 2.1.1).
    return element("div", table, class_="scroller", role="region", tabindex="0", aria_label=caption)


def _below(top: str) -> Html:
    return element("p", "In ", element("span", top, class_="name"), class_="soft") if top else Html("")


def _rest(number: int, one: str) -> Html:
    if number <= _ROWS:
        return Html("")
    more = f"and {count(number - _ROWS, f'more {one}')}, which "
    return element("p", more, element("code", "--format json -v"), " tells", class_="soft")


def _numbers(row: figures.Pair | figures.Package) -> Iterator[Html]:
    yield _number(bytes_of(row.size))
    yield _number(bytes_of(row.frees) if row.frees else "nothing")
    yield _number(str(row.files))


def _why(row: figures.Pair | figures.Package) -> str:
    return listed([cause.replace("-", " ") for cause in row.causes], 3)


def _fate(spare: Spare) -> str:
    """Return what becomes of a file, in words."""
    known = {"recorded": "; recorded, not read", "remembered": "; remembered"}.get(spare.proof, "")
    if spare.bar:
        return f"left: {figures.words_of(spare.bar)}{known}"
    how = figures.HOWS[spare.how] if spare.how else "not shared"
    return f"{how}, frees {bytes_of(spare.frees) if spare.frees else 'nothing'}{known}"


def _path(spare: Spare) -> str:
    return spare.file.names[0] if spare.file.names else ""


def _cell(words: str) -> Html:
    return element("td", words)


def _number(words: str) -> Html:
    return element("td", words, class_="number")


def _name(words: str) -> Html:
    return element("td", figures.short(clean(words), _LONGEST), class_="name")


def _head(words: str) -> Html:
    return element("th", figures.short(clean(words), _LONGEST), scope="row", class_="name")
