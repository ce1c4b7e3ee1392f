"""Relocations: which kinds a file uses, and which symbols they refer to.

``r_info`` is split as each psABI says; 64-bit MIPS and SPARC have layouts of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.dynamic import Dynamic
from runworthy.formats.elf.layout import (
    DT_JMPREL,
    DT_MIPS_GOTSYM,
    DT_PLTREL,
    DT_PLTRELSZ,
    DT_REL,
    DT_RELA,
    DT_RELACOUNT,
    DT_RELASZ,
    DT_RELCOUNT,
    DT_RELSZ,
    EM_AARCH64,
    EM_MIPS,
    EM_RISCV,
    EM_SPARCV9,
    STO_MIPS_PLT,
    STO_VARIANT_CC,
    STT_FUNC,
    Layout,
)
from runworthy.formats.elf.sections import read_relocation_sections
from runworthy.formats.elf.symbols import Column, Named
from runworthy.model.elf import Binding, ElfHeader, Relocations
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass

__all__ = ["RelocationTables"]

_TABLE_LIMIT = 256 << 20
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Numbers that one psABI gives to the kinds with a meaning of their own; -1 where it has none.

    ``irelative`` has JMP_IREL too, which calls an indirect function through the PLT.
    """

    copy: int
    jump_slot: int
    relative: int
    irelative: tuple[int, ...] = ()


_NO_KINDS = _Kinds(copy=-1, jump_slot=-1, relative=-1)
_SPARC = _Kinds(copy=19, jump_slot=21, relative=22, irelative=(249, 248))
_POWERPC = _Kinds(copy=19, jump_slot=21, relative=22, irelative=(248, 247))

# By e_machine: glibc elf/elf.h, R_*_COPY and its neighbours.
_KINDS = {
    2: _SPARC,
    3: _Kinds(copy=5, jump_slot=7, relative=8, irelative=(42,)),
    4: _Kinds(copy=19, jump_slot=21, relative=22),
    EM_MIPS: _Kinds(copy=126, jump_slot=127, relative=-1),
    15: _Kinds(copy=128, jump_slot=-1, relative=-1),
    18: _SPARC,
    20: _POWERPC,
    21: _POWERPC,
    22: _Kinds(copy=9, jump_slot=11, relative=12, irelative=(61,)),
    40: _Kinds(copy=20, jump_slot=22, relative=23, irelative=(160,)),
    42: _Kinds(copy=162, jump_slot=164, relative=165),
    EM_SPARCV9: _SPARC,
    62: _Kinds(copy=5, jump_slot=7, relative=8, irelative=(37,)),
    92: _Kinds(copy=18, jump_slot=20, relative=21),
    113: _Kinds(copy=36, jump_slot=38, relative=39),
    EM_AARCH64: _Kinds(copy=1024, jump_slot=1026, relative=1027, irelative=(1032,)),
    189: _Kinds(copy=21, jump_slot=17, relative=16),
    195: _Kinds(copy=0x35, jump_slot=0x37, relative=0x38),
    EM_RISCV: _Kinds(copy=4, jump_slot=5, relative=3, irelative=(58,)),
    252: _Kinds(copy=10, jump_slot=12, relative=9),
    258: _Kinds(copy=4, jump_slot=5, relative=3, irelative=(12,)),
    0x9026: _Kinds(copy=24, jump_slot=26, relative=27),
}
_AARCH64_ILP32 = _Kinds(copy=180, jump_slot=182, relative=183, irelative=(188,))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """``relative`` rows at the start are of the RELATIVE kind, as DT_RELACOUNT promises and ld.so believes."""

    offset: int
    size: int
    addend: bool
    plt: bool = False
    relative: int = 0


class RelocationTables:
    """The REL, RELA and PLT relocation tables of one file (RELR holds no symbols and one kind only).

    A static program has no dynamic section; section headers, if there are any, tell of its own (IRELATIVE).
    """

    def __init__(self, content: Content, header: ElfHeader, dynamic: Dynamic | None, layout: Layout) -> None:
        self._content = content
        self._layout = layout
        self._machine = machine = header.machine
        self._got = dynamic.tags.get(DT_MIPS_GOTSYM) if dynamic and machine == EM_MIPS else None
        if dynamic:
            self._tables = tuple(_tables(dynamic))
        else:
            places = read_relocation_sections(content, header, layout)
            self._tables = tuple([_Table(offset=at, size=size, addend=addend) for at, size, addend in places])
        short = machine == EM_AARCH64 and layout.bits == 32
        self._kinds = _AARCH64_ILP32 if short else _KINDS.get(machine, _NO_KINDS)

    def summary(self) -> Relocations:
        """Return which kinds are in use. Raises FormatError, OSError."""
        used: set[int] = set()
        count = 0
        for table in self._tables:
            skipped = self._skipped(table)
            if skipped:
                used.add(self._kinds.relative)
                count += skipped
            for kinds, _ in self._blocks(table, skipped):
                used.update(kinds)
                count += len(kinds)
        return Relocations(
            kinds=frozenset(used),
            count=count,
            irelative=not used.isdisjoint(self._kinds.irelative),
            copy=self._kinds.copy in used,
        )

    def copied(self) -> set[int]:
        """Return the symbols of COPY relocations. Raises FormatError, OSError."""
        copy = self._kinds.copy
        return {
            symbol
            for table in self._tables
            for kinds, symbols in self._blocks(table, self._skipped(table))
            if copy in kinds
            for kind, symbol in zip(kinds, symbols, strict=True)
            if kind == copy
        }

    def bindings(self, undefined: dict[int, Named], names: Collection[bytes], *, now: bool) -> dict[bytes, Binding]:
        """Return how each of ``names`` is bound; ``now``: nothing is lazy here. Raises FormatError, OSError."""
        found = dict.fromkeys(names, Binding.UNUSED)
        wanted = {row: symbol for row, symbol in undefined.items() if symbol.name in found}
        eager, lazy = self._used(wanted)
        for row, symbol in wanted.items():
            if row in eager or (row in lazy and now):
                found[symbol.name] = Binding.NOW
            elif row in lazy and found[symbol.name] is Binding.UNUSED:
                found[symbol.name] = Binding.LAZY
        return found

    def _used(self, wanted: dict[int, Named]) -> tuple[set[int], set[int]]:
        """Return the rows that (ordinary relocations, calls through the PLT) refer to."""
        eager: set[int] = set()
        lazy: set[int] = set()
        for table in self._tables:
            for kinds, symbols in self._blocks(table, self._skipped(table)):
                if not table.plt:
                    eager.update(wanted.keys() & symbols)
                    continue
                for kind, row in zip(kinds, symbols, strict=True):
                    if row in wanted:
                        (lazy if self._is_lazy(kind, wanted[row]) else eager).add(row)
        if self._got is not None:
            for row, undefined in wanted.items():
                if row >= self._got:
                    (lazy if _has_mips_stub(undefined) else eager).add(row)
        return eager, lazy

    def _is_lazy(self, kind: int, symbol: Named) -> bool:
        """Whether a PLT relocation waits for the first call (each port's elf_machine_lazy_rel)."""
        if self._machine in (EM_AARCH64, EM_RISCV) and symbol.other & STO_VARIANT_CC:
            return False
        return self._kinds.jump_slot in (kind, -1)

    def _skipped(self, table: _Table) -> int:
        return min(table.relative, table.size // self._row(table)) if self._kinds.relative >= 0 else 0

    def _row(self, table: _Table) -> int:
        return (3 if table.addend else 2) * (self._layout.bits // 8)

    def _blocks(self, table: _Table, skipped: int) -> Iterator[tuple[Column, Column]]:
        """Yield columns (kinds, symbols) of a table, past its first ``skipped`` rows."""
        row = self._row(table)
        if table.size > _TABLE_LIMIT:
            raise FormatError(f"relocation table claims {table.size} bytes", offset=table.offset)
        end = table.size - table.size % row
        step = _BLOCK - _BLOCK % row
        for start in range(skipped * row, end, step):
            data = read_exactly(self._content, table.offset + start, min(step, end - start), "relocation table")
            yield self._columns(data, row)

    def _columns(self, data: bytes, row: int) -> tuple[Column, Column]:
        numbers = self._layout.column(data)
        if self._layout.bits == 32:
            info = numbers[1 :: row // 4]
            return [value & 0xFF for value in info], [value >> 8 for value in info]
        first, second = numbers[2 :: row // 4], numbers[3 :: row // 4]
        little = self._layout.endian == "little"
        if self._machine == EM_MIPS:  # r_sym, then one byte each of r_ssym, r_type3, r_type2, r_type
            shift = 24 if little else 0
            return [(value >> shift) & 0xFF for value in second], first
        kinds, symbols = (first, second) if little else (second, first)
        if self._machine == EM_SPARCV9:  # the upper three bytes of the type are data
            return [value & 0xFF for value in kinds], symbols
        return kinds, symbols


def _has_mips_stub(symbol: Named) -> bool:
    """Whether the global offset table holds a lazy stub (sysdeps/mips/dl-machine.h, elf_machine_got_rel)."""
    return symbol.info & 15 == STT_FUNC and bool(symbol.value) and not symbol.other & STO_MIPS_PLT


def _tables(dynamic: Dynamic) -> Iterator[_Table]:
    """Yield the tables; as in elf/dynamic-link.h a PLT table at the end of the other is counted once."""
    tags = dynamic.tags
    plt_start, plt_size = tags.get(DT_JMPREL, 0), tags.get(DT_PLTRELSZ, 0)
    plt_kind = tags.get(DT_PLTREL, DT_RELA)
    for kind, size_tag, count_tag in ((DT_RELA, DT_RELASZ, DT_RELACOUNT), (DT_REL, DT_RELSZ, DT_RELCOUNT)):
        start, size = tags.get(kind, 0), tags.get(size_tag, 0)
        if plt_kind == kind and start + size == plt_start + plt_size:
            size -= plt_size
        if start and size:
            relative = tags.get(count_tag, 0)
            offset = dynamic.addresses.offset(start, "relocation table")
            yield _Table(offset=offset, size=size, addend=kind == DT_RELA, relative=relative)
    if plt_start and plt_size:
        offset = dynamic.addresses.offset(plt_start, "PLT relocations")
        yield _Table(offset=offset, size=plt_size, addend=plt_kind == DT_RELA, plt=True)
