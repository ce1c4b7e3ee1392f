"""What is stored again as text: a sentence on the whole, why, where, what is left as it is, and what keeps it so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal

from runworthy.model.edit import ShareFile
from runworthy.model.storage import Advice, Environment, Idle, Reclaimed, Spare, StorageReport
from runworthy.report import dedupe_figures as figures
from runworthy.report.finding import finding_lines
from runworthy.report.words import PLAIN, Style, bytes_of, clean, count, listed, table

__all__ = ["View", "dedupe_text"]

View = Literal["environments", "packages", "files"]

_FINDINGS, _ALSO, _ROWS, _COPIES, _LEFT, _PROBLEMS = 8, 4, 12, 6, 8, 6
_EVERY = 1000
"""Rows of a table that are told where everything is asked for: what has more is data, for ``--format json -v``."""
_NARROW = 14
"""The fewest columns that a name is cut to."""


def dedupe_text(
    report: StorageReport, style: Style = PLAIN, *, level: int = 0, view: View = "environments", dry_run: bool = False
) -> str:
    """Return the whole report.

    ``level`` is -1 for a line, 0 usual, 1 everything but single files beyond a thousand; ``view`` says by what they are
    told; ``dry_run`` tells what would be done, file by file.
    """
    if level < 0:
        return f"{_line(report, style)}\n"
    everything = level > 0
    blocks = [list(_head(report, style))]
    if report.reclaimed:
        blocks += [list(_reclaimed(report.reclaimed, style, everything=everything))]
    blocks += [_actions(report, style)] if dry_run else []
    if not report.reasons:
        blocks.append(_sets(report, style, everything=everything))
    elif everything or not (dry_run or report.reclaimed):
        blocks += [_VIEWS[view](report, style, everything), *_findings(report, style, everything=everything)]
        blocks += [list(_idle(report.idle, style, everything=everything))]
    blocks += [
        list(_left(report, style, named=view == "files")),
        list(_advice(report.advice, style, everything=everything)),
        list(_environments(report.environments, style)) if everything else [],
        list(_problems(report, style, everything=everything)),
        list(_foot(report, style)),
    ]
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


# -- the head ----------------------------------------------------------------------------------------


def _line(report: StorageReport, style: Style) -> str:
    return style.paint(figures.done(report) or figures.sentence(report), "bold")


def _head(report: StorageReport, style: Style) -> Iterator[str]:
    before = "before: " if report.reclaimed else ""
    if before:
        yield style.paint(figures.done(report), "bold")
    yield before + (figures.sentence(report) if before else style.paint(figures.sentence(report), "bold"))
    yield f"  {clean('; '.join(figures.looked_at(report)))}"


def _findings(report: StorageReport, style: Style, *, everything: bool) -> Iterator[list[str]]:
    """Yield the findings, those of one cause together. Notes are told in a line each beside what is worse."""
    found = figures.findings(report)
    serious = [told for told in found if told.findings[0].severity != "note"] or found
    full = found if everything else serious[:_FINDINGS]
    for told in full:
        limit = _EVERY if everything else _ALSO
        also = [f"also: {finding.message}" for finding in told.findings[1 : limit + 1]]
        left = len(told.findings) - 1 - limit
        also += [f"and {left} more like it"] if left > 0 else []
        yield finding_lines(figures.without_files(told.findings[0]), style, also=also, everything=everything)
    brief = [told.findings[0] for told in found if told not in full and told not in serious]
    lines = [finding_lines(finding, style)[0] for finding in ([] if everything else brief[:_FINDINGS])]
    more = 0 if everything else len(found) - len(full) - len(lines)
    yield [*lines, *([f"and {count(more, 'more finding')}, which -v tells"] if more else [])]


# -- the views ---------------------------------------------------------------------------------------


def _by_pair(report: StorageReport, style: Style, everything: bool) -> list[str]:  # noqa: FBT001 - one of a table
    rows = figures.by_pair(report)
    shown = rows[: _EVERY if everything else _ROWS]
    top = figures.top_of(path for row in shown for path in (row.environment, row.other))
    cells = [
        [
            clean(figures.within(row.environment, top)),
            "itself" if row.environment == row.other else clean(figures.within(row.other, top)),
            bytes_of(row.size),
            _frees(row.frees),
            str(row.files),
            figures.of_causes(row.causes),
        ]
        for row in shown
    ]
    head = ["again in", "as in", "size", "frees", "files", "why"]
    lines, told = _table(head, cells, style, names=2, least=("files", "why"))
    below = [f"in {clean(report.shown(top))}:"] if top else []
    return [
        *below,
        *lines,
        *_more(len(rows), shown, "pair"),
        *_legend(shown, told),
    ]


def _by_package(report: StorageReport, style: Style, everything: bool) -> list[str]:  # noqa: FBT001
    rows = figures.by_package(report)
    shown = rows[: _EVERY if everything else _ROWS]
    cells = [
        [
            clean(row.name) or "(of no package)",
            clean(listed(row.versions, 3)),
            bytes_of(row.size),
            _frees(row.frees),
            str(row.files),
            str(row.environments),
            figures.of_causes(row.causes),
        ]
        for row in shown
    ]
    head = ["package", "version", "size", "frees", "files", "envs", "why"]
    lines, told = _table(head, cells, style, names=2, least=("envs", "files", "why"))
    return [
        *lines,
        *_more(len(rows), shown, "package"),
        *_legend(shown, told),
    ]


def _by_file(report: StorageReport, style: Style, everything: bool) -> list[str]:  # noqa: FBT001
    """Return each file that is kept, with those that hold the same below it."""
    shown, number = figures.by_file(report, _EVERY if everything else _ROWS)
    each = _EVERY if everything else _COPIES
    paths = (path for group in shown for path in (group.path, *(_path(spare) for spare in group.spares[:each])))
    top = figures.top_of(paths)
    lines = [f"in {clean(report.shown(top))}:"] if top else []
    for group in shown:
        size = bytes_of(group.spares[0].kept.allocated)
        lines.append(f"  {style.paint(_cut(figures.within(group.path, top), style, 14), 'bold')} ({size}), again as")
        held = group.spares[:each]
        fates = [_fate(spare) for spare in held]
        widths = [max(len(fate[at]) for fate in fates) for at in (0, 1)]
        for spare, fate in zip(held, fates, strict=True):
            path = _cut(figures.within(_path(spare), top), style, sum(widths) + 8)
            lines.append(f"    {fate[0].rjust(widths[0])}  {fate[1].ljust(widths[1])}  {path}")
        if len(held) < len(group.spares):
            lines.append(f"    and {count(len(group.spares) - len(held), 'more file')}")
    return [*lines, *_more(number, shown, "file")]


def _sets(report: StorageReport, style: Style, *, everything: bool) -> list[str]:
    """Return the sets of equal files, where nothing more was asked about them."""
    limit, each = (_EVERY, _EVERY) if everything else (_ROWS, _COPIES)
    shown = report.copies[:limit]
    top = figures.top_of(file.names[0] for one in shown for file in one.files[:each])
    lines = [f"in {clean(report.shown(top))}:"] if top else []
    for one in shown:
        proof = _PROOFS.get(one.proof, "")
        lines.append(f"  {style.paint(count(len(one.files), 'file'), 'bold')} of {bytes_of(one.size)}{proof}")
        lines += [f"    {_cut(figures.within(file.names[0], top), style, 4)}" for file in one.files[:each]]
        if len(one.files) > each:
            lines.append(f"    and {count(len(one.files) - each, 'more file')}")
    return [*lines, *_more(len(report.copies), shown, "set")]


def _path(spare: Spare) -> str:
    return spare.file.names[0] if spare.file.names else ""


def _fate(spare: Spare) -> tuple[str, str]:
    """Return what a file takes and what becomes of it, and how it is known for a copy where it was not compared now."""
    known = _PROOFS.get(spare.proof, "")
    if spare.bar:
        return bytes_of(spare.file.allocated), f"left: {spare.bar.replace('-', ' ')}{known}"
    how = figures.HOWS[spare.how] if spare.how else "not shared"
    frees = "" if spare.frees == spare.file.allocated else f", frees {_frees(spare.frees)}"
    return bytes_of(spare.file.allocated), f"{how}{frees}{known}"


def _frees(number: int) -> str:
    return bytes_of(number) if number else "nothing"


_PROOFS = {"recorded": " (recorded)", "remembered": " (remembered)"}
_VIEWS: Mapping[View, Callable[[StorageReport, Style, bool], list[str]]] = {
    "environments": _by_pair,
    "packages": _by_package,
    "files": _by_file,
}


def _more(number: int, shown: Sequence[object], what: str) -> list[str]:
    left = number - len(shown)
    tells = "-v tells them" if len(shown) < _EVERY else "`--format json -v` tells all"
    return [f"  and {count(left, f'more {what}')}; {tells}"] if left else []


def _legend(rows: Sequence[figures.Pair | figures.Package], columns: Collection[str]) -> list[str]:
    """Return what the words of the last column mean, if that is among those that are told."""
    return [f"  {name}: {words}" for name, words in figures.meanings(rows)] if "why" in columns else []


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], style: Style, *, names: int, least: Sequence[str]
) -> tuple[list[str], Collection[str]]:
    """Return a table below its head: names, then numbers to the right, then words; nothing where there are no rows.

    Where the terminal is too narrow columns go that count ``least``, one after the other, and names lose their middle.
    The second value is which columns behind the names are told.
    """
    if not rows:
        return [], ()
    columns = [list(column) for column in zip(head, *rows, strict=True)]
    fixed = {column[0]: max(map(len, column)) + 2 for column in columns[names:]}
    for name in least if style.width else ():
        if sum(fixed.values()) + names * (_NARROW + 2) > (style.width or 0):
            del fixed[name]
    if style.width:
        widths = [max(map(len, column)) for column in columns[:names]]
        limits = _shared(widths, style.width - sum(fixed.values()) - 2 * names)
        dots = "…" if style.unicode else "..."
        columns[:names] = [
            [figures.short(cell, limit, dots) for cell in column]
            for column, limit in zip(columns[:names], limits, strict=True)
        ]
    shown = [
        *columns[:names],
        *([cell.rjust(fixed[column[0]] - 2) for cell in column] for column in columns[names:-1] if column[0] in fixed),
        *(column for column in columns[-1:] if column[0] in fixed),
    ]
    first, *others = (f"  {line}" for line in table(zip(*shown, strict=True)))
    return [style.paint(first, "dim"), *others], fixed


def _shared(widths: Sequence[int], room: int) -> list[int]:
    """Return how wide columns may be that have this room together: what one does not need, the others have."""
    limits = [0] * len(widths)
    for left, at in zip(range(len(widths), 0, -1), sorted(range(len(widths)), key=widths.__getitem__), strict=True):
        limits[at] = min(widths[at], max(_NARROW, room // left))
        room -= limits[at]
    return limits


def _cut(path: str, style: Style, taken: int) -> str:
    """Return a path that fits a line of which so many columns are taken."""
    text = clean(path)
    return (
        figures.short(text, max(style.width - taken, 3 * _NARROW), "…" if style.unicode else "...")
        if style.width
        else text
    )


# -- what is done, and what is left ------------------------------------------------------------------


def _actions(report: StorageReport, style: Style) -> list[str]:
    """Return what would be done, one line for each file."""
    held = report.shares
    if not held:
        return ["nothing would be changed"]
    frees = sum(edit.frees for edit in held)
    head = f"{count(len(held), 'file')} would be shared, which frees {bytes_of(frees)}; nothing is changed now"
    return [style.paint(head, "bold"), *(f"  {_action(edit)}" for edit in held)]


def _action(edit: ShareFile) -> str:
    return f"{clean(edit.words)}  ({bytes_of(edit.size)}, frees {_frees(edit.frees)})"


def _reclaimed(held: Reclaimed, style: Style, *, everything: bool) -> Iterator[str]:
    """Yield what was done, what was left and why, and how it is taken back."""
    yield from _shared_files(held, everything=everything)
    whys: dict[str, list[str]] = {}
    for path, why in held.left:
        whys.setdefault(why, []).append(path)
    for why, paths in sorted(whys.items(), key=lambda row: -len(row[1])):
        yield f"left {count(len(paths), 'file')}: {clean(why)}"
        yield from _some([clean(path) for path in paths], _EVERY if everything else 2, "    ")
    yield from (f"note: {clean(note)}" for note in held.notes)
    if held.entry:
        undo = style.paint(f"runworthy undo {clean(held.entry)}", "bold")
        yield f"`{undo}` takes it back, and needs {bytes_of(max(held.measured, held.estimated, 0))} for that"


def _shared_files(held: Reclaimed, *, everything: bool) -> Iterator[str]:
    hows: dict[str, list[int]] = {}
    for _, how, frees in held.shared:
        hows.setdefault(figures.HOWS[how], []).append(frees)
    for words, sizes in hows.items():
        yield f"  {words}: {count(len(sizes), 'file')}, {bytes_of(sum(sizes))}"
    if everything:
        rows = [f"{clean(path)}  ({figures.HOWS[how]}, frees {bytes_of(frees)})" for path, how, frees in held.shared]
        yield from _some(rows, _EVERY, "    ")


def _some(lines: Sequence[str], limit: int, indent: str) -> Iterator[str]:
    yield from (f"{indent}{line}" for line in lines[:limit])
    if len(lines) > limit:
        yield f"{indent}and {len(lines) - limit} more"


def _left(report: StorageReport, style: Style, *, named: bool) -> Iterator[str]:
    """Yield what is left as it is, by reasons. ``named``: with the words that stand for each beside a file."""
    rows = figures.left(report)
    if rows:
        yield style.paint("left as it is", "bold")
        names = [f"{row.bar.replace('-', ' ')}: " if named else "" for row in rows]
        cells = [
            [bytes_of(row.size), count(row.files, "file"), f"{name}{row.words}"]
            for name, row in zip(names, rows, strict=True)
        ]
        widths = [max(len(row[at]) for row in cells) for at in range(2)]
        yield from (f"  {size.rjust(widths[0])}  {files.rjust(widths[1])}  {why}" for size, files, why in cells)


# -- what else there is to know ----------------------------------------------------------------------


def _idle(idle: Sequence[Idle], style: Style, *, everything: bool) -> Iterator[str]:
    if not idle:
        return
    yield style.paint("not used for long; nothing of it is removed", "bold")
    shown = sorted(idle, key=lambda one: -one.allocated)[: _EVERY if everything else _LEFT]
    rows = [
        [figures.taken(one.environment), _used(one.used, one.used_by), clean(one.environment.path)] for one in shown
    ]
    width = max(len(row[0]) for row in rows)
    yield from (f"  {line}" for line in table([row[0].rjust(width), *row[1:]] for row in rows))
    commands = dict.fromkeys(clean(one.command) for one in shown if one.command)
    yield from (f"  {style.paint('help', 'bold', 'cyan')}: `{command}`" for command in commands)
    if len(shown) < len(idle):
        yield f"  and {len(idle) - len(shown)} more"


def _used(moment: int, by: str) -> str:
    told = f" ({clean(by)})" if by else ""
    return f"last used {figures.day(moment)}{told}" if moment else "no use can be told"


def _advice(advice: Sequence[Advice], style: Style, *, everything: bool) -> Iterator[str]:
    if not advice:
        return
    yield style.paint("what keeps copies from coming back", "bold")
    shown = advice[: _EVERY if everything else _LEFT]
    for one in shown:
        yield f"  {clean(one.installer)}: {clean(one.setting)}" + (f" in {clean(one.where)}" if one.where else "")
        if one.source:
            yield f"    {_works(one, style)}"
        if one.since:
            yield f"    {clean(one.installer)} {clean(one.version)} cannot; {clean(one.since)} and later can"
        yield from (f"    note: {clean(note)}" for note in one.notes)
    if len(shown) < len(advice):
        yield f"  and {len(advice) - len(shown)} more"


def _works(one: Advice, style: Style) -> str:
    trial = f": {clean(one.trial)}" if one.trial else ""
    words = {True: "works", False: "does not work", None: "was not tried"}[one.works]
    verdict = {True: "runs", False: "fails", None: "unknown"}[one.works]
    between = f"from {clean(one.source)} to {clean(one.target)}"
    return f"{style.verdict(verdict, f'{style.mark(verdict)} {words}')} {between}{trial}"


def _environments(environments: Sequence[Environment], style: Style) -> Iterator[str]:
    rows = [
        [
            clean(one.path),
            one.kind,
            clean(" ".join(filter(None, [one.installer, one.version]))),
            str(one.files) if one.is_counted else "",
            figures.taken(one),
            figures.day(one.used) if one.used else "",
        ]
        for one in environments[:_EVERY]
    ]
    head = ["environment", "kind", "made by", "files", "size", "last used"]
    yield from _table(head, rows, style, names=3, least=("files", "last used"))[0]


def _problems(report: StorageReport, style: Style, *, everything: bool) -> Iterator[str]:
    passed = [clean(words) for words in figures.passed_over(report)]
    if passed:
        yield f"passed over: {listed(passed, 0 if everything else _LEFT)}"
    shown = report.problems[: _EVERY if everything else _PROBLEMS]
    for path, why in shown:
        yield f"{style.severity('warning', 'warning')}: {clean(path)}: {clean(why)}"
    if len(shown) < len(report.problems):
        yield f"and {count(len(report.problems) - len(shown), 'more problem')}"


def _foot(report: StorageReport, style: Style) -> Iterator[str]:
    for note in figures.notes(report):
        yield f"{style.paint('note', 'bold', 'cyan')}: {note}"
    codes = list(dict.fromkeys(told.findings[0].code for told in figures.findings(report)))
    if codes:
        yield f"explain with `runworthy explain {' '.join(codes[:3])}`"
