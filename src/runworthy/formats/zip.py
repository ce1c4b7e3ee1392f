"""Zip archives, from their end: how many entries, and the manifest of a jar. Nothing large is read or unpacked.

Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 and 4.3.15
(zip64), 4.3.16 (end of central directory). Bytes may stand before an archive, as in an APE or behind a script: then
offsets count from the archive's begin or from the file's, and both are tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from runworthy.formats.content import Content
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass

__all__ = [
    "MANIFEST",
    "LocalHeader",
    "ZipEnd",
    "ZipEntry",
    "extra_field",
    "main_class",
    "other_end",
    "read_entries",
    "read_local",
    "read_manifest",
    "read_zip_end",
]

MANIFEST = b"META-INF/MANIFEST.MF"

_END = Struct("<4sHHHHIIH")  # signature, disk, first disk, entries here, entries, size, offset, comment
_LOCATOR = Struct("<4sIQI")  # signature, disk, offset of the zip64 record, disks
_END64 = Struct("<4sQHHIIQQQQ")  # signature, length, versions, disks, entries here, entries, size, offset
_ENTRY = Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL = Struct("<4sHHHHHIIIHH")
_TAIL = _END.size + 0xFFFF
_BLOCK = 64 << 10
_DIRECTORY_LIMIT = 16 << 20
_MANIFEST_LIMIT = 64 << 10
_STORED, _DEFLATED = 0, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipEnd:
    """The end of an archive: the number of its entries; ``offset`` and ``size`` (bytes) of its central directory.

    ``shift`` are the bytes that stand before the archive and that its own offsets do not count.
    """

    entries: int
    offset: int
    size: int
    shift: int = 0


class ZipEntry(NamedTuple):
    """What the central directory says of a member. ``offset`` is where its local header lies in the file.

    ``system`` is the one that the archive was made on, ``attributes`` are its external ones; ``at`` is where this
    stands.
    """

    name: bytes
    system: int
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    attributes: int
    offset: int
    extra: bytes
    at: int


def read_zip_end(content: Content) -> ZipEnd | None:
    """Return what the end of an archive says, None where there is no archive.

    Raises FormatError where there is an end, and no central directory where it should be; OSError.
    """
    start = max(content.size - _TAIL, 0)
    tail = content.pread(start, _TAIL)
    at = len(tail)
    while (at := tail.rfind(b"PK\5\6", 0, at)) >= 0:
        if at + _END.size <= len(tail):
            row = _END.unpack_from(tail, at)
            if at + _END.size + row[7] <= len(tail):
                return _placed(content, start + at, row[4], row[5], row[6])
    return None


def _placed(content: Content, end: int, entries: int, size: int, offset: int) -> ZipEnd:
    if entries == 0xFFFF or 0xFFFFFFFF in (size, offset):
        end, entries, size, offset = _zip64(content, end, (entries, size, offset))
    directory = end - size
    if directory < 0:
        raise FormatError(f"the central directory of the zip archive claims {size} bytes", offset=end)
    for place in (offset, directory):
        if not entries or content.pread(place, 4) == b"PK\1\2":
            return ZipEnd(entries=entries, offset=place, size=size, shift=place - offset)
    raise FormatError("the zip archive has no central directory where its end says", offset=offset)


def _zip64(content: Content, end: int, held: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Return where the zip64 record lies, and its entries, size and offset; what was there where it has none."""
    locator = content.pread(end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
    if not locator.startswith(b"PK\6\7"):
        return end, *held
    for at in (_LOCATOR.unpack(locator)[2], end - _LOCATOR.size - _END64.size):
        record = content.pread(at, _END64.size) if at >= 0 else b""
        if len(record) == _END64.size and record.startswith(b"PK\6\6"):
            row = _END64.unpack(record)
            return at, row[7], row[8], row[9]
    raise FormatError("the zip64 record of the zip archive is not where its locator says", offset=end)


def read_manifest(content: Content, end: ZipEnd) -> str | None:
    """Return the text of a jar's manifest, None where the archive has none.

    Raises FormatError where the archive is damaged on the way to it or the manifest is over 64 KiB, OSError.
    """
    for entry in read_entries(content, end):
        if entry.name == MANIFEST:
            return _unpacked(content, entry.offset, entry.method, entry.packed, entry.size)
    return None


def read_entries(content: Content, end: ZipEnd, limit: int = _DIRECTORY_LIMIT) -> Iterator[ZipEntry]:
    """Yield each entry of the first ``limit`` bytes of the central directory. Raises FormatError, OSError."""
    held, start, at = b"", end.offset, 0
    stop = end.offset + min(end.size, limit)
    for _ in range(end.entries):
        if at + _ENTRY.size + 3 * 0xFFFF > len(held) and start + len(held) < stop:
            start, held, at = start + at, content.pread(start + at, min(4 * _BLOCK, stop - start - at)), 0
        if at + _ENTRY.size > len(held):
            if end.size > limit:
                return
            raise FormatError("the central directory of the zip archive is cut off", offset=start + at)
        row = _ENTRY.unpack_from(held, at)
        if row[0] != b"PK\1\2":
            raise FormatError("an entry of the zip archive's central directory is damaged", offset=start + at)
        begin = at + _ENTRY.size
        extra = begin + row[10]
        yield _entry(row, held[begin:extra], held[extra : extra + row[11]], end.shift, start + at)
        at = extra + row[11] + row[12]


def _entry(row: tuple[int, ...], name: bytes, extra: bytes, shift: int, at: int) -> ZipEntry:
    """Return an entry, with what its zip64 field says where its own fields have no room (APPNOTE.TXT 4.5.3)."""
    packed, size, offset = row[8], row[9], row[16]
    if 0xFFFFFFFF in (packed, size, offset):
        field = extra_field(extra, 0x0001) or b""
        wide = [int.from_bytes(field[begin : begin + 8], "little") for begin in range(0, len(field) - 7, 8)]
        size, packed, offset = (wide.pop(0) if held == 0xFFFFFFFF and wide else held for held in (size, packed, offset))
    return ZipEntry(name, row[1] >> 8, row[3], row[4], row[7], packed, size, row[15], offset + shift, extra, at)


def extra_field(extra: bytes, wanted: int) -> bytes | None:
    """Return the data of an extra field, None where there is none (APPNOTE.TXT 4.5.1)."""
    at = 0
    while at + 4 <= len(extra):
        number, length = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        if number == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return None


class LocalHeader(NamedTuple):
    """What stands before a member's data, which begins at ``start``."""

    name: bytes
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    start: int


def read_local(content: Content, offset: int, name: int = 0) -> LocalHeader | None:
    """Return the local header at ``offset``, None where there is none. ``name`` is how long its name will be.

    Raises OSError.
    """
    data = content.pread(offset, _LOCAL.size + name)
    if len(data) < _LOCAL.size or not data.startswith(b"PK\3\4"):
        return None
    row = _LOCAL.unpack_from(data)
    held = data[_LOCAL.size : _LOCAL.size + row[9]]
    if len(held) < row[9]:
        held = content.pread(offset + _LOCAL.size, row[9])
    return LocalHeader(held, row[2], row[3], row[6], row[7], row[8], offset + _LOCAL.size + row[9] + row[10])


def other_end(content: Content) -> int | None:
    """Return the offset of an end of an archive that others may take for the end of this one, None for none.

    It is one that reaches to the end of the file with its comment, as the last one does. Raises OSError.
    """
    start = max(content.size - _TAIL, 0)
    tail = content.pread(start, _TAIL)
    found: list[int] = []
    at = len(tail)
    while (at := tail.rfind(b"PK\5\6", 0, at)) >= 0 and len(found) < 2:
        if at + _END.size <= len(tail) and at + _END.size + _END.unpack_from(tail, at)[7] == len(tail):
            found.append(start + at)
    return found[1] if len(found) > 1 else None


def _unpacked(content: Content, offset: int, method: int, packed: int, size: int) -> str:
    """Return the text of one entry. Raises FormatError."""
    header = read_local(content, offset, len(MANIFEST))
    if header is None:
        raise FormatError("the manifest of the jar is not where the archive says", offset=offset)
    if max(packed, size) > _MANIFEST_LIMIT:
        raise FormatError(f"the manifest of the jar claims {max(packed, size)} bytes", offset=offset)
    data = content.pread(header.start, packed)
    if method == _DEFLATED:
        import zlib

        try:
            data = zlib.decompressobj(-15).decompress(data, _MANIFEST_LIMIT)
        except zlib.error as error:
            raise FormatError(f"the manifest of the jar cannot be unpacked: {error}", offset=offset) from None
    elif method != _STORED:
        raise FormatError(f"the manifest of the jar is packed by method {method}", offset=offset)
    return data.decode("utf-8", "replace")


def main_class(manifest: str) -> str:
    """Return the class that a manifest names to be started, empty where it names none (JAR File Specification)."""
    lines = manifest.replace("\r\n", "\n").replace("\r", "\n").replace("\n ", "").split("\n")
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() == "main-class":
            return value.strip()
        if not line:  # the main section ends
            return ""
    return ""
