"""RPM packages and the cpio archives in them.

Source: rpm.org "RPM V4 Package format" (lead, signature, header, payload); cpio(5), "New ASCII Format".
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from struct import calcsize, iter_unpack, unpack_from

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.package.member import Member, MemberKind, Place, inside, text
from runworthy.formats.package.streams import Slice, unpack
from runworthy.model.errors import FormatError

__all__ = ["RPM_MAGIC", "Tags", "payload_of_rpm", "read_cpio", "read_rpm", "rpm_tags", "tags_of"]

Tags = Mapping[int, tuple[str | int, ...]]
"""The entries of an rpm header that hold texts or numbers, by their numbers."""

RPM_MAGIC = b"\xed\xab\xee\xdb"
_LEAD = 96
_HEADER_MAGIC = b"\x8e\xad\xe8\x01"
_HEADER = 110
_TRAILER = "TRAILER!!!"
_LINK_LIMIT = 4096
_HEADER_LIMIT = 64 << 20  # rpm's own: headerVerify in lib/header.cc takes up to 256 MiB, real ones reach 20 MiB
# Types of entries (rpm lib/rpmtag.h): numbers by their width, then texts.
_NUMBERS = {2: "B", 3: ">H", 4: ">I", 5: ">Q"}
_TEXTS = frozenset((6, 8, 9))


def read_rpm(content: Content) -> Iterator[Member]:
    """Yield the members of a package. Raises FormatError, OSError."""
    return read_cpio(unpack(content, payload_of_rpm(content)))


def payload_of_rpm(content: Content) -> int:
    """Return where a package's packed cpio archive begins. Raises FormatError, OSError."""
    signature = _header_end(content, _LEAD)
    return _header_end(content, signature + -signature % 8)


def rpm_tags(content: Content) -> Tags:
    """Return the entries of a package's header. Raises FormatError, OSError."""
    start = _header_end(content, _LEAD)
    start += -start % 8
    end = _header_end(content, start)
    return tags_of(read_exactly(content, start + 8, min(end - start - 8, _HEADER_LIMIT), "the header"), start + 8)


def tags_of(header: bytes, start: int = 0) -> Tags:
    """Return the entries of a header at ``start``, without its magic, as databases hold it. Raises FormatError."""
    entries, size = unpack_from(">II", header) if len(header) >= 8 else (0, 0)
    store = 8 + 16 * entries
    if not entries or store + size > len(header):
        raise FormatError("an rpm header reaches past its end", offset=start)
    found: dict[int, tuple[str | int, ...]] = {}
    for at in range(8, store, 16):
        tag, kind, offset, count = unpack_from(">IIiI", header, at)
        if kind not in _NUMBERS and kind not in _TEXTS:
            continue
        if not 0 <= offset < size or count > size - offset:
            raise FormatError("an entry of an rpm header reaches past its end", offset=start + at)
        found[tag] = _values(header[store + offset : store + size], kind, count, start + at)
    return found


def _values(data: bytes, kind: int, count: int, offset: int) -> tuple[str | int, ...]:
    if kind in _TEXTS:
        texts = data.split(b"\0", count)[:count]
        return tuple(one.decode("utf-8", "surrogateescape") for one in texts)
    form = _NUMBERS[kind]
    width = calcsize(form)
    if width * count > len(data):
        raise FormatError("an entry of an rpm header reaches past its end", offset=offset)
    return tuple(value for (value,) in iter_unpack(form, data[: width * count]))


def _header_end(content: Content, start: int) -> int:
    head = content.pread(start, 16)
    if len(head) < 16 or not head.startswith(_HEADER_MAGIC):
        raise FormatError("no rpm header where one belongs", offset=start)
    entries, size = unpack_from(">II", head, 8)
    end: int = start + 16 + 16 * entries + size
    if end > content.size:
        raise FormatError("an rpm header reaches past the end", offset=start)
    return end


def read_cpio(content: Content, place: Place = inside) -> Iterator[Member]:
    """Yield the members in order; hard links after the file that they name. Raises FormatError, OSError.

    ``place`` makes paths of the names.
    """
    offset = 0
    waiting: dict[tuple[int, int, int], list[Member]] = {}
    while True:
        head = content.pread(offset, _HEADER)
        if head[:6] not in (b"070701", b"070702"):
            known = head.startswith(b"07070X")
            raise FormatError("holds a file over 4 GiB" if known else "no cpio header where one belongs", offset=offset)
        inode, mode, links, size, major, minor, name_size = _fields(head, offset)
        name = content.pread(offset + _HEADER, name_size)
        start = offset + _HEADER + name_size
        start += -start % 4
        if len(name) < name_size or name_size > 1 << 16 or start + size > content.size:
            raise FormatError("a cpio member reaches past the end", offset=offset)
        if text(name) == _TRAILER:
            break
        member = _member(place(text(name), offset), mode, Slice(content, start, size), offset)
        offset = start + size
        offset += -offset % 4
        if member.kind != "file" or links < 2:
            yield member
        elif size:  # the last of its names brings the bytes
            yield member
            for other in waiting.pop((inode, major, minor), ()):
                yield Member(path=other.path, kind="hard-link", mode=member.mode, target=member.path)
        else:
            waiting.setdefault((inode, major, minor), []).append(member)
    for first, *others in waiting.values():  # empty files
        yield first
        for other in others:
            yield Member(path=other.path, kind="hard-link", mode=first.mode, target=first.path)


def _fields(head: bytes, offset: int) -> tuple[int, int, int, int, int, int, int]:
    """Return inode, mode, links, size, device (major, minor) and the length of the name."""
    fields = [head[at : at + 8] for at in (6, 14, 38, 54, 62, 70, 94)]
    if len(head) < _HEADER or any(field.strip(b"0123456789abcdefABCDEF") for field in fields):
        raise FormatError("a cpio header is damaged", offset=offset)
    inode, mode, links, size, major, minor, name = (int(field, 16) for field in fields)
    return inode, mode, links, size, major, minor, name


def _member(path: str, mode: int, content: Slice, offset: int) -> Member:
    kind: MemberKind = "other"
    if stat.S_ISREG(mode):
        kind = "file"
    elif stat.S_ISDIR(mode):
        kind = "dir"
    elif stat.S_ISLNK(mode):
        if content.size > _LINK_LIMIT:
            raise FormatError("a symbolic link is too long", offset=offset)
        return Member(path=path, kind="link", mode=0o777, target=text(content.pread(0, content.size)))
    return Member(path=path, kind=kind, mode=stat.S_IMODE(mode), content=content if kind == "file" else None)
