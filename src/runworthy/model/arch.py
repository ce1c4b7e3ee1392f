"""Architectures: one table from which every spelling, loader name and page size is read."""

from __future__ import annotations

from typing import Literal

from runworthy.model.records import dataclass

__all__ = [
    "ARCHITECTURES",
    "MACHINE_NAMES",
    "X86_64_LEVELS",
    "Architecture",
    "Endian",
    "architecture",
    "architecture_of_elf",
    "machine_name",
]

Endian = Literal["little", "big"]

EF_ARM_ABI_FLOAT_SOFT = 0x200
EF_PPC64_ABI_MASK = 0x3

X86_64_LEVELS = ("x86-64-v1", "x86-64-v2", "x86-64-v3", "x86-64-v4")
"""Microarchitecture levels of the x86-64 psABI, lowest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One instruction set with one calling convention, as the loaders tell them apart.

    ``page_sizes`` are the sizes (bytes) that Linux can be built with on it, the commonest first.
    ``glibc_loader`` and ``musl_loader`` are the program interpreters that compilers write for it
    (glibc ``shlib-versions`` and each port's ``Makefile``; musl ``configure`` and ``arch/*/reloc.h``).
    ``lib`` and ``platform`` are what ``$LIB`` and ``$PLATFORM`` become on a system that is not multiarch.
    """

    name: str
    aliases: tuple[str, ...]
    elf_machine: int
    elf_class: Literal[32, 64]
    endian: Endian
    glibc_loader: str
    musl_loader: str
    multiarch: str
    lib: str
    platform: str
    page_sizes: tuple[int, ...]
    docker: str
    pypi: str

    @property
    def fixed_page_size(self) -> bool:
        """Whether the architecture itself fixes the page size, so that it is no assumption."""
        return len(self.page_sizes) == 1


_K4, _K16, _K64 = 4096, 16384, 65536


def _row(  # noqa: PLR0917 - the columns of the table below
    name: str,
    aliases: str,
    elf: tuple[int, Literal[32, 64], Endian],
    loaders: tuple[str, str],
    triple: str,
    lib: str,
    platform: str,
    pages: tuple[int, ...],
    docker: str,
    pypi: str,
) -> Architecture:
    machine, elf_class, endian = elf
    return Architecture(
        name=name,
        aliases=tuple(aliases.split()),
        elf_machine=machine,
        elf_class=elf_class,
        endian=endian,
        glibc_loader=loaders[0],
        musl_loader=f"/lib/ld-musl-{loaders[1]}.so.1",
        multiarch=triple,
        lib=lib,
        platform=platform,
        page_sizes=pages,
        docker=docker,
        pypi=pypi,
    )


# fmt: off
ARCHITECTURES: tuple[Architecture, ...] = (
    _row("x86_64", "amd64 x86-64 x64", (62, 64, "little"), ("/lib64/ld-linux-x86-64.so.2", "x86_64"),
         "x86_64-linux-gnu", "lib64", "x86_64", (_K4,), "linux/amd64", "x86_64"),
    _row("i386", "i686 x86 i586 386", (3, 32, "little"), ("/lib/ld-linux.so.2", "i386"),
         "i386-linux-gnu", "lib", "i686", (_K4,), "linux/386", "i686"),
    _row("aarch64", "arm64 arm64v8 arm64/v8", (183, 64, "little"), ("/lib/ld-linux-aarch64.so.1", "aarch64"),
         "aarch64-linux-gnu", "lib64", "aarch64", (_K4, _K16, _K64), "linux/arm64", "aarch64"),
    _row("armv7", "armv7l armhf arm arm/v7 arm32v7 armv7hf", (40, 32, "little"), ("/lib/ld-linux-armhf.so.3", "armhf"),
         "arm-linux-gnueabihf", "lib", "v7l", (_K4,), "linux/arm/v7", "armv7l"),
    _row("armv6", "armv6l arm/v6 arm32v6", (40, 32, "little"), ("/lib/ld-linux-armhf.so.3", "armhf"),
         "arm-linux-gnueabihf", "lib", "v6l", (_K4,), "linux/arm/v6", "armv6l"),
    _row("armel", "armv5 arm/v5", (40, 32, "little"), ("/lib/ld-linux.so.3", "arm"),
         "arm-linux-gnueabi", "lib", "v5l", (_K4,), "linux/arm/v5", "armv5l"),
    _row("ppc64le", "ppc64el powerpc64le", (21, 64, "little"), ("/lib64/ld64.so.2", "powerpc64le"),
         "powerpc64le-linux-gnu", "lib64", "power8", (_K64, _K4), "linux/ppc64le", "ppc64le"),
    _row("ppc64", "powerpc64", (21, 64, "big"), ("/lib64/ld64.so.1", "powerpc64"),
         "powerpc64-linux-gnu", "lib64", "power7", (_K64, _K4), "linux/ppc64", "ppc64"),
    _row("s390x", "", (22, 64, "big"), ("/lib/ld64.so.1", "s390x"),
         "s390x-linux-gnu", "lib64", "z13", (_K4,), "linux/s390x", "s390x"),
    _row("riscv64", "riscv64gc", (243, 64, "little"), ("/lib/ld-linux-riscv64-lp64d.so.1", "riscv64"),
         "riscv64-linux-gnu", "lib64/lp64d", "riscv64", (_K4,), "linux/riscv64", "riscv64"),
    _row("loongarch64", "loong64", (258, 64, "little"), ("/lib64/ld-linux-loongarch-lp64d.so.1", "loongarch64"),
         "loongarch64-linux-gnu", "lib64", "loongarch64", (_K16, _K4, _K64), "linux/loong64", "loongarch64"),
    _row("x32", "", (62, 32, "little"), ("/libx32/ld-linux-x32.so.2", "x32"),
         "x86_64-linux-gnux32", "libx32", "x86_64", (_K4,), "linux/amd64p32", "x32"),
    _row("mips64le", "mips64el", (8, 64, "little"), ("/lib64/ld.so.1", "mips64el"),
         "mips64el-linux-gnuabi64", "lib64", "mips", (_K4, _K16, _K64), "linux/mips64le", "mips64le"),
    _row("mipsle", "mipsel", (8, 32, "little"), ("/lib/ld.so.1", "mipsel"),
         "mipsel-linux-gnu", "lib", "mips", (_K4, _K16, _K64), "linux/mipsle", "mipsle"),
)
# fmt: on

_BY_NAME = {spelling: row for row in ARCHITECTURES for spelling in (row.name, row.docker, *row.aliases)}

# e_machine values of the ELF gABI registry that are seen in the wild.
MACHINE_NAMES = {
    2: "SPARC",
    3: "i386",
    4: "m68k",
    8: "MIPS",
    15: "PA-RISC",
    18: "SPARC v8+",
    20: "PowerPC",
    21: "PowerPC64",
    22: "S/390",
    40: "ARM",
    42: "SuperH",
    43: "SPARC v9",
    50: "IA-64",
    62: "x86-64",
    83: "AVR",
    93: "ARC",
    94: "Xtensa",
    164: "Hexagon",
    183: "AArch64",
    190: "NVIDIA CUDA",
    224: "AMD GPU",
    243: "RISC-V",
    247: "BPF",
    252: "C-SKY",
    258: "LoongArch",
}


def machine_name(elf_machine: int) -> str:
    """Return the usual name of an ``e_machine`` value, or the number itself in words."""
    return MACHINE_NAMES.get(elf_machine, f"machine {elf_machine}")


def architecture(spelling: str) -> Architecture | None:
    """Return the architecture that any common spelling (``arm64``, ``linux/arm64``, ``aarch64``) names."""
    return _BY_NAME.get(spelling.strip().lower())


def architecture_of_elf(elf_machine: int, elf_class: int, endian: str, flags: int) -> Architecture | None:
    """Return the architecture that an ELF header describes, None when it is none of the table's.

    ARM's float convention is read from ``e_flags`` (Arm ELF ABI, section 4.1: EF_ARM_ABI_FLOAT_SOFT).
    """
    if elf_machine == 40 and endian == "little":
        return _BY_NAME["armel" if flags & EF_ARM_ABI_FLOAT_SOFT else "armv7"]
    key = (elf_machine, elf_class, endian)
    return next((row for row in ARCHITECTURES if (row.elf_machine, row.elf_class, row.endian) == key), None)
