"""Version records (LSB core specification, "Symbol Versioning"), walked as glibc's ``elf/dl-version.c`` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct

from runworthy.formats.content import Content
from runworthy.formats.elf.dynamic import Dynamic, Strings
from runworthy.formats.elf.layout import DT_VERDEF, DT_VERNEED, VER_FLG_BASE, VER_FLG_WEAK, VERSYM_INDEX, Layout
from runworthy.model.elf import VersionDef, VersionNeed
from runworthy.model.errors import FormatError

__all__ = ["VersionTables", "read_versions"]

_RECORD_LIMIT = 1 << 16
_STRETCH = 1 << 12
_REACH = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionTables:
    """Version records; ``need_index`` and ``names`` resolve the numbers in ``.gnu.version``.

    ``names`` has definitions and needs alike, since a symbol that a program copied out of a library
    (COPY relocation) is defined here under the library's version.
    """

    needs: tuple[VersionNeed, ...] = ()
    defs: tuple[VersionDef, ...] = ()
    need_index: dict[int, VersionNeed] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)


def read_versions(content: Content, dynamic: Dynamic, strings: Strings, layout: Layout) -> VersionTables:
    """Return the version needs and definitions. Raises FormatError, OSError.

    Like the loader, it follows the links and leaves the counts (DT_VERNEEDNUM, vn_cnt) unread.
    """
    tags = dynamic.tags
    needs: list[VersionNeed] = []
    defs: list[VersionDef] = []
    need_index: dict[int, VersionNeed] = {}
    if tags.get(DT_VERNEED):
        start = dynamic.addresses.offset(tags[DT_VERNEED], "version needs")
        for index, need in _needs(_Records(content, start), strings, layout):
            needs.append(need)
            need_index[index] = need
    if tags.get(DT_VERDEF):
        start = dynamic.addresses.offset(tags[DT_VERDEF], "version definitions")
        defs.extend(_defs(_Records(content, start), strings, layout))
    names = {index: need.version for index, need in need_index.items()}
    names.update((record.index, record.name) for record in defs if not record.base)
    return VersionTables(needs=tuple(needs), defs=tuple(defs), need_index=need_index, names=names)


class _Records:
    """Linked records, read through one growing stretch. Links lead forward only, so no chain is endless."""

    __slots__ = ("_content", "_data", "_left", "_start")

    def __init__(self, content: Content, start: int) -> None:
        self._content = content
        self._start = start
        self._data = content.pread(start, _STRETCH)
        self._left = _RECORD_LIMIT

    def at(self, position: int, record: Struct) -> tuple[int, ...]:
        self._left -= 1
        if self._left < 0:
            raise FormatError(f"more than {_RECORD_LIMIT} version records", offset=self._start)
        end = position + record.size
        if end > len(self._data):
            if end > _REACH or self._start + end > self._content.size:
                raise FormatError("version record reaches past the end of the file", offset=self._start + position)
            self._data = self._content.pread(self._start, min(max(4 * len(self._data), end), _REACH))
            if end > len(self._data):
                raise FormatError("version record could not be read in full", offset=self._start + position)
        return record.unpack_from(self._data, position)


def _needs(records: _Records, strings: Strings, layout: Layout) -> Iterator[tuple[int, VersionNeed]]:
    position = 0
    while True:
        _version, _count, file, aux, following = records.at(position, layout.verneed)
        library = strings.get(file)
        at = position + aux
        while True:
            _hash, flags, index, name, step = records.at(at, layout.vernaux)
            need = VersionNeed(file=library, version=strings.get(name), weak=bool(flags & VER_FLG_WEAK))
            yield index & VERSYM_INDEX, need
            if not step:
                break
            at += step
        if not following:
            break
        position += following


def _defs(records: _Records, strings: Strings, layout: Layout) -> Iterator[VersionDef]:
    position = 0
    while True:
        _version, flags, index, _count, _hash, aux, following = records.at(position, layout.verdef)
        name, _next = records.at(position + aux, layout.verdaux)
        yield VersionDef(name=strings.get(name), index=index & VERSYM_INDEX, base=bool(flags & VER_FLG_BASE))
        if not following:
            break
        position += following
