"""Zip archives: the central directory's members, each checked against its own local header.

Source: PKWARE's APPNOTE.TXT 6.3.10; Info-ZIP's ``extrafld.txt`` (Unicode path, 0x7075); pip's
``operations/install/wheel.py`` for what becomes executable of a wheel's files.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from runworthy.formats.archive.gathering import MEMBERS, Gathering, shown
from runworthy.formats.archive.inflated import RAW, Inflated
from runworthy.formats.archive.kept import Keeper, Late
from runworthy.formats.archive.unreadable import Unreadable
from runworthy.formats.content import BytesContent, Content
from runworthy.formats.package.member import MemberKind
from runworthy.formats.package.streams import Slice, pieces, reader
from runworthy.formats.zip import (
    LocalHeader,
    ZipEntry,
    extra_field,
    other_end,
    read_entries,
    read_local,
    read_zip_end,
)
from runworthy.model.archive import ContainerKind, OddityKind
from runworthy.model.errors import FormatError

__all__ = ["read_zip"]

_DIRECTORY: Final = 256 << 20
_HARMLESS: Final = 64 << 20
_RATIO: Final = 400
_LINK_MAX: Final = 4096
_ENCRYPTED, _DESCRIPTOR, _UTF8, _MASKED = 1 << 0, 1 << 3, 1 << 11, 1 << 13
_AES: Final = 99
_STORED, _DEFLATED, _LZMA = 0, 8, 14
_STREAMS: Final = {12: "bzip2", _LZMA: "lzma", 93: "zstd", 95: "xz"}
_METHODS: Final = {
    1: "shrink", 2: "reduce", 3: "reduce", 4: "reduce", 5: "reduce", 6: "implode", 9: "Deflate64", 10: "PKWARE's DCL",
    18: "TERSE", 19: "LZ77", 94: "MP3", 96: "JPEG", 97: "WavPack", 98: "PPMd",
}  # fmt: skip
_WINDOWS: Final = (0, 10, 11, 14)  # DOS, NTFS, MVS as PKWARE counts, VFAT
_UNIX: Final = 3
"""Of what was made on any other system, macOS (19) included, unzip, bsdtar and 7-Zip leave the modes alone."""
_BYTES: Final = (_UNIX, 19)  # where names are bytes, which unpackers lay down as they are
_UNICODE_PATH: Final = 0x7075
_WIDE: Final = 0xFFFFFFFF

Trouble = tuple[OddityKind, str]
"""Why a member cannot be read."""


def read_zip(content: Content, kind: ContainerKind, gathering: Gathering) -> str:
    """Gather the members of a zip archive; return why that ended too early, empty where it did not.

    Raises FormatError where it has no central directory, OSError.
    """
    end = read_zip_end(content)
    if end is None:
        raise FormatError("the zip archive has no end: it is cut off")
    other = other_end(content)
    if other is not None:
        gathering.odd("disagrees", "", "has two ends, and unpackers do not agree which one counts", other, read=True)
    entries: list[ZipEntry] = []
    problem = ""
    try:
        for entry in read_entries(content, end, _DIRECTORY):
            entries.append(entry)
            if len(entries) > MEMBERS:
                break
    except FormatError as error:
        if not entries:
            raise
        problem = str(error)
    taken = _Taken(content, kind, gathering)
    try:
        for entry, limit in _with_limits(entries, end.offset):
            taken.at(entry, limit)
    except FormatError as error:
        problem = str(error)
    if not problem and len(entries) < end.entries:
        problem = f"the central directory holds {len(entries)} of {end.entries} entries"
    return problem


def _with_limits(entries: Sequence[ZipEntry], directory: int) -> Iterator[tuple[ZipEntry, int]]:
    """Yield each entry with where the next one's bytes begin: its own may not reach farther."""
    order = sorted(range(len(entries)), key=lambda number: entries[number].offset)
    limits = [directory] * len(entries)
    for number, following in pairwise(order):
        limits[number] = min(entries[following].offset, directory)
    return zip(entries, limits, strict=True)


class _Taken:
    """Takes entries one by one."""

    def __init__(self, content: Content, kind: ContainerKind, gathering: Gathering) -> None:
        self._content = content
        self._kind = kind
        self._gathering = gathering
        self._keeper = Keeper()

    def at(self, entry: ZipEntry, limit: int) -> None:
        """Take one; its bytes may reach to ``limit``. Raises FormatError, OSError."""
        name = self._name(entry)
        local = read_local(self._content, entry.offset, len(entry.name))
        mode = self._mode(entry)
        kind = _kind(name, mode)
        trouble = _trouble(entry, local, limit) if kind != "dir" else None
        if local is not None:
            for words in _disagreements(entry, local):
                self._gathering.odd("disagrees", name, words, entry.offset, read=True)
        content = self._bytes(entry, local.start) if local is not None and trouble is None else None
        if kind == "link" and content is not None:
            self._link(name, content, entry)
            return
        if trouble is not None:
            content = Unreadable(trouble[1], entry.size)
        path = self._gathering.add(
            name,
            "file" if kind == "link" else kind,
            mode=stat.S_IMODE(mode),
            content=content if kind in ("file", "link") else None,
            offset=entry.offset,
        )
        if trouble is not None and path:
            self._gathering.odd(trouble[0], name, trouble[1], entry.offset)

    def _link(self, name: str, content: Content, entry: ZipEntry) -> None:
        """Take a symbolic link, whose bytes are what it leads to. Installers of wheels make a file of them."""
        if self._kind == "wheel":
            words = "is a symbolic link, of which pip and uv make a file"
            self._gathering.odd("disagrees", name, words, entry.offset, read=True)
            self._gathering.add(name, "file", mode=0o644, content=content, offset=entry.offset)
            return
        try:
            target = content.pread(0, _LINK_MAX) if content.size < _LINK_MAX else b""
        except OSError as error:
            self._gathering.odd("damaged", name, error.strerror or "cannot be read", entry.offset)
            return
        if not target or b"\0" in target:
            self._gathering.odd("damaged", name, "is a symbolic link that leads nowhere", entry.offset)
            return
        text = target.decode("utf-8", "surrogateescape")
        self._gathering.add(name, "link", mode=0o777, target=text, offset=entry.offset)

    def _name(self, entry: ZipEntry) -> str:
        """Return a member's name, telling of it where unpackers do not agree on it."""
        name, words = _decoded(entry)
        if "\\" in name:
            if entry.system in _WINDOWS and "/" not in name:
                name = name.replace("\\", "/")
                words = "has `\\` in its name, which CPython on Unix leaves there and others take for `/`"
            elif ".." in name.split("\\") or name.startswith("\\"):
                self._gathering.odd(
                    "outside", name, "has a name that leads out of the directory on Windows", entry.at, read=True
                )
            else:
                words = "has `\\` in its name, which some unpackers take for `/`"
        if words:
            self._gathering.odd("name", name, words, entry.at, read=True)
        return name

    def _mode(self, entry: ZipEntry) -> int:
        """Return the type and mode that a member gets; without any, those of new files."""
        mode = entry.attributes >> 16
        if self._kind == "wheel":
            if stat.S_ISLNK(mode):
                return mode
            return 0o100755 if stat.S_ISREG(mode) and mode & 0o111 else 0o100644
        if entry.system != _UNIX:
            return 0o644
        return mode or 0o644

    def _bytes(self, entry: ZipEntry, start: int) -> Content:
        packed = Slice(self._content, start, entry.packed)
        if entry.method == _STORED:
            return packed
        if entry.method == _DEFLATED:
            return Inflated(packed, self._keeper.blocks, RAW, size=entry.size, checksum=entry.checksum)
        return Late(self._keeper, _unpacker(packed, entry), entry.size, entry.checksum)


def _unpacker(packed: Content, entry: ZipEntry) -> Callable[[], Iterator[bytes]]:
    if entry.method == _LZMA:
        return lambda: _lzma(packed, entry)
    return lambda: pieces(reader(packed), _STREAMS[entry.method])


def _lzma(packed: Content, entry: ZipEntry) -> Iterator[bytes]:
    """Yield what LZMA data unpacks to (APPNOTE.TXT 5.8.8): properties stand before it, in no header of their own."""
    head = packed.pread(0, 4)
    length = int.from_bytes(head[2:], "little")
    if length != 5:
        raise FormatError(f"its LZMA data has properties of {length} bytes")
    marked = bool(entry.flags & 1 << 1)  # its end is
    size = b"\xff" * 8 if marked else entry.size.to_bytes(8, "little")
    alone = reader(BytesContent(packed.pread(4, length) + size))
    rest = reader(Slice(packed, 4 + length, packed.size - 4 - length))
    return pieces(lambda count: alone(count) or rest(count), "lzma")


def _decoded(entry: ZipEntry) -> tuple[str, str]:
    """Return a name as text, and why unpackers may read it in another way; empty where they do not."""
    raw = entry.name
    if raw.isascii():
        return raw.decode("ascii"), ""
    if entry.flags & _UTF8:
        return raw.decode("utf-8", "surrogateescape"), ""
    field = extra_field(entry.extra, _UNICODE_PATH)
    if field and field[:1] == b"\1" and int.from_bytes(field[1:5], "little") == zlib.crc32(raw):
        return field[5:].decode("utf-8", "surrogateescape"), ""
    words = "has a name in an encoding that the archive does not tell: unpackers spell it in different ways"
    if entry.system in _BYTES:
        try:
            return raw.decode(), words
        except UnicodeDecodeError:
            pass
    return raw.decode("cp437"), words


def _kind(name: str, mode: int) -> MemberKind:
    if name.endswith("/"):
        return "dir"
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR) else "other"


def _trouble(entry: ZipEntry, local: LocalHeader | None, limit: int) -> Trouble | None:
    """Return why a member cannot be read, None where it can."""
    if entry.flags & (_ENCRYPTED | _MASKED) or entry.method == _AES:
        return "encrypted", "is encrypted"
    if entry.method not in (_STORED, _DEFLATED, *_STREAMS):
        return "method", f"is packed by {_METHODS.get(entry.method, f'method {entry.method}')}, which is not read here"
    if local is None:
        return "damaged", "is not where the central directory says"
    if local.start + entry.packed > limit:
        return "overlap", "has bytes that belong to another member too"
    if entry.method == _STORED and entry.packed != entry.size:
        return "damaged", f"is stored as it is, but claims {entry.packed} bytes to hold {entry.size}"
    if entry.size > max(_HARMLESS, _RATIO * entry.packed):
        return "size", f"claims to unpack {entry.packed} bytes to {entry.size}"
    return None


def _disagreements(entry: ZipEntry, local: LocalHeader) -> Iterator[str]:
    """Yield what the local header says otherwise than the central directory: who reads a stream believes it."""
    if local.name != entry.name and not entry.flags & _MASKED:
        yield f"is called {shown(local.name.decode('utf-8', 'surrogateescape'))} by its local header"
    if local.method != entry.method or (local.flags ^ entry.flags) & _ENCRYPTED:
        yield "is packed in another way by its local header"
    if local.flags & _DESCRIPTOR or _WIDE in (local.packed, local.size):
        return
    if (local.packed, local.size, local.checksum) != (entry.packed, entry.size, entry.checksum):
        yield f"has {local.size} other bytes by its local header"
