"""Two builds compared, as text: what it costs, what causes it, then the targets on which the verdict changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import NamedTuple

from runworthy.model.difference import Cell, Change, Difference, Effect, Outcome, Pair, Shift, SymbolChange
from runworthy.model.finding import Verdict
from runworthy.model.records import replace
from runworthy.report.diff_assets import FLOOR_NAMES, asset_lines
from runworthy.report.facts import highest_versions
from runworthy.report.words import PLAIN, Style, clean, count, listed, table

__all__ = ["diff_text", "symbol_name"]

_SYMBOLS_SHOWN = 4
_FILES_SHOWN = 3
_CAUSES_SHOWN = 3
_NAME_SHOWN = 48
_TARGETS_NAMED = 3
_LINES = 12
_ROWS = 16
_WIDTH = 100
_WHEN: Mapping[Effect, str] = {"needs-less": "now", "offers-more": "now"}
_UNBROKEN = "\xa0"
_WELL_KNOWN = ("debian", "ubuntu", "rhel", "alpine", "glibc")

_HEADINGS: Mapping[Effect, str] = {
    "needs-more": "needs, and did not need before",
    "offers-less": "no longer offers: what was linked with it breaks",
    "differs": "differs",
    "needs-less": "no longer needs",
    "offers-more": "offers, and did not offer before",
}
_SHIFTS: Mapping[Shift, str] = {
    "worse": "worse on",
    "unclear": "cannot be told on",
    "better": "better on",
}
_NAMES = {
    "library": "library",
    "import": "symbols",
    "export": "symbols",
    "version-definition": "versions",
    "isa": "instruction set",
    "kernel": "minimum kernel",
    "page-size": "pages",
    "exec-stack": "stack",
    "relr": "relative relocations",
    "libc": "C library",
    "flag": "flag",
}


def diff_text(difference: Difference, style: Style = PLAIN, *, level: int = 0) -> str:
    """Return the whole report. ``level`` is -1 for the first lines alone, 0 usual, 1 everything that is known."""
    if not difference.differs:
        return _nothing(difference)
    gone = {asset.name for asset in difference.assets if asset.old is None or asset.new is None}
    changed = [pair for pair in difference.pairs if pair.differs and (not pair.asset or pair.asset not in gone)]
    blocks = [list(_costs(difference, changed, style))]
    if level >= 0:
        everything = level > 0
        if difference.assets:
            blocks.append(list(asset_lines(difference, style, everything=everything)))
        else:
            blocks.append(list(_floors(difference)))
        blocks.append(list(_files(difference, changed, everything=everything)))
        blocks += _changes(difference, changed, style, everything=everything)
        blocks += _targets(difference, style, everything=everything)
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


def _nothing(difference: Difference) -> str:
    names = f"{clean(difference.old)} and {clean(difference.new)}"
    if not difference.assets and all(pair.identical for pair in difference.pairs):
        return f"{names} hold the same bytes\n"
    many = f" in {len(difference.pairs)} files" if len(difference.pairs) > 1 else ""
    many = f" in {count(len(difference.assets), 'asset')}" if difference.assets else many
    judged = any(pair.judged for pair in difference.pairs)
    where = f", nor does any verdict on {count(len(difference.targets), 'target')}" if judged else ""
    return f"{names}: nothing differs{many} that a loader or a target looks at{where}\n"


# -- what it costs ---------------------------------------------------------------------------


def _costs(difference: Difference, changed: Sequence[Pair], style: Style) -> Iterator[str]:
    """Yield one line for each thing that whoever ships the new build should know first."""
    for pair in changed:
        if pair.problem:
            yield f"{style.verdict('unknown', style.mark('unknown'))} {clean(pair.problem)}"
    for cost in _COSTS:
        yield from _cost(difference, cost, style)
    broken = [pair for pair in changed if pair.is_library and _lost(pair)]
    if broken:
        number = sum(map(_lost, broken))
        names = _file_names(difference, broken)
        mark = style.verdict("risky", style.mark("risky"))
        verb = "offers" if len(broken) == 1 else "offer"
        yield f"{mark} {names} no longer {verb} {count(number, 'symbol')} that others may be linked with"
    if not any(cell.shift != "same" for pair in changed for cell in pair.cells):
        judged = sum(pair.judged for pair in difference.pairs)
        if judged:
            mark = style.verdict("runs", style.mark("runs"))
            yield f"{mark} the verdict is the same on {count(len(difference.targets), 'target')}"


class _Cost(NamedTuple):
    """Cells of one kind, and what is said of one file and of several."""

    verdict: Verdict
    holds: Callable[[Cell], bool]
    one: str
    many: str
    after: str = ""


def _before(cell: Cell) -> Verdict:
    return cell.old.verdict if cell.old else "runs"


_COSTS = (
    _Cost(
        "fails",
        lambda cell: cell.shift == "worse" and cell.new.verdict == "fails" and _before(cell) != "unknown",
        "no longer runs on",
        "no longer run on",
    ),
    _Cost(
        "fails",
        lambda cell: cell.shift == "worse" and cell.new.verdict == "fails" and _before(cell) == "unknown",
        "fails on",
        "fail on",
        " where it could not be told before",
    ),
    _Cost("risky", lambda cell: cell.shift == "worse" and cell.new.verdict == "risky", "may fail on", "may fail on"),
    _Cost(
        "unknown",
        lambda cell: cell.shift == "unclear",
        "rests on what is not known of",
        "rest on what is not known of",
    ),
    _Cost("runs", lambda cell: cell.shift == "better", "gets better on", "get better on"),
)


def _cost(difference: Difference, cost: _Cost, style: Style) -> Iterator[str]:
    held = {pair.name: [cell for cell in pair.cells if cost.holds(cell)] for pair in difference.pairs}
    pairs = [pair for pair in difference.pairs if held[pair.name]]
    if not pairs:
        return
    cells = [cell for pair in pairs for cell in held[pair.name]]
    words = cost.one if len(pairs) == 1 else cost.many
    if all(pair.is_library for pair in pairs):
        words = words.replace(" runs ", " loads ").replace(" run ", " load ")
    targets = list({cell.target: cell for cell in cells}.values())
    where = f"{len(targets)} of {count(len(difference.targets), 'target')}{cost.after}, as {listed(_telling(targets))}"
    if len(targets) <= _TARGETS_NAMED:
        where = listed([clean(cell.target) for cell in targets]) + cost.after
    causes = _causes(cells)
    why = f": {listed(causes, _CAUSES_SHOWN)}" if causes else ""
    mark = style.verdict(cost.verdict, style.mark(cost.verdict))
    yield f"{mark} {_file_names(difference, pairs)} {words} {where}{why}"


def _telling(cells: Sequence[Cell]) -> list[str]:
    """Return a few of the targets: of the families that everybody knows the newest, else the first ones."""
    newest = {cell.family: cell for cell in sorted(cells, key=lambda cell: cell.place)}
    known = [newest[family].target for family in _WELL_KNOWN if family in newest]
    return [clean(name) for name in (known or [cell.target for cell in cells])[:_FILES_SHOWN]]


def _lost(pair: Pair) -> int:
    return sum(max(1, len(change.symbols)) for change in pair.changes if change.effect == "offers-less")


def _file_names(difference: Difference, pairs: Sequence[Pair]) -> str:
    assets = list(dict.fromkeys(pair.asset for pair in pairs))
    if difference.assets and len(pairs) > 1:
        if len(assets) == 1 and assets[0]:
            return f"{len(pairs)} files of {clean(assets[0])}"
        return (
            f"{len(pairs)} files in {count(len(assets), 'asset')}"
            if len(pairs) > len(assets)
            else f"{len(pairs)} of {len(difference.assets)} assets"
        )
    if len(pairs) == 1:
        return clean(pairs[0].new or pairs[0].name if len(difference.pairs) == 1 else pairs[0].name)
    return f"{len(pairs)} of {len(difference.pairs)} files"


def _causes(cells: Iterable[Cell]) -> list[str]:
    """Return what decides, the most frequent first: of versions the highest of each series stands for all."""
    found: Counter[str] = Counter()
    versions: set[str] = set()
    for cell in cells:
        own = {need.version for need in cell.because if need.kind == "symbol-version" and need.version}
        versions |= own
        found.update({need.version if need.version in own else need.name for need in cell.because})
    best = set(highest_versions(sorted(versions)))
    return [clean(name) for name, _ in found.most_common() if name not in versions or name in best]


def _floors(difference: Difference) -> Iterator[str]:
    """Yield the floors that went up or down, and what holds up the higher one."""
    archs = {floor.architecture for floor in difference.floors or ()}
    for floor in difference.floors or ():
        of = f" on {floor.architecture}" if len(archs) > 1 else ""
        symbols = listed([clean(name) for name in floor.symbols], _SYMBOLS_SHOWN)
        why = symbols or clean(floor.because)
        because = f" because of {why}" if why else ""
        if difference.pairs[0].paired_by != "given" and floor.file and why:
            because += f" in {clean(floor.file.rpartition('/')[2])}"
        name = FLOOR_NAMES.get(floor.kind, floor.kind)
        yield f"{name} floor{of} {floor.old or 'none'} -> {floor.new or 'none'}{because}"


# -- what differs ----------------------------------------------------------------------------


def _files(difference: Difference, changed: Sequence[Pair], *, everything: bool) -> Iterator[str]:
    """Yield the files that came, went or have another name."""
    if not changed or (changed[0].paired_by == "given" and len(difference.pairs) == 1):
        return
    kinds: dict[str, list[str]] = {"added": [], "removed": [], "renamed": []}
    for pair in changed:
        if pair.old is None:
            kinds["added"].append(clean(pair.name))
        elif pair.new is None:
            kinds["removed"].append(clean(pair.name))
        elif pair.paired_by != "path":
            below = pair.old[len(difference.old) :].lstrip("/!")
            old = clean(pair.old.rpartition("!")[2] if pair.asset else below)
            kinds["renamed"].append(f"{old} -> {clean(pair.name)}, the same by {pair.paired_by}")
    for kind, names in kinds.items():
        shown = names if everything or len(names) <= _LINES else names[:_FILES_SHOWN]
        yield from (f"{kind:7}  {name}" for name in shown)
        if len(shown) < len(names):
            yield f"{kind:7}  and {len(names) - len(shown)} more"


class _Row(NamedTuple):
    """What a change is told under: equal for one change in many files."""

    effect: Effect
    label: str


def _changes(difference: Difference, changed: Sequence[Pair], style: Style, *, everything: bool) -> Iterator[list[str]]:
    rows: dict[_Row, list[tuple[Pair, Sequence[SymbolChange]]]] = {}
    for pair in changed:
        for change, symbols in _told(pair, everything=everything):
            rows.setdefault(_Row(change.effect, _label(change)), []).append((pair, symbols))
    single = len(difference.pairs) == 1
    for effect, heading in _HEADINGS.items():
        block = [
            (row.label, _carriers(held, _WHEN.get(effect, "was"), single=single, everything=everything))
            for row, held in rows.items()
            if row.effect == effect
        ]
        if block:
            shown = block if everything or len(block) <= _ROWS else block[: _ROWS - 1]
            more = [f"and {len(block) - len(shown)} more, which -v lists"] if len(shown) < len(block) else []
            yield [style.paint(heading, "bold"), *(f"  {line}" for line in [*table(shown), *more])]


def _told(pair: Pair, *, everything: bool) -> Iterator[tuple[Change, Sequence[SymbolChange]]]:
    """Yield changes with the symbols to show: those of a new version are told with it, not once more."""
    versioned = {symbol.name for change in pair.changes if change.kind == "symbol-version" for symbol in change.symbols}
    for change in pair.changes:
        symbols: Sequence[SymbolChange] = change.symbols
        if change.kind == "import" and not everything:
            symbols = [symbol for symbol in symbols if symbol.name not in versioned and not symbol.weak]
            if not symbols:
                continue
        if change.kind == "export" and not pair.is_library and not everything:
            continue  # what linkers and the C library leave in programs
        yield change, symbols


def _label(change: Change) -> str:
    name = _NAMES.get(change.kind, change.kind.replace("-", " "))
    if change.kind == "symbol-version":
        return clean(f"{change.name} of {change.file}")
    if change.kind == "flag":
        return clean(f"{name} {change.name} {'set' if change.new else 'not set'}")
    if change.name:
        return clean(f"{name} {change.name}")
    if change.old is None and change.new is None:
        return name
    if change.old is None or change.new is None:
        return clean(f"{name} {change.new or change.old}")
    return clean(f"{name} {change.old} -> {change.new}")


def _carriers(held: Sequence[tuple[Pair, Sequence[SymbolChange]]], when: str, *, single: bool, everything: bool) -> str:
    """Return the symbols of a change, of several files each with its own; ``when`` is was or now."""
    if single:
        return _symbols(held[0][1], when, everything=everything)
    if any(pair.asset for pair, _ in held) and not everything:
        return _of_assets(held)
    told = []
    for pair, symbols in held:
        names = _symbols([replace(symbol, was=()) for symbol in symbols], when, everything=everything)
        told.append(_short(pair) + (f" ({names})" if names else ""))
    number = f"{len(told)} files: " if len(told) > _FILES_SHOWN and not everything else ""
    return number + listed(told, 0 if everything else _FILES_SHOWN)


def _of_assets(held: Sequence[tuple[Pair, Sequence[SymbolChange]]]) -> str:
    """Return in how many assets something changed, with the first of them, and the symbols that carry it in any."""
    assets = list(dict.fromkeys(pair.asset or pair.name for pair, _ in held))
    symbols = {symbol.name: replace(symbol, was=()) for _, found in held for symbol in found}
    names = _symbols(list(symbols.values()), "", everything=False)
    first = clean(assets[0]) if len(assets) == 1 else f"{len(assets)} assets, as {clean(assets[0])}"
    return first + (f" ({names})" if names else "")


def _short(pair: Pair) -> str:
    return clean(pair.name.rpartition("/")[2])


def _symbols(symbols: Sequence[SymbolChange], when: str, *, everything: bool) -> str:
    names = [_symbol(symbol, when, 0 if everything else _NAME_SHOWN) for symbol in symbols]
    if everything or len(names) <= _SYMBOLS_SHOWN:
        return listed(names)
    return f"{len(names)}: {listed(names, _SYMBOLS_SHOWN)}"


def _symbol(symbol: SymbolChange, when: str, limit: int) -> str:
    name = symbol_name(replace(symbol, version=None), limit)
    was = [clean(version) for version in symbol.was if version and version != symbol.version]
    if was:
        return f"{name} ({when} {listed(was)})"
    return f"{name} ({when} without version)" if "" in symbol.was else name


def symbol_name(symbol: SymbolChange, limit: int = _NAME_SHOWN) -> str:
    """Return ``name@VERSION``, the name cut where it has more than ``limit`` letters (0: never)."""
    name = clean(symbol.name)
    if limit and len(name) > limit:
        name = f"{name[: limit - 3]}..."
    return f"{name}@{clean(symbol.version)}" if symbol.version else name


# -- where -----------------------------------------------------------------------------------


def _targets(difference: Difference, style: Style, *, everything: bool) -> Iterator[list[str]]:
    """Yield a table of targets for each way a verdict went, and how many stayed the same."""
    shown: set[str] = set()
    for shift, heading in _SHIFTS.items():
        rows = _shifted(difference, shift, style)
        shown |= {cell.target for cell, _ in rows}
        if rows:
            lines = _target_lines(list(_ranges(rows)), style)
            yield [style.paint(f"{heading} (old -> new)", "bold"), *(f"  {line}" for line in lines)]
    same = [name for name in difference.targets if name not in shown]
    if same and any(pair.cells for pair in difference.pairs):
        yield list(_unchanged(difference, same, style, everything=everything))


def _target_lines(rows: Sequence[tuple[str, tuple[str, ...]]], style: Style) -> list[str]:
    """Return a line for each target, or where they are many, the targets of each outcome."""
    if len(rows) <= _LINES:
        return table([[name, *row] for name, row in rows])
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, row in rows:
        groups.setdefault(row, []).append(name)
    lines = []
    for row, names in groups.items():
        lines.append("  ".join(filter(None, row)))
        text = ", ".join(name.replace(" ", _UNBROKEN) for name in names)
        lines += [f"    {line}".replace(_UNBROKEN, " ") for line in wrap(text, (style.width or _WIDTH) - 6)]
    return lines


def _shifted(difference: Difference, shift: Shift, style: Style) -> list[tuple[Cell, tuple[str, ...]]]:
    """Return the first cell of each target on which a verdict went this way, and the rest of its row."""
    held: dict[str, list[Cell]] = {}
    for pair in difference.pairs:
        for cell in pair.cells:
            if cell.shift == shift:
                held.setdefault(cell.target, []).append(cell)
    rows = []
    for name in difference.targets:
        if name in held:
            cells = held[name]
            files = (count(len(cells), "file"),) if len(difference.pairs) > 1 else ()
            causes = listed(_causes(cells), _CAUSES_SHOWN)
            rows.append((cells[0], (*files, _outcomes(cells, style), causes)))
    return rows


def _outcomes(cells: Sequence[Cell], style: Style) -> str:
    """Return ``runs -> fails at version``; of several files the most frequent."""
    (old, new), _ = Counter(
        (_outcome(cell.old, style) if cell.old else "was not there", _outcome(cell.new, style)) for cell in cells
    ).most_common(1)[0]
    return f"{old} -> {new}"


def _outcome(outcome: Outcome, style: Style) -> str:
    at = f" at {outcome.stage}" if outcome.verdict == "fails" and outcome.stage else ""
    return style.verdict(outcome.verdict, f"{style.mark(outcome.verdict)} {outcome.verdict}{at}")


def _ranges(rows: Sequence[tuple[Cell, tuple[str, ...]]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield rows, neighbours of one family with the same row as one: ``debian:8 to 11``."""
    start: Cell | None = None
    last: Cell | None = None
    held: tuple[str, ...] = ()
    for cell, row in rows:
        if (
            start
            and last
            and cell.family
            and cell.family == last.family
            and cell.place == last.place + 1
            and row == held
        ):
            last = cell
            continue
        if start and last:
            yield _range(start, last), held
        start, last, held = cell, cell, row
    if start and last:
        yield _range(start, last), held


def _range(first: Cell, last: Cell) -> str:
    if first is last:
        return clean(first.target)
    prefix = first.target.rpartition(":")[0]
    end = last.target.removeprefix(f"{prefix}:") if prefix else last.target
    return clean(f"{first.target} to {end}")


def _unchanged(difference: Difference, names: Sequence[str], style: Style, *, everything: bool) -> Iterator[str]:
    cells: dict[str, list[Cell]] = {}
    for pair in difference.pairs:
        for cell in pair.cells:
            cells.setdefault(cell.target, []).append(cell)
    names = [name for name in names if name in cells]
    order = ("fails", "unknown", "risky", "runs")
    worst = {name: next(v for v in order if any(cell.new.verdict == v for cell in cells[name])) for name in names}
    numbers = Counter(worst.values())
    words = {"fails": "fail", "unknown": "unknown", "risky": "risky", "runs": "run"}
    told = ", ".join(f"{numbers[verdict]} {words[verdict]}" for verdict in order if numbers[verdict])
    chosen = f"; judged on {difference.chosen}" if difference.chosen else ""
    yield f"the same on {count(len(names), 'target')} ({told}){chosen}"
    if everything:
        rows = [(cells[name][0], (_outcomes(cells[name], style),)) for name in names]
        yield from (f"  {line}" for line in _target_lines(list(_ranges(rows)), style))
