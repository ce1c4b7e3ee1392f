"""Libraries that a distribution's packages bring, as far as their exports are known by heart.

They are in ``known.exports``, which scripts/build_known_packages.py makes, or in the catalogue. What cannot be told for
certain to be in a library is left out of it: a library of which it is known what it has at least proves no less.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from runworthy.model.arch import Architecture, architecture
from runworthy.model.elf import ET_DYN, ElfFile, Exports, SymbolRow
from runworthy.model.errors import FormatError, TargetError
from runworthy.model.records import dataclass
from runworthy.targets.catalogue.record import Record, ToldElf
from runworthy.targets.view import failure

__all__ = ["KnownLibrary", "known_library", "recorded"]

_DATA: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "known.exports")
_LIMIT: Final = 8 << 20
_STT_FUNC: Final = 2
_HIDDEN: Final = 0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLibrary:
    """What is known of a library: ``needed`` are the libraries it names; ``least``, that it may export more.

    ``path`` is where its system has it, empty where that is where its packages put such a library.
    """

    soname: str
    needed: tuple[str, ...]
    least: bool
    path: str = ""


def recorded(library: str, arch: str, system: str) -> ElfFile:
    """Return the library of a system. Raises OSError (ENODATA) where its exports are not known."""
    known = architecture(arch)
    if known is not None:
        number = _sets().find(library, known.name, system)
        if number is not None:
            return _KnownElf(library, known, number)
        found = _in_catalogue(library, known, system)
        if found is not None:
            return found[1]
    raise failure(errno.ENODATA, library)


def known_library(library: str, arch: Architecture, system: str) -> KnownLibrary | None:
    """Return what is known of a library of a system, None where its exports are not."""
    sets = _sets()
    number = sets.find(library, arch.name, system)
    if number is not None:
        held = sets.rows[number]
        return KnownLibrary(soname=library, needed=held.needed, least=held.least)
    found = _in_catalogue(library, arch, system)
    if found is None:
        return None
    return KnownLibrary(soname=library, needed=found[1].facts.needed, least=False, path=found[0])


# -- what is recorded beside this module -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    """One library's line: which it is, whose it is, and what it needs."""

    soname: str
    arch: str
    least: bool
    systems: tuple[str, ...]
    needed: tuple[str, ...]


class _Sets:
    """The file: a date, a line for each set, and then groups of rows below the mask of the sets that hold them."""

    def __init__(self, text: str) -> None:
        head, *self._groups = text.split("\n\n")
        self.as_of, *lines = head.split("\n")
        self.rows = tuple(_set_of(line) for line in lines)

    def find(self, library: str, arch: str, system: str) -> int | None:
        """Return the number of a system's library."""
        for number, row in enumerate(self.rows):
            if row.soname == library and row.arch == arch and system in row.systems:
                return number
        return None

    def exports(self, number: int) -> Iterator[tuple[str, str, bool]]:
        """Yield (name, version node or nothing, whether it is hidden) of all that a set holds."""
        for group in self._groups:
            mask, *rows = group.split("\n")
            if int(mask, 16) >> number & 1:
                for row in rows:
                    name, at, node = row.partition("@")
                    yield name, node.removeprefix("@"), bool(at) and node[:1] != "@"


def _set_of(line: str) -> _Set:
    soname, arch, how, systems, needed = line.split("\t")
    return _Set(
        soname=soname,
        arch=arch,
        least=how == "least",
        systems=tuple(systems.split(",")),
        needed=tuple(needed.split(",")) if needed else (),
    )


@cache
def _sets() -> _Sets:
    with open(_DATA, "rb") as stream:
        data = stream.read(_LIMIT)
    try:
        text = zlib.decompressobj(-15).decompress(data, _LIMIT).decode("utf-8", "surrogateescape")
    except zlib.error as error:
        raise FormatError(f"is damaged: {error}", path=_DATA) from None
    return _Sets(text)


class _KnownElf(ToldElf):
    """A library whose exports stand in the file beside this module."""

    def __init__(self, library: str, arch: Architecture, number: int) -> None:
        held = _sets().rows[number]
        rows = list(_sets().exports(number))
        nodes = {node: index for index, node in enumerate(sorted({node for _, node, _ in rows if node}), start=2)}
        record = Record(
            type=ET_DYN,
            align=max(arch.page_sizes),
            dt_flags_1=0,
            dynamic=True,
            interpreter=None,
            soname=library,
            rpath=None,
            runpath=None,
            needed=held.needed,
            version_needs=(),
            defs=tuple((node, -1) for node in nodes),
            plain=-1,
            turned=-1,
        )
        super().__init__(record, arch, -1)
        symbols = [_symbol(name, nodes.get(node, 1) | _HIDDEN * hidden) for name, node, hidden in rows]
        versions: Mapping[int, str] = {index: node for node, index in nodes.items()}
        self._exports = Exports(symbols, versions, versioned=bool(nodes))

    def exports(self) -> Exports:
        """Return what it is known to export."""
        return self._exports


def _symbol(name: str, index: int) -> SymbolRow:
    return name.encode("utf-8", "surrogateescape"), index, _STT_FUNC


# -- the catalogue ---------------------------------------------------------------------------------


def _in_catalogue(library: str, arch: Architecture, system: str) -> tuple[str, ElfFile] | None:
    """Return the real path and the facts of a system's library in the catalogue."""
    from runworthy.targets.catalogue import open_catalogue

    try:
        target = open_catalogue().find(system, arch)
    except TargetError:
        return None
    for directory in target.loader_directories:
        path = f"{directory}/{library}"
        if target.view.exists(path):
            real = target.view.resolve(path).path
            return path, target.view.elf(real)
    return None
