"""RPM packages and the cpio archives in them.

Source: rpm.org "RPM V4 Package format" (lead, signature, header, payload); cpio(5), "New ASCII Format".
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from struct import unpack_from

from runworthy.formats.content import Content
from runworthy.formats.package.member import Member, MemberKind, inside, text
from runworthy.formats.package.streams import Slice, unpack
from runworthy.model.errors import FormatError

__all__ = ["RPM_MAGIC", "read_cpio", "read_rpm"]

RPM_MAGIC = b"\xed\xab\xee\xdb"
_LEAD = 96
_HEADER_MAGIC = b"\x8e\xad\xe8\x01"
_HEADER = 110
_TRAILER = "TRAILER!!!"
_LINK_LIMIT = 4096


def read_rpm(content: Content) -> Iterator[Member]:
    """Yield the members of a package. Raises FormatError, OSError."""
    signature = _header_end(content, _LEAD)
    return read_cpio(unpack(content, _header_end(content, signature + -signature % 8)))


def _header_end(content: Content, start: int) -> int:
    head = content.pread(start, 16)
    if len(head) < 16 or not head.startswith(_HEADER_MAGIC):
        raise FormatError("no rpm header where one belongs", offset=start)
    entries, size = unpack_from(">II", head, 8)
    end: int = start + 16 + 16 * entries + size
    if end > content.size:
        raise FormatError("an rpm header reaches past the end", offset=start)
    return end


def read_cpio(content: Content) -> Iterator[Member]:
    """Yield the members in order; hard links after the file that they name. Raises FormatError, OSError."""
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
        member = _member(inside(text(name), offset), mode, Slice(content, start, size), offset)
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
