"""Relocations: which kinds a file uses, and which symbols they refer to.

``r_info`` is split as each psABI says; MIPS64 little-endian has a layout of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.dynamic import Dynamic
from runworthy.formats.elf.layout import (
    DT_JMPREL,
    DT_PLTREL,
    DT_PLTRELSZ,
    DT_REL,
    DT_RELA,
    DT_RELASZ,
    DT_RELSZ,
    Layout,
)
from runworthy.formats.elf.symbols import words
from runworthy.model.elf import Relocations

__all__ = ["RelocationTables"]

EM_MIPS = 8
# IRELATIVE and COPY by e_machine: x86-64, i386, AArch64, ARM, PowerPC64, s390, RISC-V, LoongArch.
IRELATIVE = {62: 37, 3: 42, 183: 1032, 40: 160, 21: 248, 22: 61, 243: 58, 258: 12}
COPY = {62: 5, 3: 5, 183: 1024, 40: 20, 21: 19, 22: 9, 243: 4, 258: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    offset: int
    size: int
    addend: bool
    plt: bool


class RelocationTables:
    """The REL, RELA and PLT relocation tables of one file (RELR holds no symbols and one kind only)."""

    def __init__(self, content: Content, dynamic: Dynamic, layout: Layout, machine: int) -> None:
        self._content = content
        self._layout = layout
        self._machine = machine
        self._tables = tuple(_tables(dynamic))

    def summary(self) -> Relocations:
        """Return which kinds are in use. Raises FormatError."""
        kinds: set[int] = set()
        count = 0
        for table in self._tables:
            used, symbols = self._columns(table)
            kinds |= used
            count += len(symbols)
        return Relocations(
            kinds=frozenset(kinds),
            count=count,
            irelative=IRELATIVE.get(self._machine, -1) in kinds,
            copy=COPY.get(self._machine, -1) in kinds,
        )

    def symbols(self) -> tuple[set[int], set[int]]:
        """Return the symbol indexes used by (ordinary, PLT) relocations. Raises FormatError."""
        eager: set[int] = set()
        plt: set[int] = set()
        for table in self._tables:
            (plt if table.plt else eager).update(self._columns(table)[1])
        return eager, plt

    def _columns(self, table: _Table) -> tuple[set[int], list[int]]:
        """Return (kinds, symbol index of every relocation)."""
        wide = self._layout.bits == 64
        width = (3 if table.addend else 2) * (2 if wide else 1)
        data = read_exactly(self._content, table.offset, table.size, "relocation table")
        cells = words(data[: table.size - table.size % (4 * width)], self._layout)
        if not wide:
            info = cells[1::width]
            return {value & 0xFF for value in info}, [value >> 8 for value in info]
        low, high = (2, 3) if self._layout.endian == "little" else (3, 2)
        if self._machine == EM_MIPS:
            # r_sym is the first word in file order; the types are three bytes of the second.
            shift = 24 if self._layout.endian == "little" else 0
            return {(value >> shift) & 0xFF for value in cells[3::width]}, list(cells[2::width])
        return set(cells[low::width]), list(cells[high::width])


def _tables(dynamic: Dynamic) -> Iterator[_Table]:
    """Yield the tables; as in elf/dynamic-link.h a PLT table at the end of the other is counted once."""
    tags = dynamic.tags
    plt_size = tags.get(DT_PLTRELSZ, 0)
    plt_start = tags.get(DT_JMPREL, 0)
    for start, size, addend in ((DT_RELA, DT_RELASZ, True), (DT_REL, DT_RELSZ, False)):
        if tags.get(start) and tags.get(size):
            length = tags[size]
            same_kind = tags.get(DT_PLTREL, DT_RELA) == start
            if same_kind and plt_size and tags[start] <= plt_start < tags[start] + length:
                length = plt_start - tags[start]
            if length:
                offset = dynamic.addresses.offset(tags[start], "relocation table")
                yield _Table(offset=offset, size=length, addend=addend, plt=False)
    if plt_start and plt_size:
        offset = dynamic.addresses.offset(plt_start, "PLT relocations")
        yield _Table(offset=offset, size=plt_size, addend=tags.get(DT_PLTREL, DT_RELA) == DT_RELA, plt=True)
