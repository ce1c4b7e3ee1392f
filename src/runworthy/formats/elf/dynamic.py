"""The dynamic section, its string table, and the version records that hang on it.

Sources: ELF gABI chapter 5; version records as in the LSB core specification, "Symbol Versioning".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from struct import calcsize, unpack_from

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.layout import (
    DT_NEEDED,
    DT_NULL,
    DT_STRSZ,
    DT_STRTAB,
    DT_VERDEF,
    DT_VERDEFNUM,
    DT_VERNEED,
    DT_VERNEEDNUM,
    PT_DYNAMIC,
    PT_LOAD,
    VER_FLG_BASE,
    VER_FLG_WEAK,
    Layout,
)
from runworthy.model.elf import Segment, VersionDef, VersionNeed
from runworthy.model.errors import FormatError

__all__ = ["AddressMap", "Dynamic", "Strings", "VersionTables", "read_dynamic", "read_versions"]

_DYNAMIC_LIMIT = 1 << 20
_CHAIN_LIMIT = 65536
_STRING_LIMIT = 4096
_WHOLE_TABLE = 1 << 16


class AddressMap:
    """Virtual addresses to file offsets, by the PT_LOAD segments."""

    __slots__ = ("_rows",)

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._rows = [(s.vaddr, s.filesz, s.offset) for s in segments if s.type == PT_LOAD]

    def offset(self, address: int, what: str) -> int:
        """Return the file offset of ``address``. Raises FormatError when no segment holds it."""
        for vaddr, filesz, offset in self._rows:
            if vaddr <= address < vaddr + filesz:
                return address - vaddr + offset
        raise FormatError(f"{what} at address {address:#x} lies in no loaded segment")


class Strings:
    """The dynamic string table; small ones are read whole, of large ones only the strings asked for."""

    __slots__ = ("_content", "_data", "offset", "size")

    def __init__(self, content: Content, offset: int, size: int) -> None:
        self.offset = offset
        self.size = size
        self._content = content
        small = size <= _WHOLE_TABLE
        self._data = read_exactly(content, offset, size, "dynamic string table") if small else None
        if offset + size > content.size:
            raise FormatError("dynamic string table reaches past the end of the file", offset=offset)

    def get(self, index: int) -> str:
        """Return the string at ``index``. Raises FormatError for an index outside or an endless string."""
        if not 0 <= index < self.size:
            raise FormatError(f"string index {index} is outside the dynamic string table", offset=self.offset)
        if self._data is not None:
            end = self._data.find(b"\0", index)
            raw = self._data[index : end if end >= 0 else self.size]
        else:
            raw = self._content.pread(self.offset + index, min(_STRING_LIMIT, self.size - index))
            end = raw.find(b"\0")
            if end < 0:
                raise FormatError(f"string at index {index} is longer than {_STRING_LIMIT} bytes", offset=self.offset)
            raw = raw[:end]
        return raw.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """Dynamic entries: the last value of each tag, as both loaders keep it, and DT_NEEDED in order."""

    tags: dict[int, int]
    needed: tuple[int, ...]
    addresses: AddressMap
    strings: Strings | None


def read_dynamic(content: Content, segments: Sequence[Segment], layout: Layout) -> Dynamic | None:
    """Return the dynamic section, None when the file has none. Raises FormatError."""
    segment = next((s for s in segments if s.type == PT_DYNAMIC), None)
    if segment is None or segment.filesz == 0:
        return None
    size = layout.dyn.size
    length = segment.filesz - segment.filesz % size
    if length > _DYNAMIC_LIMIT:
        raise FormatError(f"dynamic section claims {length} bytes", offset=segment.offset)
    data = read_exactly(content, segment.offset, length, "dynamic section")
    tags: dict[int, int] = {}
    needed: list[int] = []
    for tag, value in layout.dyn.iter_unpack(data):
        if tag == DT_NULL:
            break
        if tag == DT_NEEDED:
            needed.append(value)
        tags[tag] = value
    addresses = AddressMap(segments)
    strings = None
    if DT_STRTAB in tags:
        strings = Strings(content, addresses.offset(tags[DT_STRTAB], "dynamic string table"), tags.get(DT_STRSZ, 0))
    return Dynamic(tags=tags, needed=tuple(needed), addresses=addresses, strings=strings)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionTables:
    """Version records; ``need_index`` and ``def_index`` resolve the numbers in ``.gnu.version``."""

    needs: tuple[VersionNeed, ...] = ()
    defs: tuple[VersionDef, ...] = ()
    need_index: dict[int, VersionNeed] = field(default_factory=dict)
    def_index: dict[int, str] = field(default_factory=dict)


class _Records:
    """Chained records read through one growing window."""

    def __init__(self, content: Content, start: int, layout: Layout) -> None:
        self._content = content
        self._start = start
        self._order = "<" if layout.endian == "little" else ">"
        self._data = content.pread(start, 4096)
        self._left = _CHAIN_LIMIT

    def unpack(self, kinds: str, position: int) -> tuple[int, ...]:
        self._left -= 1
        if self._left < 0:
            raise FormatError(f"more than {_CHAIN_LIMIT} version records", offset=self._start)
        size = calcsize(self._order + kinds)
        if position + size > len(self._data):
            if position + size > 16 << 20 or self._start + position + size > self._content.size:
                raise FormatError("version record reaches past the end of the file", offset=self._start + position)
            self._data = self._content.pread(self._start, max(2 * len(self._data), position + size))
        return unpack_from(self._order + kinds, self._data, position)


def read_versions(content: Content, dynamic: Dynamic, layout: Layout) -> VersionTables:
    """Return the version needs and definitions. Raises FormatError."""
    tags = dynamic.tags
    if dynamic.strings is None:
        return VersionTables()
    needs: list[VersionNeed] = []
    need_index: dict[int, VersionNeed] = {}
    if tags.get(DT_VERNEED):
        start = dynamic.addresses.offset(tags[DT_VERNEED], "version needs")
        for index, need in _needs(_Records(content, start, layout), dynamic.strings, tags.get(DT_VERNEEDNUM, 0)):
            needs.append(need)
            need_index[index] = need
    defs: list[VersionDef] = []
    if tags.get(DT_VERDEF):
        start = dynamic.addresses.offset(tags[DT_VERDEF], "version definitions")
        defs += _defs(_Records(content, start, layout), dynamic.strings, tags.get(DT_VERDEFNUM, 0))
    def_index = {record.index: record.name for record in defs if not record.base}
    return VersionTables(needs=tuple(needs), defs=tuple(defs), need_index=need_index, def_index=def_index)


def _needs(records: _Records, strings: Strings, count: int) -> Iterator[tuple[int, VersionNeed]]:
    position = 0
    for _ in range(count):
        _version, auxiliaries, file, aux, following = records.unpack("HHIII", position)
        at = position + aux
        for _ in range(auxiliaries):
            _hash, flags, other, name, aux_next = records.unpack("IHHII", at)
            need = VersionNeed(file=strings.get(file), version=strings.get(name), weak=bool(flags & VER_FLG_WEAK))
            yield other & 0x7FFF, need
            if not aux_next:
                break
            at += aux_next
        if not following:
            break
        position += following


def _defs(records: _Records, strings: Strings, count: int) -> Iterator[VersionDef]:
    position = 0
    for _ in range(count):
        _version, flags, index, _count, _hash, aux, following = records.unpack("HHHHIII", position)
        name, _next = records.unpack("II", position + aux)
        yield VersionDef(name=strings.get(name), index=index & 0x7FFF, base=bool(flags & VER_FLG_BASE))
        if not following:
            break
        position += following
