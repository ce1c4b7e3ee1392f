"""What compilers leave in a file: Go build information, the Rust version, ``.comment``.

Source of the Go format: ``debug/buildinfo`` of the Go distribution (the blob that the linker writes and
that ``go version -m`` reads). Rust's compiler signs ``.comment``; where that is stripped, the paths in the
standard library's panic messages (``/rustc/<commit>/library/...``) still tell the compiler's commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.header import AddressMap
from runworthy.formats.elf.layout import PF_W, PF_X, PT_LOAD, Layout
from runworthy.formats.elf.sections import read_sections
from runworthy.model.elf import BuildInfo, ElfHeader, GoBuild, Segment
from runworthy.model.errors import FormatError

__all__ = ["read_build"]

GO_MAGIC = b"\xff Go buildinf:"
_GO_ALIGN = 16
_GO_HEAD = 32
_GO_LIMIT = 4 << 20
_SEARCH_LIMIT = 64 << 20
_BLOCK = 1 << 20
_COMMENT_LIMIT = 1 << 16
_SECTIONS = (b".comment", b".go.buildinfo")
_RUST = re.compile(r"rustc version (\S+)")
_RUST_PATH = re.compile(rb"/rustc/([0-9a-f]{40})/")


def read_build(content: Content, header: ElfHeader, segments: tuple[Segment, ...], layout: Layout) -> BuildInfo:
    """Return the build information that can be found. Raises OSError."""
    sections = read_sections(content, header, layout, _SECTIONS)
    comments = _comments(content, *sections[b".comment"]) if sections and b".comment" in sections else ()
    rust = next((found[1] for part in comments if (found := _RUST.search(part))), None)
    go = _go_of(content, sections, segments, layout)
    if rust is None and go is None and not comments:
        rust = _rust_commit(content, segments)
    return BuildInfo(go=go, rust=rust, comments=comments)


def read_go(content: Content, header: ElfHeader, segments: tuple[Segment, ...], layout: Layout) -> GoBuild | None:
    """Return the Go build information alone, without a search for other compilers. Raises OSError."""
    return _go_of(content, read_sections(content, header, layout, _SECTIONS), segments, layout)


def _go_of(
    content: Content, sections: dict[bytes, tuple[int, int]] | None, segments: tuple[Segment, ...], layout: Layout
) -> GoBuild | None:
    """Return what the Go linker left: in its section, else, as debug/buildinfo looks for it, in the data.

    A file with compilers' comments has that section, if it has any Go in it.
    """
    places: list[tuple[int, int]] = []
    if sections and b".go.buildinfo" in sections:
        places = [sections[b".go.buildinfo"]]
    elif not sections or b".comment" not in sections:
        places = [(s.offset, s.filesz) for s in segments if s.type == PT_LOAD and _access(s) == PF_W]
    offset = _find_go(content, places)
    return None if offset is None else _go(content, offset, segments, layout)


def _access(segment: Segment) -> int:
    return segment.flags & (PF_W | PF_X)


def _comments(content: Content, offset: int, size: int) -> tuple[str, ...]:
    text = content.pread(offset, min(size, _COMMENT_LIMIT)).decode("utf-8", "replace")
    return tuple(dict.fromkeys(part for part in text.split("\0") if part))


def _blocks(content: Content, places: Iterable[tuple[int, int]], overlap: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of (offset, size) stretches, each block beginning ``overlap`` bytes before the last's end.

    Any number of segments may claim the same bytes, so there is one limit for all.
    """
    left = _SEARCH_LIMIT
    for start, size in places:
        end = min(start + min(size, left), content.size)
        for offset in range(start, end, _BLOCK - overlap):
            yield offset, content.pread(offset, min(_BLOCK, end - offset))
        left -= max(end - start, overlap)
        if left <= 0:
            return


def _rust_commit(content: Content, segments: tuple[Segment, ...]) -> str | None:
    """Return ``commit <hash>`` of the compiler whose standard library is linked in."""
    loaded = [segment for segment in segments if segment.type == PT_LOAD]
    constants = [s for s in loaded if _access(s) == 0] or [s for s in loaded if _access(s) == PF_X]
    for _, block in _blocks(content, [(s.offset, s.filesz) for s in constants], 64):
        found = _RUST_PATH.search(block)
        if found:
            return f"commit {found[1].decode('ascii')}"
    return None


def _go(content: Content, offset: int, segments: tuple[Segment, ...], layout: Layout) -> GoBuild | None:
    """Return what the blob at ``offset`` tells, None when it is none after all."""
    try:
        head = read_exactly(content, offset, _GO_HEAD, "Go build information")
        if head[15] & 2:
            version, end = _varint_string(content, offset + _GO_HEAD)
            module, _ = _varint_string(content, end)
        else:
            version, module = _pointed_strings(content, head, segments, layout)
    except FormatError:
        return None
    return _parse_go(version.decode("utf-8", "replace"), module) if version else None


def _find_go(content: Content, places: Iterable[tuple[int, int]]) -> int | None:
    """Return the offset of the blob; it is aligned in the address space, and so in the file."""
    for offset, block in _blocks(content, places, _GO_HEAD):
        position = block.find(GO_MAGIC)
        while position >= 0:
            if (offset + position) % _GO_ALIGN == 0:
                return offset + position
            position = block.find(GO_MAGIC, position + 1)
    return None


def _varint_string(content: Content, offset: int) -> tuple[bytes, int]:
    """Return a string that its length precedes (encoding/binary Uvarint), and where it ends."""
    head = content.pread(offset, 10)
    size = used = 0
    for used, byte in enumerate(head, 1):
        size |= (byte & 0x7F) << (7 * (used - 1))
        if not byte & 0x80:
            break
    if size > _GO_LIMIT:
        raise FormatError(f"Go build information claims {size} bytes", offset=offset)
    return read_exactly(content, offset + used, size, "Go build information"), offset + used + size


def _pointed_strings(
    content: Content, head: bytes, segments: tuple[Segment, ...], layout: Layout
) -> tuple[bytes, bytes]:
    """Return the strings of Go before 1.18: the blob has two pointers to string headers (pointer, length)."""
    width = head[14]
    if width not in (4, 8):
        raise FormatError(f"Go build information has pointers of {width} bytes")
    addresses = AddressMap(segments)

    def number(data: bytes, at: int) -> int:
        return int.from_bytes(data[at : at + width], layout.endian)

    def string(pointer: int) -> bytes:
        if not pointer:
            return b""
        header = read_exactly(content, addresses.offset(pointer, "Go string"), 2 * width, "Go string")
        start, size = number(header, 0), number(header, width)
        if size > _GO_LIMIT:
            raise FormatError(f"Go string claims {size} bytes")
        return read_exactly(content, addresses.offset(start, "Go string"), size, "Go string") if size else b""

    return string(number(head, 16)), string(number(head, 16 + width))


def _parse_go(version: str, module: bytes) -> GoBuild:
    """Parse the module text, which the linker wraps in two 16-byte markers; other text is none."""
    text = module[16:-16] if len(module) >= 33 and module[-17:-16] == b"\n" else b""
    settings: dict[str, str] = {}
    path = main = ""
    for line in text.decode("utf-8", "replace").split("\n"):
        kind, _, rest = line.partition("\t")
        if kind == "path":
            path = rest
        elif kind == "mod":
            main = " ".join(rest.split("\t")[:2])
        elif kind == "build":
            key, _, value = rest.partition("=")
            settings[key] = value
    return GoBuild(version=version, path=path, module=main, settings=settings)
