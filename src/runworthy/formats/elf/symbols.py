"""Dynamic symbols: imports and exports, each read only when asked for.

With a GNU hash table the imports are the rows before its first hashed symbol, so that a library with
forty thousand exports gives its fifty imports in one short read.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from sys import byteorder

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.dynamic import Dynamic, VersionTables
from runworthy.formats.elf.layout import (
    DT_GNU_HASH,
    DT_HASH,
    DT_STRTAB,
    DT_SYMTAB,
    DT_VERSYM,
    LINKABLE_BINDS,
    LINKABLE_TYPES,
    SHN_ABS,
    SHN_UNDEF,
    STB_LOCAL,
    STB_WEAK,
    STV_HIDDEN,
    STV_INTERNAL,
    Layout,
)
from runworthy.model.elf import ET_EXEC, STT_TLS, ElfHeader, Exports, ImportGroup, SymbolRow
from runworthy.model.errors import FormatError

__all__ = ["SymbolTable", "words"]


def words(data: bytes, layout: Layout, code: str = "I") -> array[int]:
    """Return ``data`` as numbers of the file's byte order: a whole column at once."""
    column = array(code)
    column.frombytes(data[: len(data) - len(data) % column.itemsize])
    if layout.endian != byteorder:
        column.byteswap()
    return column


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """Which rows hold what: imports are rows below ``imports``; exports are rows ``first`` to ``count``."""

    imports: int
    first: int
    count: int


class SymbolTable:
    """The dynamic symbol table of one file."""

    def __init__(
        self, content: Content, header: ElfHeader, dynamic: Dynamic, versions: VersionTables, layout: Layout
    ) -> None:
        self._content = content
        self._header = header
        self._dynamic = dynamic
        self._versions = versions
        self._layout = layout
        self._start = dynamic.addresses.offset(dynamic.tags[DT_SYMTAB], "dynamic symbol table")

    def imports(self) -> tuple[ImportGroup, ...]:
        """Return the undefined symbols, grouped by version record."""
        strong: dict[int, list[bytes]] = {}
        weak: dict[int, list[bytes]] = {}
        extent = self._extent()
        versions = self._versym(extent.imports)
        for index, name, info, other, section, _ in self._rows(0, extent.imports):
            bind = info >> 4
            if section != SHN_UNDEF or bind == STB_LOCAL or not name or other & 3 in (STV_INTERNAL, STV_HIDDEN):
                continue
            group = (versions[index] & 0x7FFF) if versions else 0
            (weak if bind == STB_WEAK else strong).setdefault(group, []).append(name)
        need = self._versions.need_index
        groups: dict[tuple[str | None, str | None], tuple[set[bytes], set[bytes]]] = {}
        for index in sorted({*strong, *weak}):
            record = need.get(index)
            key = (record.file, record.version) if record else (None, None)
            held = groups.setdefault(key, (set(), set()))
            held[0].update(strong.get(index, ()))
            held[1].update(weak.get(index, ()))
        return tuple(
            ImportGroup(file=file, version=version, strong=frozenset(held[0]), weak=frozenset(held[1]))
            for (file, version), held in groups.items()
        )

    def exports(self) -> Exports:
        """Return the symbols that a lookup by hash table can return."""
        extent = self._extent()
        versions = self._versym(extent.count)
        rows: list[SymbolRow] = []
        for index, name, info, other, section, value in self._rows(extent.first, extent.count):
            kind = info & 15
            # elf/dl-lookup.c check_match: undefined, valueless, local and hidden entries are passed over.
            defined = section != SHN_UNDEF and (value or section == SHN_ABS or kind == STT_TLS)
            if defined and kind in LINKABLE_TYPES and info >> 4 in LINKABLE_BINDS and other & 3 not in (1, 2):
                rows.append((name, versions[index] if versions else 0, kind))
        return Exports(rows, self._versions.def_index, versioned=bool(versions))

    def indexes(self) -> Iterator[tuple[int, bytes]]:
        """Yield (row, name) of every global symbol, defined or not."""
        for index, name, info, _, _, _ in self._rows(0, self._extent().count):
            if name and info >> 4 != STB_LOCAL:
                yield index, name

    def _rows(self, first: int, count: int) -> Iterator[tuple[int, bytes, int, int, int, int]]:
        size = self._layout.sym.size
        if count <= first:
            return
        data = read_exactly(self._content, self._start + first * size, (count - first) * size, "dynamic symbol table")
        strings = self._dynamic.strings
        if strings is None:
            raise FormatError("dynamic symbols without a string table", offset=self._start)
        text = read_exactly(self._content, strings.offset, strings.size, "dynamic string table")
        find = text.find
        wide = self._layout.bits == 64
        for step, row in enumerate(self._layout.sym.iter_unpack(data)):
            if wide:
                name, info, other, section, value, _size = row
            else:
                name, value, _size, info, other, section = row
            if name >= len(text):
                raise FormatError(f"symbol {first + step} names string {name}, outside the table", offset=self._start)
            end = find(b"\0", name)
            yield first + step, text[name : end if end >= 0 else len(text)], info, other, section, value

    def _versym(self, count: int) -> array[int] | None:
        address = self._dynamic.tags.get(DT_VERSYM)
        if not address or not count:
            return None
        offset = self._dynamic.addresses.offset(address, "symbol versions")
        return words(read_exactly(self._content, offset, 2 * count, "symbol versions"), self._layout, "H")

    def _extent(self) -> _Extent:
        tags = self._dynamic.tags
        if tags.get(DT_GNU_HASH):
            first, count = self._gnu_hash(self._dynamic.addresses.offset(tags[DT_GNU_HASH], "GNU hash table"))
            if count is not None:
                # A non-PIE program may hash undefined symbols whose PLT entry is their address (bfd elfxx-x86.c).
                whole = self._header.type == ET_EXEC
                return _Extent(imports=count if whole else min(first, count), first=first, count=count)
            total = self._sysv_count() or self._count_by_layout()
            return _Extent(imports=total, first=total, count=total)
        total = self._sysv_count() or 0
        if total:
            return _Extent(imports=total, first=0, count=total)
        total = self._count_by_layout()
        return _Extent(imports=total, first=total, count=total)

    def _sysv_count(self) -> int | None:
        address = self._dynamic.tags.get(DT_HASH)
        if not address:
            return None
        offset = self._dynamic.addresses.offset(address, "hash table")
        # 64-bit s390 is the one Linux port whose hash entries are 8 bytes (its psABI; Alpha, the other, is unknown to us).
        wide = self._header.machine == 22 and self._layout.bits == 64
        step = 8 if wide else 4
        return int(words(read_exactly(self._content, offset, 2 * step, "hash table"), self._layout, "Q" if wide else "I")[1])

    def _gnu_hash(self, offset: int) -> tuple[int, int | None]:
        """Return (first hashed symbol, number of symbols or None when no symbol is hashed)."""
        layout = self._layout
        buckets, first, bloom, _shift = words(read_exactly(self._content, offset, 16, "GNU hash table"), layout)
        table = offset + 16 + bloom * (layout.bits // 8)
        heads = words(read_exactly(self._content, table, 4 * buckets, "GNU hash buckets"), layout)
        last = max(heads, default=0)
        if last < first or last == 0:
            return first, None
        chains = table + 4 * buckets
        position = last - first
        while True:
            block = words(self._content.pread(chains + 4 * position, 4096), layout)
            if not block:
                raise FormatError("GNU hash chain reaches past the end of the file", offset=chains + 4 * position)
            for step, value in enumerate(block):
                if value & 1:
                    return first, first + position + step + 1
            position += len(block)

    def _count_by_layout(self) -> int:
        """Count symbols of a file whose hash table is empty: the string table follows the symbols in every linker."""
        tags = self._dynamic.tags
        span = tags.get(DT_STRTAB, 0) - tags[DT_SYMTAB]
        follower = [tags[tag] for tag in (DT_STRTAB, DT_VERSYM, DT_GNU_HASH, DT_HASH) if tags.get(tag, 0) > tags[DT_SYMTAB]]
        span = min(follower, default=tags[DT_SYMTAB]) - tags[DT_SYMTAB]
        return span // self._layout.sym.size
