"""Two targets compared, as text and as data in the layout of ``schema/runworthy.target-diff-1.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from runworthy import __version__
from runworthy.model.difference import SymbolChange
from runworthy.model.target_difference import LibraryDifference, LibrarySide, TargetDifference
from runworthy.report.diff import symbol_name
from runworthy.report.words import PLAIN, Style, clean, count, encodable, listed, table

__all__ = ["SCHEMA", "target_diff_json", "target_diff_text"]

SCHEMA = "runworthy.target-diff/1"

Data = dict[str, object]

_NAMES_SHOWN = 12
_NODES_SHOWN = 4
_SYMBOLS_SHOWN = 4
_LIBC = "libc.so.6"


def target_diff_text(difference: TargetDifference, style: Style = PLAIN, *, level: int = 0) -> str:
    """Return the whole report. ``level`` is -1 for the numbers alone, 0 usual, 1 every name."""
    everything = level > 0
    blocks = [list(_facts(difference, style, everything=everything)), list(_numbers(difference))]
    if level >= 0:
        both = [row for row in difference.libraries if row.old and row.new and (row.differs or row.problem)]
        blocks.append(list(_lacking(difference, everything=everything)))
        blocks.append(list(_libraries(both, style, everything=everything)))
        blocks.append(list(_symbols(both, style, everything=everything)))
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


def _facts(difference: TargetDifference, style: Style, *, everything: bool) -> Iterator[str]:
    yield style.paint(f"{clean(difference.old)} -> {clean(difference.new)}", "bold")
    rows = [(fact.name, f"{_word(fact.old)} -> {_word(fact.new)}") for fact in difference.facts if not fact.same]
    same = [fact for fact in difference.facts if fact.same]
    if everything:
        rows += [(fact.name, f"{_word(fact.old)} (the same)") for fact in same]
    yield from (f"  {line}" for line in table(rows))
    if same and not everything:
        yield f"  the same: {listed([fact.name for fact in same])}"


def _word(text: str | None) -> str:
    return "none" if text is None else clean(text)


def _numbers(difference: TargetDifference) -> Iterator[str]:
    rows = difference.libraries
    both = sum(row.differs for row in rows if row.old and row.new)
    parts = [f"{both} of {count(both + difference.same, 'library', 'libraries')} that both have differ"]
    for name, alone in (
        (difference.old, [row for row in rows if row.new is None and row.known]),
        (difference.new, [row for row in rows if row.old is None and row.known]),
    ):
        if alone:
            parts.append(f"{len(alone)} only in {clean(name)}")
    for name, open_ in (
        (difference.new, [row for row in rows if row.new is None and not row.known]),
        (difference.old, [row for row in rows if row.old is None and not row.known]),
    ):
        if open_:
            parts.append(f"of {len(open_)} it is not known whether {clean(name)} has them")
    yield "; ".join(parts)
    code = difference.exit_code()
    if code != 1:
        yield "they are equal" if code == 0 else "nothing that is known of both differs"


def _lacking(difference: TargetDifference, *, everything: bool) -> Iterator[str]:
    old, new = clean(difference.old), clean(difference.new)
    rows = difference.libraries
    groups = (
        (f"only in {old}", [row for row in rows if row.new is None and row.known]),
        (f"only in {new}", [row for row in rows if row.old is None and row.known]),
        (f"in {old}, not known of {new}", [row for row in rows if row.new is None and not row.known]),
        (f"in {new}, not known of {old}", [row for row in rows if row.old is None and not row.known]),
    )
    lines = [
        (words, listed([clean(row.name) for row in held], 0 if everything else _NAMES_SHOWN))
        for words, held in groups
        if held
    ]
    yield from table(lines)


def _libraries(rows: Sequence[LibraryDifference], style: Style, *, everything: bool) -> Iterator[str]:
    """Yield a line for each library in which the targets differ."""
    if rows:
        yield style.paint("libraries of both", "bold")
        yield from (f"  {line}" for line in table(_library(row, everything=everything) for row in rows))


def _library(row: LibraryDifference, *, everything: bool) -> tuple[str, str, str]:
    limit = 0 if everything else _NODES_SHOWN
    nodes = [
        f"{words} {listed([clean(node) for node in held], limit)}"
        for words, held in (("loses", row.versions_removed), ("gains", row.versions_added))
        if held
    ]
    numbers = [
        f"{len(held)} {words}"
        for words, held in (("removed", row.removed), (f"moved to {_LIBC}", row.moved), ("added", row.added))
        if held
    ]
    symbols = f"symbols: {', '.join(numbers)}" if numbers else ""
    if row.old and row.new and row.old.symbols is not None and symbols:
        symbols += f" ({row.old.symbols} -> {row.new.symbols})"
    other = [*_paths(row), *([f"cannot be read: {clean(row.problem)}"] if row.problem else [])]
    return clean(row.name), symbols, "; ".join([*nodes, *other])


def _paths(row: LibraryDifference) -> Iterator[str]:
    if row.old is None or row.new is None:
        return
    if row.old.path != row.new.path:
        yield f"{clean(row.old.path)} -> {clean(row.new.path)}"
    if row.old.isa != row.new.isa:
        yield f"needs {row.old.isa or 'any CPU'} -> {row.new.isa or 'any CPU'}"


def _symbols(rows: Sequence[LibraryDifference], style: Style, *, everything: bool) -> Iterator[str]:
    """Yield what programs miss that were linked with the old target's libraries; with everything what is new too."""
    groups: list[tuple[str, list[tuple[str, tuple[SymbolChange, ...]]]]] = [
        ("symbols removed", [(row.name, row.removed) for row in rows if row.removed])
    ]
    if everything:
        groups += [
            (f"symbols moved to {_LIBC}", [(row.name, row.moved) for row in rows if row.moved]),
            ("symbols added", [(row.name, row.added) for row in rows if row.added]),
        ]
    for heading, held in groups:
        if held:
            yield style.paint(heading, "bold")
            lines = table((clean(name), _names(symbols, everything=everything)) for name, symbols in held)
            yield from (f"  {line}" for line in lines)


def _names(symbols: Sequence[SymbolChange], *, everything: bool) -> str:
    if everything:
        return listed([symbol_name(symbol, 0) for symbol in symbols])
    return listed([symbol_name(symbol) for symbol in symbols], _SYMBOLS_SHOWN)


# -- data ------------------------------------------------------------------------------------


def target_diff_json(difference: TargetDifference) -> str:
    """Return the document as JSON text, the same bytes for the same difference."""
    data: Data = {
        "schema": SCHEMA,
        "runworthy": __version__,
        "old": encodable(difference.old),
        "new": encodable(difference.new),
        "facts": [
            {
                "name": fact.name,
                "old": _text(fact.old),
                "new": _text(fact.new),
                "same": fact.same,
                "counts": fact.counts,
            }
            for fact in difference.facts
        ],
        "libraries": [_library_data(row) for row in difference.libraries],
        "same_libraries": difference.same,
        "complete": difference.complete,
    }
    return json.dumps(data, indent=2, ensure_ascii=True) + "\n"


def _text(text: str | None) -> str | None:
    return None if text is None else encodable(text)


def _library_data(row: LibraryDifference) -> Data:
    return {
        "name": encodable(row.name),
        "old": _side(row.old),
        "new": _side(row.new),
        "known": row.known,
        "versions": {
            "removed": [encodable(node) for node in row.versions_removed],
            "added": [encodable(node) for node in row.versions_added],
        },
        "symbols": {
            "removed": _symbol_data(row.removed),
            "moved": _symbol_data(row.moved),
            "added": _symbol_data(row.added),
        },
        "problem": encodable(row.problem) or None,
    }


def _side(side: LibrarySide | None) -> Data | None:
    if side is None:
        return None
    return {"path": encodable(side.path), "soname": _text(side.soname), "symbols": side.symbols, "isa": side.isa}


def _symbol_data(symbols: Sequence[SymbolChange]) -> list[Data]:
    return [{"name": encodable(symbol.name), "version": _text(symbol.version)} for symbol in symbols]
