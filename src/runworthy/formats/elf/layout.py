"""Field layouts of ELF structures by class, and the constants of the gABI and the GNU extensions.

Source: ELF gABI chapters 4 and 5; the GNU extensions as in glibc ``elf/elf.h``.
"""

from __future__ import annotations

from array import array
from struct import Struct
from sys import byteorder

from runworthy.model.arch import Endian
from runworthy.model.records import dataclass

__all__ = ["LAYOUTS", "Layout"]

EM_MIPS, EM_S390, EM_SPARCV9, EM_AARCH64, EM_RISCV, EM_ALPHA = 8, 22, 43, 183, 243, 0x9026
SPARC = frozenset((2, 18, EM_SPARCV9))

PN_XNUM, SHN_XINDEX = 0xFFFF, 0xFFFF

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
PT_GNU_STACK, PT_GNU_PROPERTY = 0x6474E551, 0x6474E553
PF_X, PF_W = 1, 2

SHT_RELA, SHT_NOBITS, SHT_REL = 4, 8, 9
SHF_ALLOC = 2

DT_NULL, DT_NEEDED, DT_PLTRELSZ, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ = 0, 1, 2, 4, 5, 6, 7, 8
DT_STRSZ, DT_SONAME, DT_RPATH, DT_SYMBOLIC, DT_REL, DT_RELSZ, DT_PLTREL = 10, 14, 15, 16, 17, 18, 20
DT_DEBUG, DT_TEXTREL, DT_JMPREL, DT_BIND_NOW, DT_RUNPATH, DT_FLAGS = 21, 22, 23, 24, 29, 30
DT_RELR = 36
DT_ANDROID_REL, DT_ANDROID_RELA, DT_ANDROID_RELR = 0x6000000F, 0x60000011, 0x6FFFE000
DT_GNU_HASH, DT_VERSYM, DT_RELACOUNT, DT_RELCOUNT, DT_FLAGS_1 = (
    0x6FFFFEF5,
    0x6FFFFFF0,
    0x6FFFFFF9,
    0x6FFFFFFA,
    0x6FFFFFFB,
)
DT_VERDEF, DT_VERNEED = 0x6FFFFFFC, 0x6FFFFFFE
DT_MIPS_SYMTABNO, DT_MIPS_GOTSYM = 0x70000011, 0x70000013
DT_MIPS_RLD_MAP, DT_MIPS_RLD_MAP_REL = 0x70000016, 0x70000035
DT_AUXILIARY, DT_FILTER = 0x7FFFFFFD, 0x7FFFFFFF

SHN_UNDEF, SHN_ABS = 0, 0xFFF1
STB_LOCAL, STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE = 0, 1, 2, 10
STT_FUNC, STT_TLS, STT_SPARC_REGISTER = 2, 6, 13
STV_INTERNAL, STV_HIDDEN = 1, 2
# In st_other, from bit 3 on: a PLT entry stands for the symbol; its calling convention forbids lazy binding.
STO_MIPS_PLT, STO_VARIANT_CC = 0x08, 0x80
VERSYM_INDEX = 0x7FFF

VER_FLG_BASE, VER_FLG_WEAK = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Unpackers for one class and byte order."""

    bits: int
    endian: Endian
    ehdr: Struct
    phdr: Struct
    shdr: Struct
    dyn: Struct
    word: Struct
    note: Struct
    verneed: Struct
    vernaux: Struct
    verdef: Struct
    verdaux: Struct
    sym_size: int

    def column(self, data: bytes, code: str = "I") -> array[int]:
        """Return ``data`` as numbers of the file's byte order, all at once; an incomplete last one is left out."""
        numbers = array(code)
        excess = len(data) % numbers.itemsize
        numbers.frombytes(data[:-excess] if excess else data)
        if self.endian != byteorder:
            numbers.byteswap()
        return numbers


def _layout(bits: int, endian: Endian) -> Layout:
    order = "<" if endian == "little" else ">"
    wide = bits == 64
    return Layout(
        bits=bits,
        endian=endian,
        ehdr=Struct(order + ("16sHHIQQQIHHHHHH" if wide else "16sHHIIIIIHHHHHH")),
        phdr=Struct(order + ("IIQQ8xQQQ" if wide else "III4xIIII")),  # p_paddr is nobody's concern
        shdr=Struct(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII")),
        dyn=Struct(order + ("QQ" if wide else "II")),
        word=Struct(order + "I"),
        note=Struct(order + "III"),
        verneed=Struct(order + "HHIII"),
        vernaux=Struct(order + "IHHII"),
        verdef=Struct(order + "HHHHIII"),
        verdaux=Struct(order + "II"),
        sym_size=24 if wide else 16,
    )


LAYOUTS: dict[tuple[int, int], Layout] = {
    (1, 1): _layout(32, "little"),
    (1, 2): _layout(32, "big"),
    (2, 1): _layout(64, "little"),
    (2, 2): _layout(64, "big"),
}
"""By (EI_CLASS, EI_DATA)."""
