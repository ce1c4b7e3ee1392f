"""The report on directories as text: the numbers of verdicts, then the causes, each with the files under it."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from runworthy.model.finding import Finding, Remedy, Report, Result, Tree
from runworthy.model.records import dataclass
from runworthy.report.causes import Cause, causes, ranked
from runworthy.report.finding import finding_lines, remedy_line, waiver_words
from runworthy.report.words import MANY, Style, but, clean, count, listed, table

__all__ = ["summary"]

_BLOCKS_SHOWN = 24
_BRIEF_SHOWN = 12
_TOLD_IN_FULL = 6
_FILES_SHOWN = 5
_ITEMS_SHOWN = 6
_NEEDERS_SHOWN = 3
_REMEDIES_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What all blocks share: how they are drawn, on which targets, other names of files, and what lies in archives."""

    style: Style
    targets: Sequence[str]
    aliases: Mapping[str, Sequence[str]]
    members: frozenset[str]
    everything: bool


def summary(
    report: Report, by_themselves: Sequence[Result], style: Style, *, everything: bool, waived: bool = False
) -> Iterator[list[str]]:
    """Yield blocks of lines: the directories and their numbers, then each cause, the worst and the largest first.

    ``by_themselves`` are the archives that were judged on no target; their causes are told by others.
    """
    own = {result.subject: result for result in by_themselves}
    yield [*_trees(report, own, style, everything=everything), *_verdicts(report.results, style)]
    page = _Page(
        style=style,
        targets=list(dict.fromkeys(result.target for result in report.results if result.target)),
        aliases={name: names for tree in report.trees for name, names in tree.aliases.items()},
        members=_members(report),
        everything=everything,
    )
    found = ranked(causes(report.results, waived=waived))
    if everything:
        yield from (_block(cause, page) for cause in found)
        return
    serious = [cause for cause in found if cause.severity != "note"]
    # Of many causes those in one file are told in a line each.
    short = len(serious) > _TOLD_IN_FULL
    blocks = [cause for cause in serious if not short or len(cause.subjects) > 1]
    brief = [cause for cause in serious if short and len(cause.subjects) == 1]
    yield from (_block(cause, page) for cause in blocks[:_BLOCKS_SHOWN])
    left = len(blocks[_BLOCKS_SHOWN:]) + len(brief[_BRIEF_SHOWN:])
    more = [f"and {count(left, 'more cause')}, which -v tells"] if left else []
    yield [*(_head(cause, style) for cause in brief[:_BRIEF_SHOWN]), *more]
    yield [_head(cause, style) for cause in found if cause.severity == "note"]


def _members(report: Report) -> frozenset[str]:
    """Return the subjects that lie in archives."""
    archives = {tree.name for tree in report.trees if tree.kind}
    if not archives:
        return frozenset()
    return frozenset(result.subject for result in report.results if result.subject.rpartition("!")[0] in archives)


def _trees(report: Report, by_itself: Mapping[str, Result], style: Style, *, everything: bool) -> Iterator[str]:
    """Yield what was found in each directory and archive; with all that is known, what was passed over as well.

    Of an archive in another or in a directory only what holds something is told.
    """
    for tree in report.trees:
        if tree.within and not tree.subjects and tree.name not in by_itself and not everything:
            continue
        judged = count(tree.subjects, "program or library", "programs and libraries")
        line = f"{style.paint(clean(tree.name), 'bold')}: {judged} in {count(tree.files, 'file')}"
        result = by_itself.get(tree.name)
        yield f"{line}; {_by_itself(result, style)}" if result else line
        yield from _passed_over(tree) if everything else ()
    judged_alone = {result.subject for result in report.results}.difference(tree.name for tree in report.trees)
    alone = len(judged_alone) - sum(tree.subjects for tree in report.trees)
    if alone > 0:
        yield f"and {count(alone, 'file')} named alone"


def _by_itself(result: Result, style: Style) -> str:
    """Return what an archive is worth by what it says of itself."""
    in_itself = " in itself" if result.verdict != "unknown" else ""
    words = {"runs": "sound", "risky": "doubtful", "unknown": "not judged to its end", "fails": "unsound"}
    return style.verdict(result.verdict, f"{style.mark(result.verdict)} {words[result.verdict]}{in_itself}")


def _passed_over(tree: Tree) -> Iterator[str]:
    kinds = [count(number, kind) for kind, number in tree.passed_over.items()]
    if kinds:
        yield f"  not judged: {listed(kinds)}"
    names = sum(map(len, tree.aliases.values()))
    if names:
        yield f"  {count(names, 'more name')}: links, and copies in one directory"


def _verdicts(results: Sequence[Result], style: Style) -> list[str]:
    """Return a row for each target: the numbers of verdicts, the worst first, and the C library that most met."""
    cells: dict[str, list[Result]] = {}
    for result in results:
        cells.setdefault(result.target, []).append(result)
    there = [
        verdict for verdict in MANY if any(result.verdict == verdict for held in cells.values() for result in held)
    ]
    rows = []
    for target, held in cells.items():
        numbers = Counter(result.verdict for result in held)
        waived = Counter(result.verdict for result in held if result.counted != result.verdict)
        told = [
            style.verdict(verdict, f"{style.mark(verdict)} {numbers[verdict]} {MANY[verdict]}{but(waived[verdict])}")
            if numbers[verdict]
            else ""
            for verdict in there
        ]
        libc = Counter(result.libc for result in held if result.libc).most_common(1)
        rows.append([clean(target), *told, clean(libc[0][0]) if libc else ""])
    return [f"  {line}" for line in table(rows)]


# -- a cause ---------------------------------------------------------------------------------


def _head(cause: Cause, style: Style) -> str:
    subjects = cause.subjects
    where = clean(subjects[0]) if len(subjects) == 1 else count(len(subjects), "file")
    head = style.severity(cause.severity, f"{cause.severity}[{cause.code}]")
    head += ", waived" if cause.held[0][0].waived else ""
    return f"{head}: {style.paint(f'{clean(cause.text)}: {where}', 'bold')}"


def _block(cause: Cause, page: _Page) -> list[str]:
    """Return a cause with the files under it; that of one file is told in full."""
    style, everything = page.style, page.everything
    subjects = cause.subjects
    held = [finding for finding, _ in cause.held]
    where = _on(cause, page.targets)
    if len(cause.held) == 1:
        return finding_lines(held[0], style, also=where, everything=everything)
    limit = len(subjects) if everything or len(subjects) <= _FILES_SHOWN + 1 else _FILES_SHOWN
    files = list(_below(subjects[:limit], page, everything=everything))
    if limit < len(subjects):
        files.append(f"and {count(len(subjects) - limit, 'more file')}")
    bar, equals = style.paint("   |", "blue"), style.paint("   =", "blue")
    lines = [_head(cause, style), *_needers(held, subjects, page), *(f"{bar} {line}" for line in files)]
    lines += [f"{equals} {note}" for note in (*_items(cause, limit=0 if everything else _ITEMS_SHOWN), *where)]
    lines += [f"{equals} waived: {clean(waiver_words(waiver))}" for waiver in (held[0].waived,) if waiver]
    lines += [remedy_line(remedy, style) for remedy in _remedies(held)]
    return lines


def _below(subjects: Sequence[str], page: _Page, *, everything: bool) -> Iterator[str]:
    """Yield files, those of an archive below its name."""
    last = ""
    for name in subjects:
        archive, mark, member = name.rpartition("!") if name in page.members else ("", "", name)
        if mark and archive != last:
            yield clean(f"{archive}{mark}")
        last = archive
        others = page.aliases.get(name, ()) if everything else ()
        shown = _named(member, [other.removeprefix(f"{archive}{mark}") for other in others])
        yield f"  {shown}" if mark else shown


def _named(name: str, others: Sequence[str]) -> str:
    """Return a file with its other names, those in the same directory by their last part."""
    here = posixpath.dirname(name)
    shown = [posixpath.basename(other) if posixpath.dirname(other) == here else other for other in others]
    return clean(f"{name}  (also {listed(shown)})" if shown else name)


def _needers(held: Sequence[Finding], subjects: Sequence[str], page: _Page) -> Iterator[str]:
    """Yield the few objects in which the cause lies, where it is not in every file by itself."""
    owners = {alias: name for name, names in page.aliases.items() for alias in names}
    files = (place.file for finding in held for place in finding.evidence)
    places = list(dict.fromkeys(owners.get(file, file) for file in files))
    if len(places) <= _NEEDERS_SHOWN and not (set(places) <= set(subjects) and len(places) >= len(subjects)):
        yield from (f"{page.style.paint('  -->', 'blue')} {clean(place)}" for place in places)


def _items(cause: Cause, *, limit: int) -> Iterator[str]:
    """Yield what is missing, each with the number of files that want it."""
    items = cause.items
    if len(items) == 1:
        yield clean(items[0][0])
    elif items:
        yield listed([f"{clean(item)} ({count(number, 'file')})" for item, number in items], limit)


def _on(cause: Cause, targets: Sequence[str]) -> list[str]:
    """Return on which targets the cause holds, where there is more than one: with numbers where they differ."""
    if len(targets) == 1 or not all(result.target for _, result in cause.held):
        return []
    files: dict[str, set[str]] = {}
    libcs: dict[str, str] = {}
    for _, result in cause.held:
        files.setdefault(result.target, set()).add(result.subject)
        libcs[result.target] = result.libc
    named = {
        target: f"{clean(target)} ({clean(libcs[target])})" if libcs[target] else clean(target) for target in files
    }
    if len({frozenset(names) for names in files.values()}) == 1:
        return [f"on {listed(list(named.values()))}"]
    numbers = [f"{named[target]}: {count(len(names), 'file')}" for target, names in files.items()]
    return [f"on {listed(numbers)}"]


def _remedies(held: Sequence[Finding]) -> list[Remedy]:
    """Return what helps most of the files; what is worded for one file stands for the others."""
    numbers = Counter(remedy for finding in held for remedy in finding.remedies)
    common = [remedy for remedy, number in numbers.items() if 2 * number >= len(held)]
    return (common or list(held[0].remedies))[:_REMEDIES_SHOWN]
