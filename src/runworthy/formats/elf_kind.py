"""What an ELF file is for, by its header and the kinds of its sections: read for every file of a tree, so in few reads.

Source: ELF gABI, "ELF Header" (e_type) and "Sections"; ``objcopy --only-keep-debug`` and ``eu-strip -f`` turn the
sections that are loaded into SHT_NOBITS and leave the program headers as they were.
"""

from __future__ import annotations

from typing import Literal

from runworthy.formats.content import Content
from runworthy.formats.elf.header import MAGIC, layout_of, read_header
from runworthy.formats.elf.layout import SHF_ALLOC, SHT_NOBITS
from runworthy.model.elf import ET_DYN, ET_EXEC, ElfHeader
from runworthy.model.errors import FormatError

__all__ = ["MAGIC", "ElfKind", "elf_kind"]

ElfKind = Literal["subject", "relocatable object", "core file", "debug file"]

_KINDS: dict[int, ElfKind] = {1: "relocatable object", 4: "core file"}
_SHF_EXECINSTR = 4
_SHT_NOTE = 7
_SECTIONS_READ = 1024


def elf_kind(content: Content) -> ElfKind:
    """Return what the file is for. What cannot be told is a subject, so that damage is judged and told. Raises OSError.

    A shared object or an executable that has code and data in name only is a detached debug file.
    """
    try:
        header = read_header(content)
    except FormatError:
        return "subject"
    if header.type in (ET_EXEC, ET_DYN):
        return "debug file" if _is_hollow(content, header) else "subject"
    return _KINDS.get(header.type, "subject")


def _is_hollow(content: Content, header: ElfHeader) -> bool:
    """Whether all code that is loaded has no bytes in the file; of files without code the same of their data."""
    shdr = layout_of(header.ident).shdr
    count = min(header.shnum, _SECTIONS_READ)
    if not count or header.shentsize != shdr.size:
        return False
    table = content.pread(header.shoff, count * shdr.size)
    rows = shdr.iter_unpack(table[: len(table) - len(table) % shdr.size])
    # Notes stay in a debug file: by the build ID it is found.
    loaded = [(kind, flags) for _, kind, flags, *_ in rows if flags & SHF_ALLOC and kind != _SHT_NOTE]
    held = [kind for kind, flags in loaded if flags & _SHF_EXECINSTR] or [kind for kind, _ in loaded]
    return bool(held) and all(kind == SHT_NOBITS for kind in held)
