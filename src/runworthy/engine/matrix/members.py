"""What one file of a release is by its bytes: for which systems and processors, and what it asks for there."""

from __future__ import annotations

from runworthy.engine.toolchain import toolchain_of
from runworthy.formats.content import Content
from runworthy.formats.elf import read_elf
from runworthy.formats.elf_kind import MAGIC, elf_kind
from runworthy.formats.identify import identify
from runworthy.formats.magics import APE_SCRIPTS, OTHER_SYSTEMS
from runworthy.model.elf import BuildInfo, ElfFacts, ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.matrix import Linkage, Member, Role
from runworthy.model.program import FileFacts, MachoFacts, PeFacts
from runworthy.rules.known import known_loader, libc_of_library
from runworthy.simulate.made_for import is_for_android
from runworthy.simulate.system import system_of

__all__ = ["MAGICS", "read_member", "script"]

MAGICS = (MAGIC, *OTHER_SYSTEMS, *APE_SCRIPTS)
"""What programs and libraries of some system begin with."""

_LOADERS: dict[str, frozenset[str]] = {
    "freebsd": frozenset(("/libexec/ld-elf.so.1",)),
    "netbsd": frozenset(("/libexec/ld.elf_so", "/usr/libexec/ld.elf_so")),
    "openbsd": frozenset(("/usr/libexec/ld.so",)),
    "dragonfly": frozenset(("/libexec/ld-elf.so.2", "/usr/libexec/ld-elf.so.2")),
    "illumos": frozenset(("/lib/amd64/ld.so.1", "/lib/64/ld.so.1", "/usr/lib/ld.so.1", "/usr/lib/amd64/ld.so.1")),
    "haiku": frozenset(("/system/runtime_loader",)),
}
"""Loaders of systems that are not Linux. Those of Solaris and illumos are one."""

_APPLE = {"arm64": "aarch64", "arm64e": "aarch64", "x86_64h": "x86_64"}
_PROGRAM, _LIBRARY, _BUNDLE = 2, 6, 8
_MACHO_ROLES: dict[int, Role] = {_PROGRAM: "program", _LIBRARY: "library", _BUNDLE: "library"}


def read_member(name: str, content: Content) -> Member | None:
    """Return what a program or library is, None for any other file. Raises FormatError, OSError."""
    if not content.pread(0, 8).startswith(MAGICS):
        return None
    if content.pread(0, 4) == MAGIC:
        return _elf(name, content) if elf_kind(content) == "subject" else None
    return _other(name, identify(content))


def script(name: str) -> Member:
    """Return a script that a person starts: whether its interpreter is there is the target's."""
    return Member(name=name, role="program", format="script", archs=("any",))


def _elf(name: str, content: Content) -> Member:
    reader = read_elf(content)
    facts = reader.facts
    try:
        tools = toolchain_of(facts, reader.build())
    except FormatError:
        tools = toolchain_of(facts, BuildInfo())
    system, linkage = _system(reader), linkage_of(facts)
    return Member(
        name=name,
        role="program" if facts.is_program else "library",
        format="elf",
        archs=(facts.architecture.name,) if facts.architecture else (),
        system=system or ("android" if linkage == "bionic" else "linux"),
        linkage="other" if system and linkage not in ("", "static") else linkage,
        interpreter=facts.interpreter or "",
        imports=facts.needed,
        built_by=tools.kind,
        compiler=tools.version,
        package=tools.package,
        cgo=tools.cgo,
    )


def _system(elf: ElfFile) -> str:
    """Return the other system that a file is for, by the loader that it names too, empty for Linux and Android."""
    loader = elf.facts.interpreter or ""
    found = system_of(elf).lower() or next((name for name, paths in _LOADERS.items() if loader in paths), "")
    return "illumos" if found == "solaris" else found


def linkage_of(facts: ElfFacts) -> Linkage:
    """Return the C library that a file asks for, by its loader, else by the libraries that it needs."""
    if facts.interpreter:
        family = known_loader(facts.interpreter).family
        return family if family in ("glibc", "musl", "bionic", "uclibc") else "other"  # type: ignore[return-value]
    if facts.is_static:
        return "static"
    if is_for_android(facts):
        return "bionic"
    families = (libc_of_library(name) for name in facts.needed)
    found = next(filter(None, families), "")
    return found if found in ("glibc", "musl") else ""  # type: ignore[return-value]


def _other(name: str, file: FileFacts) -> Member | None:
    if file.ape is not None:
        machines = [part.arch for part in file.ape.elves if part.arch and not part.problem]
        archs = tuple(dict.fromkeys(arch for arch in ("x86_64", "aarch64") if arch in machines))
        return Member(name=name, role="program", format="ape", archs=archs or ("x86_64",), linkage="static")
    if file.pe is not None:
        return _pe(name, file.pe)
    return _macho(name, file.machos) if file.machos else None


def _pe(name: str, pe: PeFacts) -> Member:
    major, minor = pe.minimum
    # A .NET assembly without native code runs on every processor; its header says i386.
    archs = (pe.arch or f"machine {pe.machine:#x}",) if not (pe.clr and pe.arch == "i386") else ("any",)
    return Member(
        name=name,
        role="library" if pe.dll else "program",
        format="pe",
        archs=archs,
        system="windows",
        minimum=f"{major}.{minor}" if major else "",
        imports=pe.imports,
        delayed=pe.delayed,
        built_by=".net" if pe.clr else "",
    )


def _macho(name: str, parts: tuple[MachoFacts, ...]) -> Member | None:
    held = [part for part in parts if part.filetype in _MACHO_ROLES]
    if not held:
        return None
    first = held[0]
    minimum = max((part.minimum for part in held), key=_order)
    return Member(
        name=name,
        role=_MACHO_ROLES[first.filetype],
        format="mach-o",
        archs=tuple(dict.fromkeys(_APPLE.get(part.arch, part.arch) for part in held)),
        system=first.platform or "macos",
        minimum=minimum,
        imports=tuple(dict.fromkeys(name for part in held for name in part.libraries)),
    )


def _order(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".") if part.isdigit())
