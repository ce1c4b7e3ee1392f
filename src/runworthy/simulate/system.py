"""For which operating system an ELF program is: Linux starts those of others as well, and knows none of their calls.

Sources: Linux ``fs/binfmt_elf.c`` (neither EI_OSABI nor a note is looked at); Go ``cmd/link/internal/ld/elf.go`` and
the build setting ``GOOS`` (since 1.18; before, the linker's EI_OSABI tells); the start files of the BSDs, which leave a
note in each program.
"""

from __future__ import annotations

from collections.abc import Mapping

from runworthy.model.elf import ElfFile

__all__ = ["system_of"]

_GO: Mapping[str, str] = {"freebsd": "FreeBSD", "netbsd": "NetBSD", "openbsd": "OpenBSD", "dragonfly": "DragonFly",
    "solaris": "Solaris", "illumos": "illumos"}  # fmt: skip
_OSABI: Mapping[int, str] = {2: "NetBSD", 6: "Solaris", 9: "FreeBSD", 12: "OpenBSD"}
_EI_OSABI = 7


def system_of(elf: ElfFile) -> str:
    """Return the system that a program or library is for, empty for Linux and where nothing tells. Raises OSError.

    EI_OSABI alone proves nothing: programs of Cosmopolitan say FreeBSD there, and run on Linux too.
    """
    if elf.facts.system or not elf.facts.is_program:
        return elf.facts.system
    go = elf.go()
    if go is None:
        return ""
    if "GOOS" in go.settings:
        return _GO.get(go.settings["GOOS"], "")
    return _OSABI.get(elf.facts.header.ident[_EI_OSABI], "")
