"""What is stored again as Markdown: for the summary of a CI job, and for merge requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runworthy.model.storage import Advice, Idle, Reclaimed, StorageReport
from runworthy.report import dedupe_figures as figures
from runworthy.report.finding import place
from runworthy.report.markdown import block, code, details, section, table, text
from runworthy.report.words import bytes_of, clean, count, listed

__all__ = ["dedupe_markdown"]

_ROWS, _FINDINGS, _LINES, _ITEMS, _ACTIONS = 20, 12, 20, 10, 200
_LONGEST = 200
"""Characters of one name that are shown: a summary of a job may have a mebibyte."""


def dedupe_markdown(report: StorageReport, *, dry_run: bool = False) -> str:
    """Return the report as Markdown (GitHub's, with tables). ``dry_run`` adds what would be done, file by file."""
    found = figures.findings(report)
    blocks = [
        list(_head(report)),
        list(_reclaimed(report.reclaimed)) if report.reclaimed else [],
        list(_pairs(report)),
        list(_packages(report)),
        list(_actions(report)) if dry_run else [],
        list(section("Why", map(_finding, found[:_FINDINGS]))),
        _more(found, _FINDINGS, "finding"),
        list(section("Left as it is", _left(report))),
        list(section("Not used for long", _some(map(_idle, report.idle), _ITEMS))),
        list(section("What keeps copies from coming back", _some(map(_advice, report.advice), _ITEMS))),
        list(section("Could not be looked at", _some(map(_problem, report.problems), _ITEMS))),
        list(section("Notes", map(text, figures.notes(report)))),
    ]
    return "\n".join("".join(f"{line}\n" for line in held) for held in blocks if held)


def _head(report: StorageReport) -> Iterator[str]:
    before = "before: " if report.reclaimed else ""
    if before:
        yield f"**{text(figures.done(report))}**"
        yield ""
    sentence = text(figures.sentence(report))
    yield f"{before}{sentence}" if before else f"**{sentence}**"
    yield ""
    yield text(_shown("; ".join(figures.looked_at(report))))


def _pairs(report: StorageReport) -> Iterator[str]:
    rows = figures.by_pair(report)
    if not rows:
        return
    top = figures.top_of(path for row in rows[:_ROWS] for path in (row.environment, row.other))
    if top:
        yield f"In {_name(top)}:"
        yield ""
    cells = (
        [
            _name(figures.within(row.environment, top)),
            "itself" if row.environment == row.other else _name(figures.within(row.other, top)),
            bytes_of(row.size),
            _frees(row.frees),
            str(row.files),
            text(figures.of_causes(row.causes)),
        ]
        for row in rows[:_ROWS]
    )
    yield from table(["Again in", "As in", "Size", "Frees", "Files", "Why"], cells, numbers=(2, 3, 4))
    yield from _more(rows, _ROWS, "pair")


def _packages(report: StorageReport) -> Iterator[str]:
    rows = figures.by_package(report)
    if not rows:
        return
    cells = (
        [
            _name(row.name) if row.name else "(of no package)",
            text(_shown(listed(row.versions, 3))),
            bytes_of(row.size),
            _frees(row.frees),
            str(row.files),
        ]
        for row in rows[:_ROWS]
    )
    held = table(["Package", "Version", "Size", "Frees", "Files"], cells, numbers=(2, 3, 4))
    yield from details("By package", [*held, *_more(rows, _ROWS, "package")])


def _finding(told: figures.Told) -> str:
    """Return the first of some findings of one cause as an item of a list, with what belongs to it below it."""
    finding = told.findings[0]
    lines = [f"**{finding.severity}[{finding.code}]** {text(_shown(finding.message, 8))}"]
    lines += block(_shown(line) for line in finding.lines[:_LINES]) if finding.lines else []
    lines += [f"- {_name(place(one))}" for one in finding.evidence[:_ITEMS]]
    lines += [f"- note: {text(_shown(note, 8))}" for note in finding.notes[:_ITEMS]]
    lines += [f"- also: {text(_shown(one.message, 8))}" for one in told.findings[1:_ITEMS]]
    lines += [f"- and {len(told.findings) - _ITEMS} more like it"] if len(told.findings) > _ITEMS else []
    lines += [f"- help: {text(_shown(one.title, 8))} ({one.applicability})" for one in finding.remedies[:_ITEMS]]
    return "\n  ".join(lines)


def _more(rows: Sequence[object], shown: int, what: str) -> list[str]:
    return ["", f"and {count(len(rows) - shown, f'more {what}')}"] if len(rows) > shown else []


def _left(report: StorageReport) -> Iterator[str]:
    for row in figures.left(report):
        yield f"{bytes_of(row.size)} in {count(row.files, 'file')}: {text(row.words)}"


def _idle(one: Idle) -> str:
    used = f"last used {figures.day(one.used)}" if one.used else "no use can be told"
    by = f" ({text(_shown(one.used_by))})" if one.used and one.used_by else ""
    command = f"; {_name(one.command)}" if one.command else ""
    return f"{_name(one.environment.path)}: {figures.taken(one.environment)}, {used}{by}{command}"


def _advice(one: Advice) -> str:
    where = f" in {_name(one.where)}" if one.where else ""
    works = {True: "works", False: "does not work", None: "was not tried"}[one.works]
    trial = f" ({text(_shown(one.trial))})" if one.trial else ""
    between = f"from {_name(one.source)} to {_name(one.target)}" if one.source else f"for {_name(one.target)}"
    since = ""
    if one.since:
        since = f"; {text(_shown(f'{one.installer} {one.version} cannot, {one.since} and later can'))}"
    return f"{text(_shown(one.installer))}: {_name(one.setting)}{where} {works} {between}{trial}{since}"


def _problem(problem: tuple[str, str]) -> str:
    return f"{_name(problem[0])}: {text(_shown(problem[1]))}"


def _actions(report: StorageReport) -> Iterator[str]:
    held = report.shares
    lines = [f"{clean(edit.words)}  ({bytes_of(edit.size)}, frees {_frees(edit.frees)})" for edit in held[:_ACTIONS]]
    lines += [f"and {len(held) - _ACTIONS} more"] if len(held) > _ACTIONS else []
    total = bytes_of(sum(edit.frees for edit in held))
    if held:
        head = f"{count(len(held), 'file')} would be shared, which frees {total}"
        yield from details(head, block(lines))


def _reclaimed(held: Reclaimed) -> Iterator[str]:
    whys: dict[str, list[str]] = {}
    for path, why in held.left:
        whys.setdefault(why, []).append(path)
    for why, paths in sorted(whys.items(), key=lambda row: -len(row[1])):
        yield f"- left {count(len(paths), 'file')}: {text(_shown(why))}, as {_name(paths[0])}"
    yield from (f"- note: {text(_shown(note))}" for note in held.notes)
    if held.entry:
        yield f"- {_name(f'runworthy undo {held.entry}')} takes it back"


def _some(lines: Iterable[str], limit: int) -> Iterator[str]:
    held = list(lines)
    yield from held[:limit]
    if len(held) > limit:
        yield f"and {len(held) - limit} more"


def _frees(number: int) -> str:
    return bytes_of(number) if number else "nothing"


def _shown(words: str, times: int = 1) -> str:
    return figures.short(clean(words), times * _LONGEST)


def _name(words: str) -> str:
    return code(_shown(words))
