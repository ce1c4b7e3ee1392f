"""Tar archives: POSIX ustar and pax, GNU long names, sparse files.

Source: POSIX.1-2017 ``pax``, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from runworthy.formats.content import Content
from runworthy.formats.package.member import Member, MemberKind, Place, inside, text
from runworthy.formats.package.sparse import Sparse, in_pax, number, of_old_header
from runworthy.formats.package.streams import Slice
from runworthy.model.errors import FormatError

__all__ = ["is_tar", "read_tar"]

_BLOCK = 512
_NAME_LIMIT = 1 << 20
_ZEROS = bytes(_BLOCK)
_ASCII = bytes(range(128))
_PADDING = 1 << 15  # blocks after the end mark; GNU tar fills its last record, of 10 KiB unless told otherwise
_META = (b"x", b"g", b"L", b"K")
_OLD_SPARSE = b"S"
_KINDS: Final[dict[bytes, MemberKind]] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    _OLD_SPARSE: "file",
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


def read_tar(content: Content, place: Place = inside, *, whole: bool = False) -> Iterator[Member]:
    """Yield the members in order; each is read before the next is asked for where the content is a stream.

    ``whole``: an archive without an end mark was cut off. ``place`` makes paths of the names. Raises FormatError,
    OSError.
    """
    offset = zeros = 0
    names: dict[str, str] = {}
    while True:
        head = content.pread(offset, _BLOCK)
        if head == _ZEROS:  # the end, unless archives follow one another as in an .apk
            zeros += 1
            offset += _BLOCK
            if zeros > _PADDING:
                return
            continue
        if len(head) < _BLOCK or not _checksum_fits(head):
            if (zeros or not (head or whole)) and not names:
                return
            raise FormatError("a tar member's header is damaged or cut off", offset=offset)
        zeros, at = 0, offset
        try:
            stored, offset = _stored(head, names, content, at)
            if head[156:157] in _META:
                names = _meta(head[156:157], stored, names)
                continue
            member = _member(head, names, stored, at, place)
        except FormatError as error:
            raise error if error.offset is not None else FormatError(error.message, offset=at) from error
        if member is not None:
            yield member
        names = {}


def _stored(head: bytes, names: Mapping[str, str], content: Content, at: int) -> tuple[Content, int]:
    """Return the bytes that belong to the header at ``at``, and where the next one is. Raises FormatError, OSError."""
    kind = head[156:157]
    size, start = _size(head, names), at + _BLOCK
    if kind not in _META and _KINDS.get(kind, "file") != "file":
        return Slice(content, start, 0), start  # links and directories have no bytes, whatever their size says
    if kind == _OLD_SPARSE:
        stretches, real, start = of_old_header(head, content, start)
    if start + size > content.size:
        raise FormatError("a tar member reaches past the end")
    stored = Slice(content, start, size)
    end = start + size + -size % _BLOCK
    if kind == _OLD_SPARSE:
        return Sparse(stored, stretches, real), end
    return (kind not in _META and in_pax(names, stored)) or stored, end


def _size(head: bytes, names: Mapping[str, str]) -> int:
    """Return how many bytes follow a header, with what a pax header has said about it. Raises FormatError."""
    if head[156:157] not in _META and "size" in names:
        return _decimal(names["size"])
    return number(head[124:136])


def _member(head: bytes, names: Mapping[str, str], content: Content, at: int, place: Place) -> Member | None:
    kind = _KINDS.get(head[156:157])
    if kind is None:
        return None  # a volume's name and the like
    name = names.get("GNU.sparse.name") or names.get("path")
    if name is None:
        name = text(head[:100])
        if head[257:263] == b"ustar\0" and head[345]:
            name = f"{text(head[345:500])}/{name}"
    target = names.get("linkpath", text(head[157:257])) if kind in ("link", "hard-link") else ""
    if kind == "file" and name.endswith("/"):
        kind = "dir"
    return Member(
        path=place(name, at),
        kind=kind,
        mode=number(head[100:108]) & 0o7777,
        target=place(target, at) if kind == "hard-link" else target,
        content=content if kind == "file" else None,
    )


def _meta(kind: bytes, content: Content, names: dict[str, str]) -> dict[str, str]:
    """Return the names for the next member with what this header says about it."""
    if content.size > _NAME_LIMIT:
        raise FormatError(f"a tar header claims {content.size} bytes")
    data = content.pread(0, content.size)
    if len(data) < content.size:
        raise FormatError("a tar header is cut off")
    if kind == b"g":
        return names
    if kind == b"x":
        return names | _pax(data)
    return names | {"path" if kind == b"L" else "linkpath": text(data)}


def _pax(data: bytes) -> dict[str, str]:
    """Return the records of a pax header: a length, a space, a key, ``=``, a value, a newline."""
    records = {}
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 20)
        length = data[at:space]
        if space < 0 or not length.isdigit() or not space - at < int(length) <= len(data) - at:
            raise FormatError("a pax header is damaged")
        key, _, value = data[space + 1 : at + int(length) - 1].partition(b"=")
        records[text(key)] = text(value)
        at += int(length)
    return records


def _decimal(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise FormatError("a pax header holds no size where one belongs")
    return int(value)


def _checksum_fits(head: bytes) -> bool:
    digits = head[148:156].partition(b"\0")[0].strip()
    if not digits or digits.strip(b"01234567"):
        return False
    rest = head[:148] + b" " * 8 + head[156:]
    wrong = sum(rest) - int(digits, 8)
    return not wrong or wrong == 256 * len(rest.translate(None, _ASCII))  # signed bytes, as some old programs add them
