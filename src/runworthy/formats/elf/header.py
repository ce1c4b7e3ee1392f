"""The file header and the program headers (ELF gABI, "ELF Header" and "Program Header")."""

from __future__ import annotations

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.layout import LAYOUTS, PN_XNUM, PT_LOAD, Layout
from runworthy.model.elf import ElfHeader, Segment
from runworthy.model.errors import FormatError

__all__ = ["AddressMap", "is_elf", "layout_of", "read_header", "read_segments"]

MAGIC = b"\x7fELF"
_SEGMENT_LIMIT = 1 << 16


def is_elf(content: Content) -> bool:
    """Whether the content begins with the ELF magic. Raises OSError."""
    return content.pread(0, 4) == MAGIC


def layout_of(ident: bytes) -> Layout:
    """Return the unpackers that EI_CLASS and EI_DATA ask for. Raises FormatError for other values."""
    try:
        return LAYOUTS[ident[4], ident[5]]
    except KeyError:
        message = f"EI_CLASS {ident[4]} and EI_DATA {ident[5]} are no ELF class and byte order"
        raise FormatError(message, offset=4) from None


def read_header(content: Content) -> ElfHeader:
    """Return the file header without judging its values. Raises FormatError when there is none, OSError."""
    head = content.pread(0, 64)
    if head[:4] != MAGIC:
        raise FormatError("not an ELF file" if head else "the file is empty", offset=0)
    if len(head) < LAYOUTS[1, 1].ehdr.size:
        raise _cut(head)
    layout = layout_of(head)
    if len(head) < layout.ehdr.size:
        raise _cut(head)
    values = layout.ehdr.unpack_from(head)
    ident, kind, machine, version, entry, phoff, shoff, flags, _, phentsize, phnum, shentsize, shnum, shstrndx = values
    return ElfHeader(
        ident=ident,
        elf_class=layout.bits,
        endian=layout.endian,
        type=kind,
        machine=machine,
        version=version,
        entry=entry,
        phoff=phoff,
        shoff=shoff,
        flags=flags,
        phentsize=phentsize,
        phnum=phnum,
        shentsize=shentsize,
        shnum=shnum,
        shstrndx=shstrndx,
    )


def _cut(head: bytes) -> FormatError:
    return FormatError(f"the file ends inside the ELF header ({len(head)} bytes)", offset=len(head))


def read_segments(content: Content, header: ElfHeader, layout: Layout) -> tuple[Segment, ...]:
    """Return the program headers. Raises FormatError when the table lies outside the file, OSError."""
    count = _segment_count(content, header, layout)
    if count == 0:
        return ()
    size = layout.phdr.size
    if header.phentsize != size:
        raise FormatError(f"program header entries are {header.phentsize} bytes, not {size}", offset=header.phoff)
    rows = layout.phdr.iter_unpack(read_exactly(content, header.phoff, size * count, "program header table"))
    if layout.bits == 64:
        return tuple(map(Segment._make, rows))
    return tuple(
        [
            Segment(kind, flags, offset, vaddr, filesz, memsz, align)
            for kind, offset, vaddr, filesz, memsz, flags, align in rows
        ]
    )


def _segment_count(content: Content, header: ElfHeader, layout: Layout) -> int:
    """Return e_phnum, or what section header 0 holds in its place (PN_XNUM)."""
    if header.phnum != PN_XNUM or not header.shoff:
        return header.phnum
    first = read_exactly(content, header.shoff, layout.shdr.size, "section header 0")
    count: int = layout.shdr.unpack(first)[7]
    if count > _SEGMENT_LIMIT:
        raise FormatError(f"section header 0 claims {count} program headers", offset=header.shoff)
    return count


class AddressMap:
    """Virtual addresses to file offsets, by the PT_LOAD segments."""

    __slots__ = ("_rows",)

    def __init__(self, segments: tuple[Segment, ...]) -> None:
        self._rows = [(s.vaddr, s.filesz, s.offset) for s in segments if s.type == PT_LOAD]

    def find(self, address: int) -> tuple[int, int] | None:
        """Return (file offset of ``address``, bytes that its segment holds from there), None when unmapped."""
        for vaddr, filesz, offset in self._rows:
            if 0 <= address - vaddr < filesz:
                return address - vaddr + offset, vaddr + filesz - address
        return None

    def offset(self, address: int, what: str) -> int:
        """Return the file offset of ``address``. Raises FormatError when no segment holds it."""
        found = self.find(address)
        if found is None:
            raise FormatError(f"{what} at address {address:#x} lies in no loaded segment")
        return found[0]
