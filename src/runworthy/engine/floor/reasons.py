"""Hindrances put into reasons: what a file asks for, and the symbols that carry it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from runworthy.engine.floor.jury import Hindrance
from runworthy.model.elf import ElfFile
from runworthy.model.floor import Reason

__all__ = ["Names", "carriers", "reasons"]


class Names(NamedTuple):
    """How objects of a root are read and called. ``versioned``: the loader looks at versions (musl's does not)."""

    elf: Callable[[str], ElfFile]
    shown: Callable[[str], str]
    versioned: bool = True


def reasons(hindrances: Iterable[Hindrance], names: Names) -> tuple[Reason, ...]:
    """Return one reason for each thing that each file asks for, by file."""
    held = frozenset(hindrances)
    versions = {(one.by, one.file, one.version) for one in held if one.kind == "symbol-version"}
    missing: dict[tuple[str, str, str], list[Hindrance]] = {}
    found = []
    for one in held:
        if one.kind == "symbol-version":
            found.append(_of_version(one, names))
        elif one.kind != "symbol":
            found.append(Reason(file=names.shown(one.by), need=_words(one)))
        elif not names.versioned:
            missing.setdefault((one.by, "", ""), []).append(one)
        elif (one.by, one.file, one.version) not in versions:
            missing.setdefault((one.by, one.file, one.version), []).append(one)
    for (by, file, version), symbols in missing.items():
        found.append(
            Reason(
                file=names.shown(by),
                need=version,
                library=file,
                symbols=tuple(sorted(one.name for one in symbols)),
                lazy=all(one.lazy for one in symbols),
            )
        )
    return tuple(sorted(found, key=lambda reason: (reason.file, reason.library, reason.need, reason.symbols)))


def _of_version(one: Hindrance, names: Names) -> Reason:
    symbols, weak = carriers(names.elf(one.by), one.file, one.version)
    return Reason(file=names.shown(one.by), need=one.version, library=one.file, symbols=symbols, weak=weak)


def carriers(elf: ElfFile, file: str, version: str) -> tuple[tuple[str, ...], bool]:
    """Return the imports that carry a version of a library, and whether all of them are weak."""
    strong: frozenset[bytes] = frozenset()
    weak: frozenset[bytes] = frozenset()
    for group in elf.imports():
        if (group.file, group.version) == (file, version):
            strong |= group.strong
            weak |= group.weak
    names = tuple(name.decode("utf-8", "backslashreplace") for name in sorted(strong | weak))
    return names, bool(weak) and not strong


_WORDS: Mapping[str, str] = {
    "library": "{name}",
    "interpreter": "{name}",
    "loader": "{detail}",
    "segments": "{name}: {detail}",
    "relocation": "{name}",
    "exec-stack": "executable stack",
}


def _words(one: Hindrance) -> str:
    """Return what is needed, in words; what has none of its own is told by the loader's."""
    return _WORDS.get(one.kind, "{kind} {name}: {detail}").format(**one._asdict()).rstrip(": ")
