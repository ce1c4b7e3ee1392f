"""Field layouts of ELF structures by class, and the constants of the gABI and the GNU extensions.

Source: ELF gABI chapters 4 and 5; the GNU extensions as in glibc ``elf/elf.h``.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from runworthy.model.arch import Endian

__all__ = ["LAYOUTS", "Layout"]

EHDR_SIZE = {32: 52, 64: 64}

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
PT_GNU_STACK, PT_GNU_PROPERTY = 0x6474E551, 0x6474E553
PF_X = 1

DT_NULL, DT_NEEDED, DT_PLTRELSZ, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ = 0, 1, 2, 4, 5, 6, 7, 8
DT_STRSZ, DT_SONAME, DT_RPATH, DT_SYMBOLIC, DT_REL, DT_RELSZ, DT_PLTREL, DT_TEXTREL = 10, 14, 15, 16, 17, 18, 20, 22
DT_JMPREL, DT_BIND_NOW, DT_RUNPATH, DT_FLAGS = 23, 24, 29, 30
DT_RELRSZ, DT_RELR = 35, 36
DT_ANDROID_REL, DT_ANDROID_RELA = 0x6000000F, 0x60000011
DT_GNU_HASH, DT_VERSYM, DT_FLAGS_1 = 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFB
DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
DT_MIPS_GOTSYM, DT_MIPS_SYMTABNO = 0x70000013, 0x70000011

SHN_UNDEF, SHN_ABS = 0, 0xFFF1
STB_LOCAL, STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE = 0, 1, 2, 10
STV_INTERNAL, STV_HIDDEN = 1, 2
# NOTYPE, OBJECT, FUNC, COMMON, TLS, GNU_IFUNC: the types that a lookup may return (elf/dl-lookup.c ALLOWED_STT).
LINKABLE_TYPES = frozenset((0, 1, 2, 5, 6, 10))
LINKABLE_BINDS = frozenset((STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE))

VER_FLG_BASE, VER_FLG_WEAK = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Unpackers for one class and byte order. ``sym`` yields name, info, other, shndx, value in that order."""

    bits: int
    endian: Endian
    ehdr: Struct
    phdr: Struct
    shdr: Struct
    dyn: Struct
    sym: Struct
    word: Struct
    half: Struct


def _layout(bits: int, endian: Endian) -> Layout:
    order = "<" if endian == "little" else ">"
    wide = bits == 64
    return Layout(
        bits=bits,
        endian=endian,
        ehdr=Struct(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")),
        phdr=Struct(order + ("IIQQQQQQ" if wide else "IIIIIIII")),
        shdr=Struct(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII")),
        dyn=Struct(order + ("qQ" if wide else "iI")),
        sym=Struct(order + ("IBBHQQ" if wide else "IIIBBH")),
        word=Struct(order + "I"),
        half=Struct(order + "H"),
    )


LAYOUTS: dict[tuple[int, int], Layout] = {
    (1, 1): _layout(32, "little"),
    (1, 2): _layout(32, "big"),
    (2, 1): _layout(64, "little"),
    (2, 2): _layout(64, "big"),
}
"""By (EI_CLASS, EI_DATA)."""
