"""Version records (LSB core specification, "Symbol Versioning"), walked as glibc's ``elf/dl-version.c`` does."""

from __future__ import annotations

from collections.abc import Callable
from struct import error as StructError  # noqa: N812  # an exception is named like one
from typing import TypeVar

from runworthy.formats.content import Content
from runworthy.formats.elf.dynamic import Dynamic, Strings
from runworthy.formats.elf.layout import DT_VERDEF, DT_VERNEED, VER_FLG_BASE, VER_FLG_WEAK, VERSYM_INDEX, Layout
from runworthy.model.elf import VersionDef, VersionNeed
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass, field

__all__ = ["VersionTables", "read_versions"]

_RECORD_LIMIT = 1 << 16
_STRETCH = 1 << 10
_REACH = 16 << 20

_Raw = TypeVar("_Raw")


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
    names: dict[int, str] = {}
    text = strings.get
    if tags.get(DT_VERNEED):
        start = dynamic.addresses.offset(tags[DT_VERNEED], "version needs")
        for file, name, index, flags in _records(content, start, lambda data: _needs(data, layout)):
            need = VersionNeed(text(file), text(name), bool(flags & VER_FLG_WEAK))
            needs.append(need)
            need_index[index] = need
            names[index] = need.version
    if tags.get(DT_VERDEF):
        start = dynamic.addresses.offset(tags[DT_VERDEF], "version definitions")
        for name, index, flags in _records(content, start, lambda data: _defs(data, layout)):
            base = bool(flags & VER_FLG_BASE)
            defs.append(VersionDef(name=text(name), index=index, base=base))
            if not base:
                names[index] = defs[-1].name
    return VersionTables(needs=tuple(needs), defs=tuple(defs), need_index=need_index, names=names)


_Need = tuple[int, int, int, int]
_Def = tuple[int, int, int]


def _records(content: Content, start: int, walk: Callable[[bytes], list[_Raw]]) -> list[_Raw]:
    """Return what ``walk`` collects from linked records at ``start``, showing it more bytes when they run out.

    Links lead forward only, so no chain is endless.
    """
    reach = _STRETCH
    while True:
        data = content.pread(start, reach)
        try:
            return walk(data)
        except StructError:
            if len(data) < reach:
                raise FormatError("version record reaches past the end of the file", offset=start) from None
        except OverflowError:
            raise FormatError(f"more than {_RECORD_LIMIT} version records", offset=start) from None
        if reach >= _REACH:
            raise FormatError(f"version records reach over more than {_REACH} bytes", offset=start)
        reach = min(16 * reach, _REACH)


def _needs(data: bytes, layout: Layout) -> list[_Need]:
    """Return (file, version, index, flags) of each need; the first two are string indexes."""
    record, auxiliary = layout.verneed.unpack_from, layout.vernaux.unpack_from
    found: list[_Need] = []
    position = 0
    while True:
        _version, _count, file, aux, following = record(data, position)
        at = position + aux
        while True:
            _hash, flags, index, name, step = auxiliary(data, at)
            found.append((file, name, index & VERSYM_INDEX, flags))
            if not step:
                break
            at += step
            if len(found) > _RECORD_LIMIT:
                raise OverflowError
        if not following:
            return found
        position += following
        if len(found) > _RECORD_LIMIT:
            raise OverflowError


def _defs(data: bytes, layout: Layout) -> list[_Def]:
    """Return (version, index, flags) of each definition; the first is a string index."""
    found: list[_Def] = []
    position = 0
    while len(found) <= _RECORD_LIMIT:
        _version, flags, index, _count, _hash, aux, following = layout.verdef.unpack_from(data, position)
        name, _next = layout.verdaux.unpack_from(data, position + aux)
        found.append((name, index & VERSYM_INDEX, flags))
        if not following:
            return found
        position += following
    raise OverflowError
