"""``/etc/ld.so.cache``, as ``ldconfig`` writes it.

Source: glibc ``sysdeps/generic/dl-cache.h`` (struct cache_file_new, cache_extension) and
``elf/cache.c``. The old format (``ld.so-1.7.0``) may stand in front of the new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import calcsize, pack, unpack_from

from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass

__all__ = ["CacheEntry", "format_ld_so_cache", "read_ld_so_cache"]

_OLD_MAGIC = b"ld.so-1.7.0"
_NEW_MAGIC = b"glibc-ld.so.cache1.1"
_HWCAP_EXTENSION = 1 << 62
_EXTENSION_MAGIC = 0xEAA42174
_TAG_HWCAPS = 1
_ENTRY_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One library: ``flags`` tells its kind and architecture, ``hwcap`` the glibc-hwcaps directory it lies in.

    ``legacy`` is True for an entry that only the hardware capability bits of glibc before 2.37 select.
    """

    name: str
    path: str
    flags: int
    hwcap: str = ""
    legacy: bool = False


def read_ld_so_cache(data: bytes) -> dict[str, tuple[CacheEntry, ...]]:
    """Return library name -> entries in file order. Raises FormatError."""
    start = 0
    if data.startswith(_OLD_MAGIC):
        count = unpack_from("=I", data, 12)[0] if len(data) >= 16 else 0
        start = 16 + 12 * count
        start += -start % 8
    if data[start : start + len(_NEW_MAGIC)] != _NEW_MAGIC or len(data) < start + 48:
        raise FormatError("not a glibc ld.so.cache", offset=start)
    order = ">" if data[start + 28] & 3 == 3 else "<"
    count = unpack_from(order + "I", data, start + 20)[0]
    extensions = unpack_from(order + "I", data, start + 32)[0]
    row = order + "iIIIQ"
    if count > _ENTRY_LIMIT or start + 48 + count * calcsize(row) > len(data):
        raise FormatError(f"claims {count} entries, more than the file can hold", offset=start + 20)
    hwcaps = _hwcaps(data, start, extensions, order)
    found: dict[str, list[CacheEntry]] = {}
    for index in range(count):
        flags, key, value, _, hwcap = unpack_from(row, data, start + 48 + index * calcsize(row))
        name = _string(data, start + key)
        extended = bool(hwcap & _HWCAP_EXTENSION)
        at = hwcap & 0xFFFFFFFF
        entry = CacheEntry(
            name=name,
            path=_string(data, start + value),
            flags=flags,
            hwcap=hwcaps[at] if extended and at < len(hwcaps) else "",
            legacy=bool(hwcap) and not (extended and at < len(hwcaps)),
        )
        found.setdefault(name, []).append(entry)
    return {name: tuple(entries) for name, entries in found.items()}


def format_ld_so_cache(entries: Iterable[CacheEntry], order: str = "<") -> bytes:
    """Return a cache with these entries, in their order, for a machine of the byte order ``order`` (``<`` or ``>``).

    It is for readers that go through all of it: ldconfig sorts the names, which the loader's search relies on.
    Entries of legacy hardware capabilities, of which only that they are there is known, are left out.
    """
    rows = [entry for entry in entries if not entry.legacy]
    levels = sorted({entry.hwcap for entry in rows if entry.hwcap})
    texts: dict[str, int] = {}
    at = 48 + 24 * len(rows)
    body = bytearray()
    for text in (*levels, *(one for entry in rows for one in (entry.name, entry.path))):
        if text in texts:
            continue
        texts[text] = at + len(body)
        body += text.encode("utf-8", "surrogateescape") + b"\0"
    body += b"\0" * (-len(body) % 4)
    extensions = at + len(body) if levels else 0
    if levels:
        names = pack(f"{order}{len(levels)}I", *(texts[one] for one in levels))
        body += pack(f"{order}IIIIII", _EXTENSION_MAGIC, 1, _TAG_HWCAPS, 0, extensions + 24, len(names)) + names
    head = _NEW_MAGIC + pack(f"{order}IIB3xI12x", len(rows), len(body), 3 if order == ">" else 2, extensions)
    table = bytearray()
    for entry in rows:
        hwcap = _HWCAP_EXTENSION | levels.index(entry.hwcap) if entry.hwcap else 0
        table += pack(f"{order}iIIIQ", entry.flags, texts[entry.name], texts[entry.path], 0, hwcap)
    return head + bytes(table) + bytes(body)


def _hwcaps(data: bytes, start: int, offset: int, order: str) -> list[str]:
    """Return the names of the glibc-hwcaps subdirectories in the extension directory, empty when there is none."""
    if not offset or start + offset + 8 > len(data):
        return []
    magic, count = unpack_from(order + "II", data, start + offset)
    if magic != _EXTENSION_MAGIC:
        return []
    for index in range(min(count, 64)):
        at = start + offset + 8 + 16 * index
        if at + 16 > len(data):
            break
        tag, _flags, where, size = unpack_from(order + "IIII", data, at)
        if tag == _TAG_HWCAPS and start + where + size <= len(data):
            return [
                _string(data, start + unpack_from(order + "I", data, start + where + step)[0])
                for step in range(0, size - 3, 4)
            ]
    return []


def _string(data: bytes, offset: int) -> str:
    end = data.find(b"\0", offset, offset + 4096)
    if offset >= len(data) or end < 0:
        raise FormatError("a string lies outside the file", offset=offset)
    return data[offset:end].decode("utf-8", "surrogateescape")
