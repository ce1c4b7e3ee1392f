"""Section headers, for the few questions that segments cannot answer; many files have none."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.layout import SHF_ALLOC, SHN_XINDEX, SHT_NOBITS, SHT_REL, SHT_RELA, Layout
from runworthy.model.elf import ElfHeader, Segment
from runworthy.model.errors import FormatError

__all__ = ["end_of", "has_sections", "read_relocation_sections", "read_sections"]

_SECTION_LIMIT = 1 << 18
_NAME_LIMIT = 64


def has_sections(header: ElfHeader, size: int) -> bool:
    """Whether the header leads to section headers inside a file of ``size`` bytes. A count of 0 stands in the first."""
    return 0 < header.shoff < size and header.shoff + header.shnum * header.shentsize <= size


def read_sections(
    content: Content, header: ElfHeader, layout: Layout, wanted: Collection[bytes]
) -> dict[bytes, tuple[int, int]] | None:
    """Return name -> (offset, size) of the ``wanted`` sections that have bytes in the file. Raises OSError.

    None when the section headers are stripped or damaged: nothing that runs depends on them.
    """
    try:
        rows = _rows(content, header, layout)
        index = rows[0][6] if header.shstrndx == SHN_XINDEX else header.shstrndx
        names = read_exactly(content, rows[index][4], rows[index][5], "section names")
    except (FormatError, IndexError):
        return None
    found: dict[bytes, tuple[int, int]] = {}
    for name, kind, _flags, _address, offset, length, *_ in rows:
        text = names[name : names.find(b"\0", name, name + _NAME_LIMIT)]
        if text in wanted and kind != SHT_NOBITS:
            found.setdefault(text, (offset, length))
    return found


def end_of(content: Content, header: ElfHeader, segments: Iterable[Segment], layout: Layout) -> int:
    """Return where the last byte that headers, segments and sections lead to ends. Raises OSError.

    What comes after it was appended by somebody: an archive that the program reads out of its own file.
    """
    ends = [layout.ehdr.size, header.phoff + header.phnum * header.phentsize]
    ends += [segment.offset + segment.filesz for segment in segments]
    try:
        rows = _rows(content, header, layout)
    except FormatError:
        return max(ends)
    ends.append(header.shoff + len(rows) * header.shentsize)
    ends += [offset + length for _, kind, _, _, offset, length, *_ in rows if kind != SHT_NOBITS]
    return max(ends)


def read_relocation_sections(content: Content, header: ElfHeader, layout: Layout) -> list[tuple[int, int, bool]]:
    """Return (offset, size, with addends) of the relocations that a static program applies itself. Raises OSError."""
    try:
        rows = _rows(content, header, layout)
    except FormatError:
        return []
    return [
        (offset, length, kind == SHT_RELA)
        for _name, kind, flags, _address, offset, length, *_ in rows
        if kind in (SHT_RELA, SHT_REL) and flags & SHF_ALLOC
    ]


def _rows(content: Content, header: ElfHeader, layout: Layout) -> list[tuple[int, ...]]:
    """Return the section headers. Raises FormatError when there are none."""
    size = layout.shdr.size
    if not has_sections(header, content.size) or header.shentsize != size:
        raise FormatError("no section headers", offset=header.shoff)
    first = layout.shdr.unpack(read_exactly(content, header.shoff, size, "section header 0"))
    count = header.shnum or first[5]
    if count > _SECTION_LIMIT:
        raise FormatError(f"section header 0 claims {count} sections", offset=header.shoff)
    return list(layout.shdr.iter_unpack(read_exactly(content, header.shoff, size * count, "section headers")))
