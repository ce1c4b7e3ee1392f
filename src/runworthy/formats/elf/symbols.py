"""Dynamic symbols: imports and exports, each read only when asked for.

A lookup by hash table returns none but the rows that the table holds, so those are the exports. Undefined
symbols mostly stand before the first hashed row; but GNU ld hashes the undefined functions whose address
a program takes (``_bfd_x86_elf_hash_symbol``), so imports are looked for in every row.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import compress, repeat
from operator import not_

from runworthy.formats.content import READ_LIMIT, Content, Window, read_exactly
from runworthy.formats.elf.dynamic import Dynamic
from runworthy.formats.elf.layout import (
    DT_GNU_HASH,
    DT_HASH,
    DT_JMPREL,
    DT_MIPS_SYMTABNO,
    DT_REL,
    DT_RELA,
    DT_RELR,
    DT_STRTAB,
    DT_SYMTAB,
    DT_VERDEF,
    DT_VERNEED,
    DT_VERSYM,
    EM_ALPHA,
    EM_MIPS,
    EM_S390,
    SHN_ABS,
    SPARC,
    STB_GLOBAL,
    STB_GNU_UNIQUE,
    STB_WEAK,
    STT_SPARC_REGISTER,
    STT_TLS,
    STV_HIDDEN,
    STV_INTERNAL,
    VERSYM_INDEX,
    Layout,
)
from runworthy.formats.elf.versions import VersionTables
from runworthy.model.elf import ElfHeader, Exports, ImportGroup
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass

__all__ = ["Column", "Named", "SymbolTable"]

_SYMBOL_LIMIT = 1 << 19
_NAMES_LIMIT = READ_LIMIT
_NAME_LIMIT = 1 << 16
_SPAN_LIMIT = 1 << 18
_LAST_TABLE = 1 << 12
_BLOCK = 128

# Tables that may lie behind the symbols, by the tags that lead to them.
_FOLLOWERS = (DT_STRTAB, DT_VERSYM, DT_GNU_HASH, DT_HASH, DT_RELA, DT_REL, DT_JMPREL, DT_RELR, DT_VERNEED, DT_VERDEF)

Column = Sequence[int]

# elf/dl-lookup.c: NOTYPE, OBJECT, FUNC, COMMON, TLS and GNU_IFUNC that are GLOBAL, WEAK or UNIQUE can be found.
_LINKABLE = bytes(
    i & 15 in (0, 1, 2, 5, 6, 10) and i >> 4 in (STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE) for i in range(256)
)
_LOCAL = 15  # the highest st_info of a local symbol
_VISIBLE = bytes(i & 3 not in (STV_INTERNAL, STV_HIDDEN) for i in range(256))
_KIND = bytes(i & 15 for i in range(256))


@dataclass(frozen=True, slots=True)
class _Rows:
    """A run of symbols by columns. ``section`` and ``value`` of Elf32_Sym stand elsewhere than those of Elf64_Sym."""

    name: Column
    info: bytes
    other: bytes
    section: Column
    value: Column


def _rows(data: bytes, layout: Layout) -> _Rows:
    column = layout.column
    if layout.bits == 64:
        halves, longs = column(data, "H"), column(data, "Q")
        return _Rows(column(data)[::6], data[4::24], data[5::24], halves[3::12], longs[1::3])
    numbers = column(data)
    return _Rows(numbers[::4], data[12::16], data[13::16], column(data, "H")[7::8], numbers[1::4])


@dataclass(frozen=True, slots=True)
class Named:
    """A global symbol by its row, for the question when it is bound."""

    name: bytes
    info: int
    other: int
    value: int


@dataclass(frozen=True, slots=True)
class _Extent:
    """Rows ``first`` to ``count`` can be found by name; there are ``count`` rows in all."""

    first: int
    count: int
    certain: bool = True


class SymbolTable:
    """The dynamic symbol table of one file, as long as one question lasts: it holds the string table."""

    def __init__(
        self, content: Content, header: ElfHeader, dynamic: Dynamic, versions: VersionTables, layout: Layout
    ) -> None:
        self._header = header
        self._dynamic = dynamic
        self._versions = versions
        self._layout = layout
        self._start = self._place(DT_SYMTAB, "dynamic symbol table")
        if dynamic.strings is None:
            raise FormatError("dynamic symbols without a string table", offset=self._start)
        self._content = self._nearby(content)
        self._strings = _Names(self._content, *dynamic.strings)

    def imports(self) -> tuple[ImportGroup, ...]:
        """Return the undefined symbols, grouped by version record."""
        rows = self._read(0, self._extent())
        return self._groups(rows, self._undefined(rows))

    def copies(self, symbols: Iterable[int]) -> tuple[ImportGroup, ...]:
        """Return the symbols of a program's COPY relocations: defined here, and needed from elsewhere all the same."""
        rows = self._read(0, self._extent())
        return self._groups(rows, sorted({row for row in symbols if 0 < row < len(rows.name)}))

    def exports(self) -> Exports:
        """Return the symbols that a lookup by hash table can return (elf/dl-lookup.c check_match)."""
        extent = self._extent()
        rows = self._read(extent.first, extent)
        linkable, visible = rows.info.translate(_LINKABLE), rows.other.translate(_VISIBLE)
        if 0 in linkable or 0 in visible or 0 in rows.section or 0 in rows.value:
            found = [
                a and b and section and (value or section == SHN_ABS or info & 15 == STT_TLS)
                for a, b, section, value, info in zip(
                    linkable, visible, rows.section, rows.value, rows.info, strict=True
                )
            ]
        else:
            found = None
        names = self._strings.at(rows.name if found is None else list(compress(rows.name, found)))
        kinds = rows.info.translate(_KIND)
        versions = self._versym(extent.first, extent.count)
        if found is not None:
            kinds = bytes(compress(kinds, found))
            versions = array("H", compress(versions, found)) if versions is not None else None
        return Exports.of_columns(names, versions, kinds, self._versions.names)

    def imported(self) -> dict[int, Named]:
        """Return the undefined symbols by their row, and those of the same names that the file defines itself."""
        rows = self._read(0, self._extent())
        undefined = self._undefined(rows)
        offsets = {rows.name[row] for row in undefined}
        chosen = [
            row
            for row, offset in enumerate(rows.name)
            if offset in offsets and rows.info[row] > _LOCAL and _VISIBLE[rows.other[row]]
        ]
        found = zip(chosen, self._strings.at([rows.name[row] for row in chosen]), strict=True)
        return {row: Named(name, rows.info[row], rows.other[row], rows.value[row]) for row, name in found}

    def named(self, names: Collection[bytes]) -> dict[int, Named]:
        """Return the symbols of these names by their row: undefined ones, and those that the file defines itself."""
        names = frozenset(names)
        rows = self._read(0, self._extent())
        chosen = [
            row for row, info in enumerate(rows.info) if rows.name[row] and info > _LOCAL and _VISIBLE[rows.other[row]]
        ]
        found = zip(chosen, self._strings.at([rows.name[row] for row in chosen]), strict=True)
        return {
            row: Named(name, rows.info[row], rows.other[row], rows.value[row]) for row, name in found if name in names
        }

    # -- rows -------------------------------------------------------------------------------

    def _undefined(self, rows: _Rows) -> list[int]:
        """Return the rows that a loader looks up elsewhere; hidden ones bind inside the file."""
        names, infos, others = rows.name, rows.info, rows.other
        if self._header.machine in SPARC and STT_SPARC_REGISTER in rows.info.translate(_KIND):
            infos = bytes(0 if info & 15 == STT_SPARC_REGISTER else info for info in infos)  # not looked up by anyone
        return [
            row
            for row in compress(range(len(names)), map(not_, rows.section))
            if names[row] and infos[row] > _LOCAL and _VISIBLE[others[row]]
        ]

    def _groups(self, rows: _Rows, chosen: list[int]) -> tuple[ImportGroup, ...]:
        """Return the chosen rows by the version record that their version number leads to."""
        offsets, infos = rows.name, rows.info
        names = self._strings.at([offsets[row] for row in chosen])
        versions = self._versym(0, chosen[-1] + 1) if chosen else None
        indexes: Iterable[int] = repeat(0) if versions is None else [versions[row] & VERSYM_INDEX for row in chosen]
        weakness = [infos[row] >> 4 == STB_WEAK for row in chosen]
        strong: defaultdict[int, list[bytes]] = defaultdict(list)
        weak: defaultdict[int, list[bytes]] = defaultdict(list)
        for name, index, is_weak in zip(names, indexes, weakness, strict=False):
            (weak if is_weak else strong)[index].append(name)
        held: dict[tuple[str | None, str | None], tuple[list[bytes], list[bytes]]] = {}
        for index in sorted({*strong, *weak}):
            record = self._versions.need_index.get(index)
            key = (record.file, record.version) if record else (None, self._versions.names.get(index))
            if key in held:
                held[key][0].extend(strong[index])
                held[key][1].extend(weak[index])
            else:
                held[key] = strong[index], weak[index]
        return tuple(
            [
                ImportGroup(file=file, version=version, strong=frozenset(group[0]), weak=frozenset(group[1]))
                for (file, version), group in held.items()
            ]
        )

    def _read(self, first: int, extent: _Extent) -> _Rows:
        size = self._layout.sym_size
        count = extent.count - first
        if count > _SYMBOL_LIMIT:
            raise FormatError(f"{count} dynamic symbols are over the limit of {_SYMBOL_LIMIT}", offset=self._start)
        rows = _rows(
            read_exactly(self._content, self._start + first * size, max(count, 0) * size, "dynamic symbol table"),
            self._layout,
        )
        if not extent.certain:  # what follows the table may have been taken for symbols
            end = next((row for row, name in enumerate(rows.name) if name >= self._strings.size), count)
            return _Rows(rows.name[:end], rows.info[:end], rows.other[:end], rows.section[:end], rows.value[:end])
        return rows

    def _versym(self, first: int, count: int) -> array[int] | None:
        """Return the version numbers of rows; None when the file has no versions at all (dl-version.c: ndx_high)."""
        if not self._dynamic.tags.get(DT_VERSYM) or not self._versions.names:
            return None
        offset = self._place(DT_VERSYM, "symbol versions") + 2 * first
        size = 2 * max(count - first, 0)
        return self._layout.column(read_exactly(self._content, offset, size, "symbol versions"), "H")

    # -- where the table ends ---------------------------------------------------------------

    def _place(self, tag: int, what: str) -> int:
        return self._dynamic.addresses.offset(self._dynamic.tags[tag], what)

    def _nearby(self, content: Content) -> Content:
        """Return ``content`` with the tables read at once where they lie close together, as linkers lay them."""
        tags, find = self._dynamic.tags, self._dynamic.addresses.find
        starts = [self._start]
        for tag in (DT_GNU_HASH, DT_HASH, DT_VERSYM):
            found = find(tags[tag]) if tag in tags else None
            if found:
                starts.append(found[0])
        offset, size = self._dynamic.strings or (self._start, 0)
        first, last = min(*starts, offset), max(max(starts) + _LAST_TABLE, offset + size)
        return Window(content, first, last - first) if last - first <= _SPAN_LIMIT else content

    def _extent(self) -> _Extent:
        tags = self._dynamic.tags
        if tags.get(DT_GNU_HASH):
            first, count = self._gnu_hash(self._place(DT_GNU_HASH, "GNU hash table"))
            if count:
                return _Extent(first, count)
            total = self._sysv_count()
            if total:
                return _Extent(total, total)
        else:
            total = self._sysv_count()
            if total:
                return _Extent(0, total)
        if self._header.machine == EM_MIPS and DT_MIPS_SYMTABNO in tags:
            return _Extent(0, tags[DT_MIPS_SYMTABNO])
        total = self._count_by_neighbours()
        return _Extent(total, total, certain=False)

    def _sysv_count(self) -> int:
        """Return nchain, the number of symbols. Entries of 64-bit s390 and of Alpha have 8 bytes (their psABIs)."""
        if not self._dynamic.tags.get(DT_HASH):
            return 0
        offset = self._place(DT_HASH, "hash table")
        wide = self._header.machine == EM_ALPHA or (self._header.machine == EM_S390 and self._layout.bits == 64)
        head = read_exactly(self._content, offset, 16 if wide else 8, "hash table")
        return self._layout.column(head, "Q" if wide else "I")[1]

    def _gnu_hash(self, offset: int) -> tuple[int, int]:
        """Return (first hashed symbol, number of symbols); the number is 0 when no symbol is hashed.

        The table does not say how many there are: the last bucket's chain ends with the last symbol.
        """
        layout = self._layout
        head = read_exactly(self._content, offset, 16, "GNU hash table")
        buckets, first, bloom, _shift = layout.column(head)
        table = offset + 16 + bloom * (layout.bits // 8)
        last = max(layout.column(read_exactly(self._content, table, 4 * buckets, "GNU hash buckets")), default=0)
        if last < first or last == 0:
            return first, 0
        chain = table + 4 * (buckets + last - first)
        for start in range(chain, chain + 4 * _SYMBOL_LIMIT, 1 << 12):
            block = layout.column(self._content.pread(start, 1 << 12))
            end = next((step for step, value in enumerate(block) if value & 1), None)
            if end is not None:
                return first, last + (start - chain) // 4 + end + 1
            if not block:
                break
        raise FormatError("GNU hash chain has no end", offset=chain)

    def _count_by_neighbours(self) -> int:
        """Return how many symbols fit before whatever comes next: a table with an empty hash tells no number.

        Where patchelf has moved the string table away, others follow, at the latest the end of the segment.
        """
        tags = self._dynamic.tags
        start = tags[DT_SYMTAB]
        found = self._dynamic.addresses.find(start)
        rest = found[1] if found else 0
        follower = min((tags[t] - start for t in _FOLLOWERS if tags.get(t, 0) > start), default=rest)
        return min(min(follower, rest) // self._layout.sym_size, _SYMBOL_LIMIT)


class _Names:
    """Symbol names. A few long strings that many symbols share the tails of could fill the memory; they are refused."""

    __slots__ = ("_content", "_offset", "size")

    def __init__(self, content: Content, offset: int, size: int) -> None:
        self._content = content
        self._offset = offset
        self.size = size

    def at(self, indexes: Column) -> list[bytes]:
        """Return the names at ``indexes`` of the string table. Raises FormatError, OSError."""
        if not indexes:
            return []
        if max(indexes) >= self.size:
            raise FormatError(f"a symbol's name is string {max(indexes)}, outside the table", offset=self._offset)
        text = read_exactly(self._content, self._offset, self.size, "dynamic string table")
        if text[-1]:
            text += b"\0"
        find = text.find
        for start in range(0, len(text), _NAME_LIMIT):
            if find(b"\0", start, start + _NAME_LIMIT) < 0:
                raise FormatError(f"a symbol's name is longer than {_NAME_LIMIT} bytes", offset=self._offset + start)
        names: list[bytes] = []
        left = _NAMES_LIMIT
        for start in range(0, len(indexes), _BLOCK):
            block = [text[index : find(b"\0", index)] for index in indexes[start : start + _BLOCK]]
            left -= sum(map(len, block))
            if left < 0:
                raise FormatError(f"symbol names take more than {_NAMES_LIMIT} bytes", offset=self._offset)
            names += block
        return names
