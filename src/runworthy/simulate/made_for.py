"""Which C library an ELF file was built for, by what it asks for."""

from __future__ import annotations

from typing import Literal

from runworthy.model.elf import ElfFacts

__all__ = ["made_for"]


def made_for(facts: ElfFacts) -> Literal["glibc", "musl", ""]:
    """Return the C library that a file was made for, empty where it asks for none."""
    loader = facts.interpreter or ""
    names = [*facts.needed, loader.rpartition("/")[2]]
    if any(name == "libc.so" or name.startswith(("libc.musl-", "ld-musl-")) for name in names):
        return "musl"
    versions = any(need.version.startswith("GLIBC_") for need in facts.version_needs)
    named = any(name.startswith(("libc.so.6", "ld-linux", "ld64.so.")) for name in names)
    return "glibc" if versions or named else ""
