"""Tar archives: POSIX ustar and pax, GNU long names.

Source: POSIX.1-2017 ``pax``, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from runworthy.formats.content import Content
from runworthy.formats.package.member import Member, MemberKind, inside, text
from runworthy.formats.package.streams import Slice
from runworthy.model.errors import FormatError

__all__ = ["is_tar", "read_tar"]

_BLOCK = 512
_NAME_LIMIT = 1 << 20
_ZEROS = bytes(_BLOCK)
_KINDS: Final[dict[bytes, MemberKind]] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"1": "hard-link",
    b"2": "link",
    b"3": "other",
    b"4": "other",
    b"5": "dir",
    b"6": "other",
}


def is_tar(head: bytes) -> bool:
    """Whether the first block is a member's header: its checksum tells."""
    return len(head) >= _BLOCK and head[:_BLOCK] != _ZEROS and _checksum_fits(head[:_BLOCK])


def read_tar(content: Content) -> Iterator[Member]:
    """Yield the members in order. Raises FormatError, OSError."""
    offset = 0
    ended = False
    names: dict[str, str] = {}
    while True:
        head = content.pread(offset, _BLOCK)
        if head == _ZEROS:  # the end, unless archives follow one another as in an .apk
            ended = True
            offset += _BLOCK
            continue
        if len(head) < _BLOCK or not _checksum_fits(head):
            if (ended or not head) and not names:
                return
            raise FormatError("a tar member's header is damaged or cut off", offset=offset)
        ended = False
        at, kind = offset, head[156:157]
        size = _number(head[124:136], at)
        meta = kind in b"xgLK"
        if not meta and "size" in names:
            size = _decimal(names["size"], at)
        start = offset + _BLOCK
        if size and (meta or _KINDS.get(kind) == "file" or kind not in _KINDS):
            offset = start + size + -size % _BLOCK
        else:
            offset = start  # links and directories have no bytes, whatever their size says
        if start + (size if offset > start else 0) > content.size:
            raise FormatError("a tar member reaches past the end", offset=at)
        if meta:
            names = _meta(kind, content, start, size, names)
            continue
        yield from _member(head, names, Slice(content, start, size), at)
        names = {}


def _member(head: bytes, names: dict[str, str], content: Slice, at: int) -> Iterator[Member]:
    kind = _KINDS.get(head[156:157])
    if head[156:157] == b"S" or any(key.startswith("GNU.sparse.") for key in names):
        raise FormatError("holds a sparse file, which is not read", offset=at)
    if kind is None:
        return  # a volume's name and the like
    name = names.get("path")
    if name is None:
        name = text(head[:100])
        if head[257:263] == b"ustar\0" and head[345]:
            name = f"{text(head[345:500])}/{name}"
    target = names.get("linkpath", text(head[157:257])) if kind in ("link", "hard-link") else ""
    if kind == "file" and name.endswith("/"):
        kind = "dir"
    yield Member(
        path=inside(name, at),
        kind=kind,
        mode=_number(head[100:108], at) & 0o7777,
        target=inside(target, at) if kind == "hard-link" else target,
        content=content if kind == "file" else None,
    )


def _meta(kind: bytes, content: Content, start: int, size: int, names: dict[str, str]) -> dict[str, str]:
    """Return the names for the next member with what this header says about it."""
    if size > _NAME_LIMIT:
        raise FormatError(f"a tar header claims {size} bytes", offset=start)
    data = content.pread(start, size)
    if kind == b"g":
        return names
    if kind == b"x":
        return names | _pax(data, start)
    return names | {"path" if kind == b"L" else "linkpath": text(data)}


def _pax(data: bytes, start: int) -> dict[str, str]:
    """Return the records of a pax header: a length, a space, a key, ``=``, a value, a newline."""
    records = {}
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 20)
        length = data[at:space]
        if space < 0 or not length.isdigit() or not space - at < int(length) <= len(data) - at:
            raise FormatError("a pax header is damaged", offset=start + at)
        key, _, value = data[space + 1 : at + int(length) - 1].partition(b"=")
        records[text(key)] = text(value)
        at += int(length)
    return records


def _number(field: bytes, at: int) -> int:
    """Return an octal field, or GNU's binary one whose first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip()
    if digits.strip(b"01234567"):
        raise FormatError("a tar header holds no number where one belongs", offset=at)
    return int(digits or b"0", 8)


def _decimal(value: str, at: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise FormatError("a pax header holds no size where one belongs", offset=at)
    return int(value)


def _checksum_fits(head: bytes) -> bool:
    digits = head[148:156].partition(b"\0")[0].strip()
    if not digits or digits.strip(b"01234567"):
        return False
    rest = head[:148] + b" " * 8 + head[156:]
    signed = sum(rest) - 256 * sum(byte > 127 for byte in rest)  # as some old programs add them up
    return int(digits, 8) in (sum(rest), signed)
