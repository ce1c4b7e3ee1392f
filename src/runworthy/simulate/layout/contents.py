"""What the bytes of a build are, in the words that names claim it with."""

from __future__ import annotations

from runworthy.model.elf import ElfFacts
from runworthy.model.layout import Contents
from runworthy.model.program import FileFacts
from runworthy.simulate.made_for import is_for_android, made_for

__all__ = ["contents_of"]

_ELF_SYSTEMS = {0: "linux", 3: "linux", 9: "freebsd", 6: "solaris", 12: "openbsd", 2: "netbsd"}
"""By EI_OSABI (byte 7 of the header); compilers for Linux write 0 (System V)."""

_APPLE = {"arm64": "aarch64", "arm64e": "aarch64"}


def contents_of(elf: ElfFacts | None, file: FileFacts | None) -> Contents | None:
    """Return what a file is built for, None for one that is no program or library."""
    if elf is not None:
        return _of_elf(elf)
    if file is not None and file.pe is not None:
        return Contents(system="windows", archs=frozenset(filter(None, (file.pe.arch,))))
    if file is not None and file.machos:
        return Contents(system="macos", archs=frozenset(_APPLE.get(one.arch, one.arch) for one in file.machos))
    return None


def _of_elf(elf: ElfFacts) -> Contents:
    arch = elf.architecture
    system = _ELF_SYSTEMS.get(elf.header.ident[7], "")
    if is_for_android(elf):
        system = "android"
    name = arch.name if arch else f"machine {elf.header.machine}"
    return Contents(system=system, archs=frozenset((name,)), libc=made_for(elf) if system == "linux" else "")
