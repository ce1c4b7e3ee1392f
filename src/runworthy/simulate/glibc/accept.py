"""What glibc does with a file that a search path led to: use it, pass over it, or give up.

Source: glibc ``elf/dl-load.c`` open_verify and _dl_map_object_from_fd, ``elf/dl-map-segments.h``.
"""

from __future__ import annotations

import errno

from runworthy.formats.elf import read_header
from runworthy.model.arch import Architecture
from runworthy.model.elf import DF_1_NOOPEN, ET_DYN, ET_EXEC, ElfFacts, ElfFile, ElfHeader
from runworthy.model.errors import FormatError
from runworthy.model.machine import Machine, format_kernel
from runworthy.model.records import dataclass
from runworthy.targets.view import FileView, Resolved

__all__ = ["Accepted", "Refused", "Skipped", "Unjudged", "accept", "opens_only_at_start"]

_PHENTSIZE = {32: 32, 64: 56}
_EHDR = {32: 52, 64: 64}
_OSABI_SYSV, _OSABI_GNU = 0, 3
_LIBC_ABI_MAX = 4
_PT_DYNAMIC = 2


@dataclass(frozen=True, slots=True)
class Accepted:
    """The file is mapped."""

    elf: ElfFile


@dataclass(frozen=True, slots=True)
class Skipped:
    """The file is for another machine; the search goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The loader gives up with this message."""

    message: str


@dataclass(frozen=True, slots=True)
class Unjudged:
    """The headers pass, but the rest of the file cannot be understood."""

    error: FormatError


Outcome = Accepted | Skipped | Refused | Unjudged


def accept(view: FileView, found: Resolved, machine: Machine, arch: Architecture, glibc: tuple[int, ...]) -> Outcome:
    """Return what the loader does with a regular file, directory or other thing that open(2) succeeded on."""
    if found.entry.kind == "dir":
        return Refused("cannot read file data: Error 21 (is a directory)")
    if found.entry.kind != "file":
        return Unjudged(FormatError("is neither a regular file nor a directory", path=found.path))
    try:
        elf = view.elf(found.path)
    except FormatError as error:
        return _by_header(view, found, arch) or Unjudged(error)
    facts = elf.facts
    return (
        _header(facts.header, arch)
        or _system(facts, glibc, machine.kernel)
        or _mapping(facts, glibc, machine.page_size)
        or Accepted(elf)
    )


def _by_header(view: FileView, found: Resolved, arch: Architecture) -> Outcome | None:
    """Judge a file that our reader refuses by the bytes that open_verify looks at."""
    try:
        content = view.content(found.path)
        head = content.pread(0, 64)
    except OSError as error:
        if error.errno == errno.ENODATA:  # recorded, and recorded as no ELF file
            return Refused("file too short" if found.entry.size == 0 else "invalid ELF header")
        raise
    if len(head) < _EHDR[arch.elf_class]:
        return Refused("file too short")
    if head[:4] != b"\x7fELF":
        return Refused("invalid ELF header")
    outcome = _ident(head, arch)
    if outcome is not None:
        return outcome
    header = read_header(content)
    if header.phoff + header.phnum * header.phentsize > content.size:
        return _header(header, arch) or Refused("cannot read file data")
    return _header(header, arch)


def _ident(ident: bytes, arch: Architecture) -> Outcome | None:
    """Judge e_ident, in open_verify's order."""
    if ident[4] != (2 if arch.elf_class == 64 else 1):
        return Skipped("wrong ELF class")
    if ident[5] != (1 if arch.endian == "little" else 2):
        return Refused(f"ELF file data encoding not {arch.endian}-endian")
    if ident[6] != 1:
        return Refused("ELF file version ident does not match current one")
    if ident[7] not in (_OSABI_SYSV, _OSABI_GNU):
        return Refused("ELF file OS ABI invalid")
    if ident[8] and not (ident[7] == _OSABI_GNU and ident[8] < _LIBC_ABI_MAX):
        return Refused("ELF file ABI version invalid")
    if any(ident[9:16]):
        return Refused("nonzero padding in e_ident")
    return None


def _header(head: ElfHeader, arch: Architecture) -> Outcome | None:
    outcome = _ident(head.ident, arch)
    if outcome is not None:
        return outcome
    if head.version != 1:
        return Refused("ELF file version does not match current one")
    if not _same_machine(head, arch):
        return Skipped("another machine")
    if head.type not in (ET_DYN, ET_EXEC):
        return Refused("only ET_DYN and ET_EXEC can be loaded")
    if head.phentsize != _PHENTSIZE[arch.elf_class]:
        return Refused("ELF file's phentsize not the expected size")
    return None


def _same_machine(head: ElfHeader, arch: Architecture) -> bool:
    """Whether elf_machine_matches_host holds (each port's ``dl-machine.h``)."""
    if head.machine != arch.elf_machine:
        return False
    if arch.name == "riscv64":  # sysdeps/riscv/dl-machine.h: the float ABI must be lp64d's
        return head.flags & 0x6 == 0x4
    if arch.name == "ppc64le":  # sysdeps/powerpc/powerpc64/dl-machine.h: ELFv2, or unmarked
        return head.flags & 3 in (0, 2)
    return True


def _system(facts: ElfFacts, glibc: tuple[int, ...], kernel: tuple[int, int, int] | None) -> Outcome | None:
    """Judge NT_GNU_ABI_TAG, which open_verify looked at until 2.35 (NEWS of 2.36)."""
    if glibc >= (2, 36) or facts.abi_os is None:
        return None
    if facts.abi_os != 0:
        return Skipped("made for another operating system")
    if facts.abi_kernel and kernel and kernel < facts.abi_kernel:
        return Skipped(f"made for kernel {format_kernel(facts.abi_kernel)} or later")
    return None


def _mapping(facts: ElfFacts, glibc: tuple[int, ...], page_size: int) -> Outcome | None:
    """Judge what _dl_map_object_from_fd checks before and after mapping."""
    segments = facts.load_segments
    misplaced = _misplaced(facts, glibc, page_size)
    if misplaced:
        return Refused(misplaced)
    if not segments:
        return Refused("object file has no loadable segments")
    if facts.header.type != ET_DYN:
        return Refused("cannot dynamically load executable")
    if not facts.dynamic:
        return Refused("object file has no dynamic section")
    if facts.is_pie and glibc >= (2, 30):
        return Refused("cannot dynamically load position-independent executable")
    return None


def _misplaced(facts: ElfFacts, glibc: tuple[int, ...], page_size: int) -> str:
    """Return why PT_LOAD segments cannot be mapped with this page size, empty when they can.

    Through 2.34 p_align itself had to be a multiple of the page size; since then only the congruence of
    address and offset counts (2.35 "Align PT_LOAD segments to the maximum p_align").
    """
    for segment in facts.load_segments:
        if glibc < (2, 35) and segment.align & (page_size - 1):
            return "ELF load command alignment not page-aligned"
        modulus = page_size if glibc >= (2, 35) else segment.align
        if (segment.vaddr - segment.offset) & (modulus - 1):
            name = "page-aligned" if glibc >= (2, 35) else "properly aligned"
            return f"ELF load command address/offset not {name}"
    return ""


def opens_only_at_start(facts: ElfFacts) -> bool:
    """Whether dlopen refuses the object (DF_1_NOOPEN)."""
    return bool(facts.dt_flags_1 & DF_1_NOOPEN)
