"""Which telling texts stand in a file's constants: paths that show what a program opens by itself at run time."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.formats.content import Content
from runworthy.formats.elf.layout import PF_W, PF_X, PT_LOAD, Layout
from runworthy.formats.elf.sections import read_sections
from runworthy.model.elf import MENTIONS, ElfHeader, Segment

__all__ = ["read_mentions"]

_SCAN_LIMIT = 256 << 20
_BLOCK = 1 << 20
_OVERLAP = max(map(len, MENTIONS)) - 1
_CONSTANTS = b".rodata"


def read_mentions(
    content: Content, header: ElfHeader, segments: tuple[Segment, ...], layout: Layout
) -> frozenset[bytes]:
    """Return which of ``MENTIONS`` occur in the file's read-only data, read block by block. Raises OSError."""
    found: set[bytes] = set()
    start, left = 0, _SCAN_LIMIT
    for offset, size in sorted(_constants(content, header, segments, layout)):  # each byte is read once
        start = max(start, offset)
        end = min(offset + size, content.size, start + left)
        tail = b""
        for at in range(start, end, _BLOCK):
            block = tail + content.pread(at, min(_BLOCK, end - at))
            found.update([text for text in MENTIONS if text not in found and text in block])
            tail = block[-_OVERLAP:]
        left -= max(end - start, 0)
        start = max(start, end)
    return frozenset(found)


def _constants(
    content: Content, header: ElfHeader, segments: tuple[Segment, ...], layout: Layout
) -> Iterator[tuple[int, int]]:
    """Yield (offset, size) of what holds constants: the section of that name; without one, segments.

    Linkers that separate code keep constants in segments that are neither writable nor executable; where there is
    no such segment they lie beside the code.
    """
    sections = read_sections(content, header, layout, (_CONSTANTS,))
    if sections:
        yield from sections.values()
        return
    loaded = [segment for segment in segments if segment.type == PT_LOAD]
    for segment in [one for one in loaded if not one.flags & (PF_W | PF_X)] or loaded:
        yield segment.offset, segment.filesz
