"""Two releases compared: a line for each asset that differs, then what came, what went, and what stayed as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runworthy.model.difference import AssetPair, Cell, Difference, FloorChange, Pair
from runworthy.report.facts import highest_versions
from runworthy.report.words import PLAIN, Style, clean, count, listed, table

__all__ = ["FLOOR_NAMES", "asset_lines"]

FLOOR_NAMES: Mapping[str, str] = {"libgcc": "libgcc_s", "cpu": "CPU"}
_NAMED = 3
_ROWS = 12


def asset_lines(difference: Difference, style: Style = PLAIN, *, everything: bool = False) -> Iterator[str]:
    """Yield what each asset newly demands; assets of which nothing is to be told are counted."""
    pairs: dict[str, list[Pair]] = {asset.name: [] for asset in difference.assets}
    for pair in difference.pairs:
        pairs.setdefault(pair.asset, []).append(pair)
    floors: dict[str, list[FloorChange]] = {}
    for floor in difference.floors or ():
        floors.setdefault(floor.asset, []).append(floor)
    both = [asset for asset in difference.assets if asset.old is not None and asset.new is not None]
    changed = [asset for asset in both if any(pair.differs for pair in pairs[asset.name])]
    limit = 0 if everything else _NAMED
    rows = [
        (
            clean(asset.name),
            _verdicts(pairs[asset.name], style),
            _floors(floors.get(asset.name, ())),
            listed(_needs(pairs[asset.name]), limit),
        )
        for asset in changed
    ]
    yield from table(_without_empty(rows if everything else _grouped(rows)))
    yield from _renamed(both, everything=everything)
    yield from _came_and_went(difference, floors)
    yield from _rest(both, changed, everything=everything)


def _grouped(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the rows, where they are many those that tell the same as one."""
    if len(rows) <= _ROWS:
        return list(rows)
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, *told in rows:
        groups.setdefault(tuple(told), []).append(name)
    return [
        (names[0] if len(names) == 1 else f"{len(names)} assets, as {names[0]}", *told)
        for told, names in groups.items()
    ]


def _without_empty(rows: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """Return the rows without columns in which nothing stands."""
    return [[cell for at, cell in enumerate(row) if any(other[at] for other in rows)] for row in rows]


# -- the columns -----------------------------------------------------------------------------


def _verdicts(pairs: Sequence[Pair], style: Style) -> str:
    """Return on how many targets the verdicts went which way."""
    cells = [cell for pair in pairs for cell in pair.cells]
    told = []
    if any(pair.problem for pair in pairs):
        told.append(style.verdict("unknown", f"{style.mark('unknown')} cannot be compared"))
    for verdict, words, found in (
        ("fails", "fails on {} more", _targets(cells, "worse", "fails")),
        ("risky", "risky on {} more", _targets(cells, "worse", "risky")),
        ("unknown", "not known of {} more", _targets(cells, "unclear")),
        ("runs", "better on {}", _targets(cells, "better")),
    ):
        if found:
            told.append(style.verdict(verdict, f"{style.mark(verdict)} {words.format(found)}"))
    return ", ".join(told) or style.verdict("runs", f"{style.mark('runs')} as before")


def _targets(cells: Sequence[Cell], shift: str, verdict: str = "") -> int:
    return len({cell.target for cell in cells if cell.shift == shift and verdict in ("", cell.new.verdict)})


def _floors(floors: Sequence[FloorChange]) -> str:
    return ", ".join(f"{_floor_name(floor, floors)} {floor.old or 'none'} -> {floor.new or 'none'}" for floor in floors)


def _floor_name(floor: FloorChange, floors: Sequence[FloorChange]) -> str:
    name = FLOOR_NAMES.get(floor.kind, floor.kind)
    several = len({one.architecture for one in floors}) > 1
    return f"{name} on {floor.architecture}" if several else name


def _needs(pairs: Sequence[Pair]) -> list[str]:
    """Return the libraries that an asset newly needs, and the highest of the versions of each series."""
    more = [change for pair in pairs for change in pair.changes if change.effect == "needs-more"]
    libraries = dict.fromkeys(change.new or change.name for change in more if change.kind == "library")
    versions = dict.fromkeys(change.name for change in more if change.kind == "symbol-version")
    symbols = {
        symbol.name for change in more if change.kind == "import" for symbol in change.symbols if not symbol.weak
    }
    found = [*map(clean, libraries), *map(clean, highest_versions(list(versions)))]
    return found or ([f"{count(len(symbols), 'symbol')} more"] if symbols else [])


# -- what came, went and stayed --------------------------------------------------------------


def _renamed(both: Sequence[AssetPair], *, everything: bool) -> Iterator[str]:
    found = [asset for asset in both if asset.paired_by == "platform" and asset.old is not None]
    shown = found if everything or len(found) <= _ROWS else found[:_NAMED]
    for asset in shown:
        old = (asset.old or "").rpartition("/")[2]
        yield f"renamed  {clean(old)} -> {clean(asset.name)}, the same by program and platform"
    if len(shown) < len(found):
        yield f"renamed  and {len(found) - len(shown)} more, which -v lists"


def _came_and_went(difference: Difference, floors: Mapping[str, Sequence[FloorChange]]) -> Iterator[str]:
    for asset in difference.assets:
        if asset.old is None:
            asks = [f"{_floor_name(one, floors[asset.name])} {one.new}" for one in floors.get(asset.name, ())]
            nothing = "asks for nothing" if asset.files else "no program for Linux"
            what = f": {', '.join(asks) or nothing}" if difference.floors is not None else ""
            yield f"added    {clean(asset.name)}{what}"
    yield from (f"removed  {clean(asset.name)}" for asset in difference.assets if asset.new is None)


def _rest(both: Sequence[AssetPair], changed: Sequence[AssetPair], *, everything: bool) -> Iterator[str]:
    names = {asset.name for asset in changed}
    same = [clean(asset.name) for asset in both if asset.name not in names and asset.files]
    empty = [clean(asset.name) for asset in both if not asset.files]
    limit = 0 if everything else _NAMED
    if same:
        yield f"nothing differs in {count(len(same), 'asset')}: {listed(same, limit)}"
    if empty:
        yield f"no program for Linux in {count(len(empty), 'asset')}: {listed(empty, limit)}"
