"""The floor as text: one line for each thing, then what holds each of them up, then the oldest targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.floor import Breach, Floor, FloorReport, Kind, Oldest, Reason, Rung, ShippedFloor
from runworthy.report.words import PLAIN, Style, clean, count, listed, size, table

__all__ = ["floor_text"]

_RUNGS_SHOWN = 3
_REASONS_SHOWN = 3
_SYMBOLS_SHOWN = 4
_FILES_SHOWN = 6
_LABELS = {"cpu": "CPU"}
# The families that people look for first; others follow in the order of their names.
_FAMILIES = ("debian", "ubuntu", "rhel", "fedora", "alpine", "amazonlinux", "opensuse/leap", "manylinux", "musllinux")


def floor_text(report: FloorReport, style: Style = PLAIN, *, level: int = 0) -> str:
    """Return the whole report. ``level`` is -1 for the floors and broken gates alone, 1 for everything."""
    several = len({shipped.asset for shipped in report.shipped}) > 1
    blocks = [_assets(report.shipped, style)] if several else []
    for shipped in report.shipped if not several or level > 0 else ():
        blocks.append(_summary(shipped, style, heading=level >= 0 or len(report.shipped) > 1))
        if level >= 0:
            blocks += [_holding(floor, style, everything=level > 0) for floor in shipped.floors]
            blocks.append(list(_targets(shipped.oldest, everything=level > 0)))
            blocks.append(list(_notes(shipped, style, everything=level > 0)))
    blocks += [list(_breach(breach, style, everything=level > 0, short=level < 0)) for breach in report.breaches]
    problems = [f"{style.severity('warning', 'warning')}: {clean(n)}: {clean(p)}" for n, p in report.problems.items()]
    text = [block for block in (*blocks, problems) if block]
    return ("" if level < 0 else "\n").join("".join(f"{line}\n" for line in block) for block in text)


# -- assets ----------------------------------------------------------------------------------

_COLUMNS: tuple[Kind, ...] = ("glibc", "musl", "libstdc++", "kernel", "cpu")


def _assets(shipped: Sequence[ShippedFloor], style: Style) -> list[str]:
    """Return one line for each asset and architecture: what it asks for is told of one alone, or with -v."""
    heads = ["", "", *(style.paint(_LABELS.get(kind, kind), "cyan") for kind in _COLUMNS)]
    rows = [heads]
    for one in shipped:
        floors = {floor.kind: _line(floor)[0] for floor in one.floors}
        built = f"{one.arch}, for {one.libc}" if one.libc else one.arch
        rows.append([clean(one.asset) or "other files", built, *(floors[kind] for kind in _COLUMNS)])
    return table(rows)


# -- one line for each -----------------------------------------------------------------------


def _summary(shipped: ShippedFloor, style: Style, *, heading: bool) -> list[str]:
    rows = [(style.paint(_LABELS.get(floor.kind, floor.kind), "cyan"), *_line(floor)) for floor in shipped.floors]
    rows.append((style.paint("pages", "cyan"), *_pages(shipped)))
    lines = [f"  {line}" if heading else line for line in table(rows)]
    return [style.paint(_title(shipped), "bold"), *lines] if heading else lines


def _title(shipped: ShippedFloor) -> str:
    what = clean(shipped.files[0]) if len(shipped.files) == 1 else count(len(shipped.files), "file")
    bundled = f" with {count(len(shipped.bundled), 'library', 'libraries')} beside" if shipped.bundled else ""
    asset = f"{clean(shipped.asset)}: " if shipped.asset and len(shipped.files) != 1 else ""
    return f"{asset}{what}{bundled}, {shipped.arch}" + (f", built for {shipped.libc}" if shipped.libc else "")


def _line(floor: Floor) -> tuple[str, str]:
    """Return the floor and what there is to say about it."""
    if floor.state == "any":
        return "any", "nothing of it is needed"
    if floor.state == "unmarked":
        return "not marked", "no file says what it needs, and nothing is promised"
    if floor.state in ("nowhere", "unknown"):
        words = f"{floor.words}: " if floor.words else ""
        said = words + _why(floor.reasons[0]) if floor.reasons else ""
        return {"nowhere": "none", "unknown": "unknown"}[floor.state], said
    return _release(floor), _remarks(floor)


def _why(reason: Reason) -> str:
    if not reason.file:
        return clean(reason.need)
    what = _need(reason) if reason.need else listed(_marked(reason), 3)
    return f"{clean(reason.file)} needs {what}"


def _release(floor: Floor) -> str:
    if floor.open_below:
        return f"{floor.oldest or floor.words} or older" if floor.oldest else "any"
    return clean(floor.release)


def _remarks(floor: Floor) -> str:
    words = [clean(floor.words)] if floor.words and not (floor.open_below and not floor.oldest) else []
    if floor.kind in ("glibc", "musl") and not floor.judged and not floor.open_below:
        words.append(f"by the names of versions; nothing older than {floor.oldest} is judged")
    if floor.ceiling:
        words.append(f"up to {floor.ceiling}: {_names(floor.above)}")
    if floor.starts:
        words.append(f"starts from {floor.starts} on, and may miss {_names(floor.missing)} later")
    if floor.kind == "cpu" and floor.reasons:
        words.append(f"{count(len(floor.reasons), 'file')} not marked")
    if floor.kind in ("kernel", "cpu") and floor.rungs:
        words.insert(0, clean(floor.rungs[0].reasons[0].need))
    return "; ".join(words)


def _names(reasons: Sequence[Reason]) -> str:
    symbols = dict.fromkeys(symbol for reason in reasons for symbol in reason.symbols)
    return listed([clean(name) for name in symbols or dict.fromkeys(_need(one) for one in reasons)], 3)


def _pages(shipped: ShippedFloor) -> tuple[str, str]:
    pages = shipped.pages
    if pages is None:
        return "", ""
    refused = [f"{size(number)} refused by {_files(files)}" for number, files in sorted(pages.refused.items())]
    return listed([size(number) for number in pages.fit]) or "none", "; ".join(refused)


# -- what holds it up ------------------------------------------------------------------------


def _holding(floor: Floor, style: Style, *, everything: bool) -> list[str]:
    """Return what asks for each release, the highest first, and what to avoid to get lower."""
    if not floor.rungs or floor.kind in ("kernel", "cpu"):
        return []
    shown = floor.rungs if everything else floor.rungs[:_RUNGS_SHOWN]
    rows = [row for rung in shown for row in _rows(rung, everything=everything)]
    lines = [style.paint(f"what asks for {floor.kind}", "bold"), *(f"  {line}" for line in table(rows))]
    if len(shown) < len(floor.rungs):
        lines.append(f"  and {count(len(floor.rungs) - len(shown), 'older release')}")
    helped = _lower(floor)
    return [*lines, f"{style.paint('help', 'bold', 'cyan')}: {helped}"] if helped else lines


def _rows(rung: Rung, *, everything: bool) -> Iterator[tuple[str, ...]]:
    """Yield what asks for a release: the same need of several files is told once, the commonest first."""
    files: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for reason in rung.reasons:
        files.setdefault((_need(reason), _marked(reason)), []).append(clean(reason.file))
    release = clean(rung.words or rung.release)
    ranked = sorted(files.items(), key=lambda pair: -len(pair[1]))
    limit = len(ranked) if everything else _REASONS_SHOWN
    for (need, symbols), names in ranked[:limit]:
        yield release, need, _files(names, everything=everything), listed(symbols, 0 if everything else _SYMBOLS_SHOWN)
        release = ""
    if len(ranked) > limit:
        yield "", f"and {count(len(ranked) - limit, 'more need')}"


def _need(reason: Reason) -> str:
    return clean(reason.need) or "no version"


def _marked(reason: Reason) -> tuple[str, ...]:
    kind = " (weak)" if reason.weak else " (lazy)" if reason.lazy else ""
    return tuple(f"{clean(symbol)}{kind}" for symbol in reason.symbols)


def _files(files: Sequence[str], *, everything: bool = False) -> str:
    return listed(list(files), 0 if everything else 2)


def _lower(floor: Floor) -> str:
    """Return what the floor would be without what holds it, empty where that is not known."""
    first, lower = floor.rungs[0], floor.lower
    if not floor.judged and (lower is None or floor.oldest):
        return ""  # nothing older has been judged
    below = f"{floor.oldest} or older"
    if lower is not None and floor.judged_to(lower.order):
        below = clean(lower.words or lower.release)
    symbols = dict.fromkeys(f"`{clean(symbol)}`" for reason in first.reasons for symbol in reason.symbols)
    needs = dict.fromkeys(f"`{_need(reason)}`" for reason in first.reasons)
    files = count(len({reason.file for reason in first.reasons}), "file")
    name = "" if lower and lower.words else f"{floor.kind} "
    return f"avoid {listed(list(symbols or needs), 4)} ({files}) -> {name}{below}"


# -- targets and the end ---------------------------------------------------------------------


def _targets(oldest: Sequence[Oldest], *, everything: bool) -> Iterator[str]:
    """Yield the oldest target of each family, those that people look for first."""
    rank = {family: at for at, family in enumerate(_FAMILIES)}
    ranked = sorted(oldest, key=lambda one: (rank.get(one.family, len(rank)), one.family))
    runs = [one for one in ranked if one.target]
    if not runs:
        fails = all(one.verdict == "fails" for one in ranked)
        yield "runs on no target of the catalogue" if fails else "no target of the catalogue is known to run it"
        return
    known = [one for one in runs if everything or one.family in rank] or runs
    names = [clean(one.target) + (" (risky)" if one.verdict == "risky" else "") for one in known]
    more = len(runs) - len(known)
    yield f"oldest targets: {', '.join(names)}" + (
        f" and {count(more, 'more family', 'more families')}" if more else ""
    )
    for words, verdicts in (("on none of", ("fails",)), ("not known of", ("unknown",))):
        families = [one.family for one in ranked if not one.target and one.verdict in verdicts]
        none = [clean(family) for family in families if everything or family in rank]
        if none:
            yield f"{words}: {', '.join(none)}"


def _notes(shipped: ShippedFloor, style: Style, *, everything: bool) -> Iterator[str]:
    equals = style.paint("=", "blue")
    if shipped.presumed:
        names = listed([f"`{clean(name)}`" for name in shipped.presumed], 0 if everything else _FILES_SHOWN)
        yield f"{equals} taken as present, in a release that fits: {names}"
    given = {name.rpartition("/")[2] for name in (*shipped.files, *shipped.bundled)}
    beside = [f"`{clean(name)}`" for name in shipped.presumed if name in given]
    if beside:
        yield f"{equals} such files are among those given, where the loader does not look: {listed(beside, 4)}"


def _breach(breach: Breach, style: Style, *, everything: bool, short: bool) -> Iterator[str]:
    """Yield a broken gate like a finding: both sides, then the symbols and files."""
    severity = "warning" if breach.unknown else "error"
    files = dict.fromkeys(clean(reason.file) for rung in breach.rungs for reason in rung.reasons if reason.file)
    who = next(iter(files)) if len(files) == 1 else count(len(files), "file") if files else f"{breach.arch} files"
    has = clean(breach.has)
    if len(files) == 1:
        first, _, rest = has.partition(" ")
        has = f"{ {'need': 'needs', 'run': 'runs', 'are': 'is'}.get(first, first) } {rest}"
    head = style.severity(severity, f"{severity}[{breach.gate}]")
    yield f"{head}: {style.paint(f'{who} {has}, the gate is at {clean(breach.limit)}', 'bold')}"
    if not short:
        bar = style.paint("   |", "blue")
        rows = [row for rung in breach.rungs for row in _rows(rung, everything=everything)]
        yield from (f"{bar} {line}" for line in table(rows if rows[:1] and rows[0][0] else [row[1:] for row in rows]))
