"""``/etc/ld.so.cache``, as ``ldconfig`` writes it.

Source: glibc ``sysdeps/generic/dl-cache.h`` (struct cache_file_new, cache_extension) and
``elf/cache.c``. The old format (``ld.so-1.7.0``) may stand in front of the new one.
"""

from __future__ import annotations

from struct import calcsize, unpack_from

from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass

__all__ = ["CacheEntry", "read_ld_so_cache"]

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
