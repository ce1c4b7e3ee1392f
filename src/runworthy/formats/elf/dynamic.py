"""The dynamic section and its string table (ELF gABI chapter 5, "Dynamic Section")."""

from __future__ import annotations

from sys import intern

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.header import AddressMap
from runworthy.formats.elf.layout import (
    DT_AUXILIARY,
    DT_FILTER,
    DT_NEEDED,
    DT_NULL,
    DT_STRSZ,
    DT_STRTAB,
    PT_DYNAMIC,
    Layout,
)
from runworthy.model.elf import Segment
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass

__all__ = ["Dynamic", "Strings", "read_dynamic"]

_DYNAMIC_LIMIT = 1 << 20
_STRING_LIMIT = 1 << 16
_STRINGS_LIMIT = 8 << 20
_WHOLE_TABLE = 1 << 15
_STRETCH = 1 << 12


class Strings:
    """The dynamic string table: a small one is read whole, of a large one the stretch that was asked for last.

    Overlapping strings could make gigabytes out of a small table, so what is handed out has a limit.
    """

    __slots__ = ("_content", "_data", "_held", "_left", "_offset", "_size", "_start")

    def __init__(self, content: Content, offset: int, size: int) -> None:
        if offset + size > content.size:
            raise FormatError(
                f"dynamic string table reaches past the end of the file ({content.size} bytes)", offset=offset
            )
        self._content = content
        self._offset = offset
        self._size = size
        self._left = _STRINGS_LIMIT
        self._start = 0
        self._data = b""
        self._held: dict[int, str] = {}

    def get(self, index: int) -> str:
        """Return the string at ``index``. Raises FormatError for an index outside or an endless string."""
        held = self._held.get(index)
        if held is not None:
            return held
        begin = index - self._start
        end = self._data.find(b"\0", begin) if begin >= 0 else -1
        if end < 0:
            begin, end = self._load(index)
        self._left -= end - begin
        if self._left < 0:
            raise FormatError(f"names take more than {_STRINGS_LIMIT} bytes", offset=self._offset)
        found = self._held[index] = intern(self._data[begin:end].decode("utf-8", "surrogateescape"))
        return found

    def _load(self, index: int) -> tuple[int, int]:
        """Bring the stretch with the string at ``index``; return where it begins and ends there."""
        if not 0 <= index < self._size:
            raise FormatError(f"string {index} is outside the dynamic string table", offset=self._offset)
        if self._size <= _WHOLE_TABLE:
            self._start, length = 0, self._size
        else:
            self._start, length = index, min(_STRETCH, self._size - index)
        begin = index - self._start
        while True:
            self._data = read_exactly(self._content, self._offset + self._start, length, "dynamic string table")
            end = self._data.find(b"\0", begin)
            if end >= 0:
                return begin, end
            if self._start + length == self._size:  # the last string may lack its NUL
                return begin, length
            if length >= _STRING_LIMIT:
                raise FormatError(f"string {index} is longer than {_STRING_LIMIT} bytes", offset=self._offset + index)
            length = min(_STRING_LIMIT, self._size - index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """Dynamic entries: the last value of each tag, as both loaders keep it, and the tags that may come many times.

    ``strings`` is the (offset, size) of the string table.
    """

    tags: dict[int, int]
    needed: tuple[int, ...]
    filters: tuple[int, ...]
    auxiliaries: tuple[int, ...]
    addresses: AddressMap
    strings: tuple[int, int] | None


def read_dynamic(content: Content, segments: tuple[Segment, ...], layout: Layout) -> Dynamic | None:
    """Return the dynamic section, None when the file has none. Raises FormatError, OSError.

    As in the loaders, the last PT_DYNAMIC counts, and its address says where it is (elf/rtld.c, ldso/dynlink.c);
    its file offset does where no segment holds that address.
    """
    segment = next((s for s in reversed(segments) if s.type == PT_DYNAMIC), None)
    if segment is None or segment.filesz == 0:
        return None
    addresses = AddressMap(segments)
    found = addresses.find(segment.vaddr)
    offset = found[0] if found else segment.offset
    length = segment.filesz - segment.filesz % layout.dyn.size
    if length > _DYNAMIC_LIMIT:
        raise FormatError(f"dynamic section claims {length} bytes", offset=offset)
    data = read_exactly(content, offset, length, "dynamic section")
    cells = layout.column(data, "Q" if layout.bits == 64 else "I")
    kinds, values = cells[::2], cells[1::2]
    if DT_NULL in kinds:
        kinds = kinds[: kinds.index(DT_NULL)]
    tags = dict(zip(kinds, values, strict=False))

    def every(tag: int) -> tuple[int, ...]:
        return tuple([value for kind, value in zip(kinds, values, strict=False) if kind == tag]) if tag in tags else ()

    return Dynamic(
        tags=tags,
        needed=every(DT_NEEDED),
        filters=every(DT_FILTER),
        auxiliaries=every(DT_AUXILIARY),
        addresses=addresses,
        strings=_strings(tags, addresses),
    )


def _strings(tags: dict[int, int], addresses: AddressMap) -> tuple[int, int] | None:
    """Return where the string table is. Loaders do not look at DT_STRSZ; without it the segment bounds the table."""
    if DT_STRTAB not in tags:
        return None
    found = addresses.find(tags[DT_STRTAB])
    if found is None:
        raise FormatError(f"dynamic string table at address {tags[DT_STRTAB]:#x} lies in no loaded segment")
    offset, rest = found
    return offset, tags.get(DT_STRSZ, rest)
