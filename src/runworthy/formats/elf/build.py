"""What compilers leave in a file: Go build information, the Rust version, ``.comment``.

Source of the Go format: ``debug/buildinfo`` of the Go distribution (the blob that the linker writes and
that ``go version -m`` reads).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.layout import Layout
from runworthy.model.elf import BuildInfo, ElfHeader, GoBuild, Segment
from runworthy.model.errors import FormatError

__all__ = ["read_build"]

GO_MAGIC = b"\xff Go buildinf:"
_GO_SEARCH = 1 << 20
_GO_LIMIT = 4 << 20
_SECTION_LIMIT = 65536
_COMMENT_LIMIT = 1 << 16
_RUST = re.compile(r"rustc version (\S+)")


def read_build(content: Content, header: ElfHeader, segments: Sequence[Segment], layout: Layout) -> BuildInfo:
    """Return the build information that can be found. Raises OSError."""
    sections = _sections(content, header, layout)
    comments: tuple[str, ...] = ()
    if ".comment" in sections:
        offset, size = sections[".comment"]
        text = content.pread(offset, min(size, _COMMENT_LIMIT)).decode("utf-8", "replace")
        comments = tuple(dict.fromkeys(part for part in text.split("\0") if part))
    rust = next((found[1] for part in comments if (found := _RUST.search(part))), None)
    return BuildInfo(go=_go(content, sections, segments, layout), rust=rust, comments=comments)


def _sections(content: Content, header: ElfHeader, layout: Layout) -> dict[str, tuple[int, int]]:
    """Return section name -> (offset, size); empty when the headers are stripped or damaged."""
    try:
        if not header.shoff or header.shentsize != layout.shdr.size or not 0 < header.shnum < _SECTION_LIMIT:
            return {}
        table = read_exactly(content, header.shoff, header.shnum * header.shentsize, "section headers")
        rows = list(layout.shdr.iter_unpack(table))
        _, _, _, _, names_offset, names_size, *_ = rows[header.shstrndx]
        names = read_exactly(content, names_offset, names_size, "section names")
    except (FormatError, IndexError):
        return {}
    found = {}
    for name, _kind, _flags, _address, offset, size, *_ in rows:
        end = names.find(b"\0", name)
        found[names[name : max(end, name)].decode("ascii", "replace")] = (offset, size)
    return found


def _go(
    content: Content, sections: dict[str, tuple[int, int]], segments: Sequence[Segment], layout: Layout
) -> GoBuild | None:
    """Return the Go blob: from its section, else found on a 16-byte boundary in the first writable segment."""
    if ".go.buildinfo" in sections:
        start, size = sections[".go.buildinfo"]
    else:
        data = next((s for s in segments if s.type == 1 and s.flags & 2), None)
        if data is None or ".comment" in sections:  # the Go linker writes no .comment
            return None
        start, size = data.offset, data.filesz
    window = content.pread(start, min(size, _GO_SEARCH))
    position = window.find(GO_MAGIC)
    while position >= 0 and (start + position) % 16:
        position = window.find(GO_MAGIC, position + 1)
    if position < 0 or position + 32 > len(window):
        return None
    pointer_size, flags = window[position + 14], window[position + 15]
    try:
        if flags & 2:
            version, offset = _varint_string(content, start + position + 32)
            module, _ = _varint_string(content, offset)
        else:
            version, module = _pointed_strings(content, window, position, pointer_size, segments, layout)
    except FormatError:
        return None
    return _parse_go(version.decode("utf-8", "replace"), module)


def _varint_string(content: Content, offset: int) -> tuple[bytes, int]:
    head = content.pread(offset, 10)
    size = shift = used = 0
    for byte in head:
        size |= (byte & 0x7F) << shift
        shift += 7
        used += 1
        if not byte & 0x80:
            break
    if size > _GO_LIMIT:
        raise FormatError(f"Go build information claims {size} bytes", offset=offset)
    return read_exactly(content, offset + used, size, "Go build information"), offset + used + size


def _pointed_strings(
    content: Content, window: bytes, position: int, pointer_size: int, segments: Sequence[Segment], layout: Layout
) -> tuple[bytes, bytes]:
    """Return the strings that Go before 1.18 points to: two pointers to string headers."""
    from runworthy.formats.elf.dynamic import AddressMap

    if pointer_size not in (4, 8):
        raise FormatError(f"Go build information has pointers of {pointer_size} bytes")
    order = layout.endian
    addresses = AddressMap(segments)

    def string(at: int) -> bytes:
        pointer = int.from_bytes(window[at : at + pointer_size], order)
        head = read_exactly(content, addresses.offset(pointer, "Go string"), 2 * pointer_size, "Go string")
        start, size = (int.from_bytes(head[i : i + pointer_size], order) for i in (0, pointer_size))
        if size > _GO_LIMIT:
            raise FormatError(f"Go string claims {size} bytes")
        return read_exactly(content, addresses.offset(start, "Go string"), size, "Go string") if size else b""

    return string(position + 16), string(position + 16 + pointer_size)


def _parse_go(version: str, module: bytes) -> GoBuild:
    """Parse the module text, which the linker wraps in two 16-byte markers."""
    if len(module) >= 33 and module[-17:-16] == b"\n":
        module = module[16:-16]
    settings: dict[str, str] = {}
    path = main = ""
    for line in module.decode("utf-8", "replace").splitlines():
        kind, _, rest = line.partition("\t")
        if kind == "path":
            path = rest
        elif kind == "mod":
            main = " ".join(rest.split("\t")[:2])
        elif kind == "build":
            key, _, value = rest.partition("=")
            settings[key] = value
    return GoBuild(version=version, path=path, module=main, settings=settings)
