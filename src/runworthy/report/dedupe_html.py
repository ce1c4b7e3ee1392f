"""What is stored again as one page that needs nothing else: no network, no other file, and no script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runworthy import __version__
from runworthy.model.storage import Advice, Idle, Reclaimed, StorageReport
from runworthy.report import dedupe_figures as figures
from runworthy.report.dedupe_page.tables import environments, files, packages, pairs
from runworthy.report.webpage.findings import finding_head, finding_parts
from runworthy.report.webpage.markup import Html, block, element, folded, joined, prose
from runworthy.report.webpage.shell import filled, page, part
from runworthy.report.words import bytes_of, count

__all__ = ["dedupe_html"]

_SHOWN, _MOST, _ACTIONS = 6, 300, 1000


def dedupe_html(report: StorageReport, *, dry_run: bool = False) -> str:
    """Return the page, the same text for the same report. ``dry_run`` adds what would be done, file by file."""
    title = joined(["What is stored again"])
    body = filled(
        "dedupe_page",
        title=title,
        subtitle=element("p", "; ".join(figures.looked_at(report)), class_="soft"),
        summary=joined(_summary(report)),
        sections=joined(_sections(report, dry_run=dry_run), "\n"),
        version=element("span", f"runworthy {__version__}"),
        changed="" if report.reclaimed else "Nothing was changed.",
    )
    return page(title, body, style=part("dedupe_page", "page.css"))


# -- the head ----------------------------------------------------------------------------------------


def _summary(report: StorageReport) -> Iterator[Html]:
    if report.reclaimed:
        yield element(
            "section",
            element("p", figures.done(report), class_="sentence"),
            element("ul", *_reclaimed(report.reclaimed)),
            class_="card",
        )
    before = element("span", "Before: ", class_="soft") if report.reclaimed else ""
    sentence = element("p", before, figures.sentence(report), class_="sentence")
    yield element("div", sentence, _bar(report), _numbers(report), class_="hero")


def _parts_of(report: StorageReport) -> list[tuple[str, str, int]]:
    frees = min(report.frees, report.again)
    rows = [
        ("once", "stored once", max(report.allocated - report.again, 0)),
        ("again-left", "stored again, and left", report.again - frees),
        ("again-free", "can be freed", frees),
    ]
    return [row for row in rows if row[2]]


def _bar(report: StorageReport) -> Html:
    """Return a strip of all that was looked at. The numbers below it say the same."""
    rows = _parts_of(report)
    total = sum(size for _, _, size in rows)
    pieces, at = [], 0.0
    for name, _, size in rows:
        width = 1000 * size / total
        pieces.append(Html(f'<rect class="{name}" x="{at:.1f}" width="{max(width - 2, 1):.1f}" height="10"/>'))
        at += width
    return element("svg", *pieces, viewBox="0 0 1000 10", preserveAspectRatio="none", class_="bar", aria_hidden="true")


def _numbers(report: StorageReport) -> Html:
    items = [
        element("li", element("span", class_=f"swatch {name}"), element("b", bytes_of(size)), f" {words}")
        for name, words, size in _parts_of(report)
    ]
    if report.shared:
        items.append(element("li", element("b", bytes_of(report.shared)), " shared already"))
    return element("ul", *items, class_="numbers", aria_label="What was looked at") if items else Html("")


def _reclaimed(held: Reclaimed) -> Iterator[Html]:
    whys: dict[str, list[str]] = {}
    for path, why in held.left:
        whys.setdefault(why, []).append(path)
    for why, paths in sorted(whys.items(), key=lambda row: -len(row[1])):
        name = element("span", paths[0], class_="name")
        yield element("li", f"left {count(len(paths), 'file')}: {why}, as ", name)
    for note in held.notes:
        yield element("li", "note: ", prose(note))
    if held.entry:
        yield element("li", element("code", f"runworthy undo {held.entry}"), " takes it back")


# -- below it ----------------------------------------------------------------------------------------


def _sections(report: StorageReport, *, dry_run: bool) -> Iterator[Html]:
    """Yield the sections of the page; what there is nothing of is left out."""
    if figures.spares_of(report):
        yield _section("Where", pairs(report), _meanings(report), id_="where")
    yield _section("Why", *_findings(report))
    if dry_run:
        yield _section("What would be done", *_actions(report))
    if figures.spares_of(report):
        yield _section("Packages", packages(report))
        yield _section("Files", files(report))
    left = [
        element("li", element("b", bytes_of(row.size)), f" in {count(row.files, 'file')}: {row.words}")
        for row in figures.left(report)
    ]
    yield _section("Left as it is", _items(left), card=True)
    yield _section("Not used for long", _items(map(_idle, report.idle), "Nothing of it is removed."), card=True)
    yield _section("What keeps copies from coming back", _items(map(_advice, report.advice)), card=True)
    if report.environments:
        yield _section("Environments and caches", environments(report.environments))
    problems = [element("li", element("span", path, class_="name"), f": {why}") for path, why in report.problems]
    passed = [element("li", words) for words in figures.passed_over(report)]
    yield _section("Could not be looked at", _items(problems), card=True)
    yield _section("Passed over", _items(passed), card=True)
    yield _section("Notes", _items(element("li", note) for note in figures.notes(report)), card=True)


def _section(title: str, *content: Html, card: bool = False, id_: str = "") -> Html:
    """Return a section, nothing where it would be empty."""
    if not any(content):
        return Html("")
    attributes = {"class_": "card"} if card else {}
    attributes |= {"id": id_} if id_ else {}
    return element("section", element("h2", title), *content, **attributes)


def _items(items: Iterable[Html], lead: str = "") -> Html:
    """Return a list of which the first items are shown, and others unfold; nothing where it would be empty."""
    held = list(items)
    if not held:
        return Html("")
    first, more = folded(held[:_MOST], _SHOWN, "item")
    parts = [element("p", lead, class_="soft")] if lead else []
    parts.append(element("ul", *first))
    if more:
        parts.append(element("details", element("summary", more), element("ul", *held[len(first) : _MOST])))
    if len(held) > _MOST:
        parts.append(element("p", f"and {len(held) - _MOST} more", class_="soft"))
    return joined(parts)


def _meanings(report: StorageReport) -> Html:
    rows = figures.meanings(figures.by_pair(report)[:_MOST])
    return element("dl", *(joined([element("dt", name), element("dd", words)]) for name, words in rows))


def _findings(report: StorageReport) -> Iterator[Html]:
    """Yield findings, the worst first. Notes unfold beside what is worse."""
    found = figures.findings(report)
    serious = [told for told in found if told.findings[0].severity != "note"] or found
    notes = [told for told in found if told not in serious]
    yield from map(_finding, serious[:_SHOWN])
    for words, held in (("more finding", serious[_SHOWN:_MOST]), ("note", notes[:_MOST])):
        if held:
            yield element("details", element("summary", count(len(held), words)), *map(_finding, held))


def _finding(told: figures.Told) -> Html:
    first = figures.without_files(told.findings[0])
    parts = [element("h3", finding_head(first), " ", first.name), *finding_parts(first)]
    if len(told.findings) > 1:
        items = [element("li", prose(one.message)) for one in told.findings[1 : _MOST + 1]]
        head = element("summary", f"{len(told.findings) - 1} more like it")
        parts.append(element("details", head, element("ul", *items)))
    return element("article", *parts, class_=f"finding {first.severity}")


def _actions(report: StorageReport) -> Iterator[Html]:
    held = report.shares
    total = bytes_of(sum(edit.frees for edit in held))
    yield element("p", f"{count(len(held), 'file')} would be shared, which frees {total}. Nothing is changed now.")
    lines = [f"{edit.words}  ({bytes_of(edit.size)}, frees {bytes_of(edit.frees)})" for edit in held[:_ACTIONS]]
    lines += [f"and {len(held) - _ACTIONS} more"] if len(held) > _ACTIONS else []
    if lines:
        label = "What would be done"
        yield element("details", element("summary", label), block(lines, tabindex="0", role="region", aria_label=label))


def _idle(one: Idle) -> Html:
    used = f"last used {figures.day(one.used)}" if one.used else "no use can be told"
    by = f" ({one.used_by})" if one.used and one.used_by else ""
    command: Sequence[str] = ["; ", element("code", one.command)] if one.command else []
    path = element("span", one.environment.path, class_="name")
    return element("li", element("b", figures.taken(one.environment)), " ", path, f": {used}{by}", *command)


def _advice(one: Advice) -> Html:
    works = {True: ("runs", "works"), False: ("fails", "does not work"), None: ("unknown", "not tried")}[one.works]
    where = f" in {one.where}" if one.where else ""
    parts: list[str] = [element("b", one.installer), ": ", element("code", one.setting), where, " "]
    parts.append(element("span", works[1], class_=f"badge {works[0]}"))
    source: Sequence[str] = ["from ", _path(one.source), " to "] if one.source else ["for "]
    between = element("p", *source, _path(one.target), class_="soft")
    notes = [one.trial, *one.notes]
    notes += [f"{one.installer} {one.version} cannot; {one.since} and later can"] if one.since else []
    return element("li", *parts, between, *(element("p", prose(note)) for note in notes if note))


def _path(path: str) -> Html:
    return element("span", path, class_="name")
