"""Notes: minimum kernel, build id, GNU properties, and libraries that a program opens by itself.

Sources: LSB "ABI note tag" and glibc ``csu/abi-note.S``; FreeBSD ``lib/csu/common/crtbrand.S``, NetBSD
``lib/csu/common/sysident.S``, OpenBSD ``lib/csu/os-note-elf.h``, DragonFly ``lib/csu/common/crtbrand.c``; x86-64 psABI
"Program Property" and glibc ``sysdeps/x86/dl-prop.h``; the UAPI group's "ELF dlopen metadata" (vendor ``FDO``, type
0x407c0c0a).
"""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.formats.content import Content
from runworthy.formats.elf.layout import PT_GNU_PROPERTY, PT_NOTE, Layout
from runworthy.formats.elf.sections import read_sections
from runworthy.model.elf import DlopenNote, ElfHeader, Segment
from runworthy.model.records import dataclass, field

__all__ = ["Notes", "read_notes"]

_NOTES_LIMIT = 1 << 20

NT_GNU_ABI_TAG, NT_GNU_BUILD_ID, NT_GNU_PROPERTY_TYPE_0 = 1, 3, 5
NT_FDO_DLOPEN = 0x407C0C0A
NT_BSD_ABI_TAG = 1
_SYSTEMS = {b"FreeBSD": "FreeBSD", b"NetBSD": "NetBSD", b"OpenBSD": "OpenBSD", b"DragonFly": "DragonFly"}
"""Systems whose programs carry a note of their own, by its owner."""
GNU_PROPERTY_FEATURE_1_AND = {62: 0xC0000002, 3: 0xC0000002, 183: 0xC0000000, 243: 0xC0000000}
GNU_PROPERTY_X86_ISA_1_NEEDED, GNU_PROPERTY_X86_ISA_1_USED = 0xC0008002, 0xC0010002


@dataclass(slots=True)
class Notes:
    """What the notes of one file say; see the fields of the same names in ElfFacts."""

    abi_os: int | None = None
    abi_kernel: tuple[int, int, int] | None = None
    build_id: str | None = None
    isa_needed: int = 0
    isa_used: int = 0
    feature_1: int = 0
    dlopen: list[DlopenNote] = field(default_factory=list)
    systems: set[str] = field(default_factory=set)

    @property
    def system(self) -> str:
        """The one other system that it is for. Programs of Cosmopolitan carry the notes of several, and are for all."""
        return "".join(self.systems) if len(self.systems) == 1 and self.abi_os is None else ""


def read_notes(content: Content, header: ElfHeader, segments: tuple[Segment, ...], layout: Layout) -> Notes:
    """Return what the note segments tell. A malformed note ends its segment; loaders skip it too. Raises OSError."""
    notes = Notes()
    left = _NOTES_LIMIT
    seen: set[tuple[int, int]] = set()
    for segment in segments:
        place = segment.offset, segment.filesz
        if segment.type not in (PT_NOTE, PT_GNU_PROPERTY) or place in seen or segment.filesz > left:
            continue
        seen.add(place)  # PT_GNU_PROPERTY repeats a PT_NOTE
        left -= segment.filesz
        data = content.pread(segment.offset, segment.filesz)
        for note in _walk(data, layout, 8 if segment.align == 8 else 4):
            _take(notes, note, layout, header.machine)
    if notes.build_id is None and left < _NOTES_LIMIT:
        notes.build_id = _build_id_by_section(content, header, layout)
    return notes


def _build_id_by_section(content: Content, header: ElfHeader, layout: Layout) -> str | None:
    """Return the build id of Go's linker, which leaves its note out of the segments."""
    found = read_sections(content, header, layout, (b".note.gnu.build-id",))
    for offset, size in found.values() if found else ():
        for owner, kind, body in _walk(content.pread(offset, min(size, _NOTES_LIMIT)), layout, 4):
            if owner == b"GNU" and kind == NT_GNU_BUILD_ID:
                return body.hex()
    return None


def _walk(data: bytes, layout: Layout, align: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield (owner, type, description); as ELF_NOTE_NEXT_OFFSET, both are padded from the note's start on."""
    position = 0
    while position + 12 <= len(data):
        name_size, size, kind = layout.note.unpack_from(data, position)
        start = position + 12
        body = start + name_size
        body += (position - body) % align
        if body + size > len(data):
            return
        yield data[start : start + name_size].rstrip(b"\0"), kind, data[body : body + size]
        position = body + size + -size % align


def _take(notes: Notes, note: tuple[bytes, int, bytes], layout: Layout, machine: int) -> None:
    owner, kind, body = note
    if owner == b"GNU":
        if kind == NT_GNU_BUILD_ID:
            notes.build_id = body.hex()
        elif kind == NT_GNU_PROPERTY_TYPE_0:
            _take_properties(notes, body, layout, machine)
        elif kind == NT_GNU_ABI_TAG and len(body) >= 16:
            notes.abi_os, *kernel = (number for (number,) in layout.word.iter_unpack(body[:16]))
            notes.abi_kernel = (kernel[0], kernel[1], kernel[2]) if notes.abi_os == 0 else None
    elif owner in _SYSTEMS and kind == NT_BSD_ABI_TAG:
        notes.systems.add(_SYSTEMS[owner])
    elif owner == b"FDO" and kind == NT_FDO_DLOPEN:
        notes.dlopen.extend(_dlopen_entries(body))


def _take_properties(notes: Notes, body: bytes, layout: Layout, machine: int) -> None:
    word = layout.word
    step = layout.bits // 8
    position = 0
    while position + 8 <= len(body):
        kind = word.unpack_from(body, position)[0]
        size = word.unpack_from(body, position + 4)[0]
        if size == 4 and position + 12 <= len(body):
            value = word.unpack_from(body, position + 8)[0]
            if kind == GNU_PROPERTY_FEATURE_1_AND.get(machine):
                notes.feature_1 |= value
            elif machine in (62, 3) and kind == GNU_PROPERTY_X86_ISA_1_NEEDED:
                notes.isa_needed |= value
            elif machine in (62, 3) and kind == GNU_PROPERTY_X86_ISA_1_USED:
                notes.isa_used |= value
        position += 8 + size + -size % step


def _dlopen_entries(body: bytes) -> Iterator[DlopenNote]:
    import json  # only files that carry the note pay for it

    try:
        entries = json.loads(body.rstrip(b"\0"))
    except (ValueError, RecursionError):
        return
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("soname"), list):
            yield DlopenNote(
                feature=_text(entry.get("feature")),
                description=_text(entry.get("description")),
                priority=_text(entry.get("priority")) or "recommended",
                sonames=tuple(_text(name) for name in entry["soname"] if isinstance(name, str)),
            )


def _text(value: object) -> str:
    """Return a JSON string without the lone surrogates that JSON can smuggle in."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""
