"""The file header and the program headers."""

from __future__ import annotations

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.layout import EHDR_SIZE, LAYOUTS, Layout
from runworthy.model.elf import ElfHeader, Segment
from runworthy.model.errors import FormatError

__all__ = ["is_elf", "layout_of", "read_header", "read_segments"]

MAGIC = b"\x7fELF"


def is_elf(content: Content) -> bool:
    """Whether the content begins with the ELF magic. Raises OSError."""
    return content.pread(0, 4) == MAGIC


def layout_of(ident: bytes) -> Layout:
    """Return the unpackers that EI_CLASS and EI_DATA ask for. Raises FormatError for other values."""
    try:
        return LAYOUTS[ident[4], ident[5]]
    except KeyError:
        raise FormatError(f"EI_CLASS {ident[4]} and EI_DATA {ident[5]} are no ELF class and byte order", offset=4) from None


def read_header(content: Content) -> ElfHeader:
    """Return the file header without judging its values. Raises FormatError when there is none, OSError."""
    head = content.pread(0, 64)
    if head[:4] != MAGIC:
        raise FormatError("the file is empty" if not head else "not an ELF file", offset=0)
    if len(head) < EHDR_SIZE[32]:
        raise FormatError(f"the file ends inside the ELF header ({len(head)} bytes)", offset=len(head))
    layout = layout_of(head[:16])
    if len(head) < EHDR_SIZE[layout.bits]:
        raise FormatError(f"the file ends inside the ELF header ({len(head)} bytes)", offset=len(head))
    values = layout.ehdr.unpack_from(head, 16)
    kind, machine, version, entry, phoff, shoff, flags, _ehsize, phentsize, phnum, shentsize, shnum, shstrndx = values
    return ElfHeader(
        ident=head[:16],
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


def read_segments(content: Content, header: ElfHeader, layout: Layout) -> tuple[Segment, ...]:
    """Return the program headers. Raises FormatError when the table lies outside the file."""
    size = layout.phdr.size
    if header.phnum == 0:
        return ()
    if header.phentsize != size:
        raise FormatError(f"program header entries are {header.phentsize} bytes, not {size}", offset=header.phoff)
    table = read_exactly(content, header.phoff, size * header.phnum, "program header table")
    rows = layout.phdr.iter_unpack(table)
    if layout.bits == 64:
        return tuple(
            Segment(type=kind, flags=flags, offset=offset, vaddr=vaddr, filesz=filesz, memsz=memsz, align=align)
            for kind, flags, offset, vaddr, _, filesz, memsz, align in rows
        )
    return tuple(
        Segment(type=kind, flags=flags, offset=offset, vaddr=vaddr, filesz=filesz, memsz=memsz, align=align)
        for kind, offset, vaddr, _, filesz, memsz, flags, align in rows
    )
