"""What programs and libraries begin with that are no ELF files: by these bytes alone most files are told apart."""

from __future__ import annotations

from typing import Final

__all__ = ["APE_SCRIPTS", "MACHO", "OTHER_SYSTEMS"]

APE_SCRIPTS: Final = (b"jartsr='", b"APEDBG='")
"""Actually Portable Executables that do not begin as a program for DOS (cosmopolitan ``ape/specification.md``)."""

MACHO: Final = (
    b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
)  # fmt: skip
"""Fat and thin Mach-O files, of either width and byte order; a Java class begins as the first of them."""

OTHER_SYSTEMS: Final = (b"MZ", *MACHO)
"""What programs for Windows and macOS begin with."""
