"""Facts of files that are executed and are no ELF files: scripts, APE, PE, Mach-O, archives, text."""

from __future__ import annotations

from typing import Literal

from runworthy.model.archive import ArchiveFacts
from runworthy.model.records import dataclass

__all__ = [
    "APE_LOADER",
    "ApeElf",
    "ApeFacts",
    "ApeLoader",
    "FileFacts",
    "FileType",
    "MachoFacts",
    "PeFacts",
    "ScriptLine",
]

FileType = Literal[
    "elf", "ape", "pe", "mach-o", "script", "jar", "zip", "python-bytecode", "wasm", "archive", "text", "data", "empty"
]
"""``archive``: compressed or packed in another way than zip; ``data``: none of the others."""

APE_LOADER = "/usr/bin/ape"
"""Where the loader of APE programs is registered, and looked for (cosmopolitan ``ape/apeinstall.sh``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLine:
    """The ``#!`` line as the kernel cuts it (``fs/binfmt_script.c``). Paths are decoded with surrogateescape.

    ``interpreter`` and ``argument`` are what it would execute; ``argument`` is None where there is none. ``refused`` is
    the errno's name where the kernel does not take the line (ENOEXEC), empty where it does. ``cut``: the line is longer
    than what the kernel reads, and the argument ends early. ``carriage_return``: a CR ends the line, and is part of
    what is executed.
    """

    interpreter: str
    argument: str | None = None
    refused: str = ""
    cut: bool = False
    carriage_return: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeFacts:
    """A program for Windows (PE/COFF specification). ``arch`` is ours by name, None where Linux has none such.

    ``machine`` and ``subsystem`` are the numbers of the file. ``clr``: it is a .NET assembly. ``imports`` are the DLLs
    it names, ``delayed`` those that it loads when it first calls them. ``minimum`` is the least release of Windows that
    it states, for the system or its subsystem: (6, 1) is Windows 7. ``offset`` is where its header lies (e_lfanew,
    bytes). ``problem`` says what of it is damaged beyond that header.
    """

    offset: int
    machine: int
    arch: str | None
    bits: int
    subsystem: int
    dll: bool = False
    clr: bool = False
    imports: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()
    minimum: tuple[int, int] = (0, 0)
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachoFacts:
    """One part for one processor of a Mach-O file (``mach-o/loader.h``). ``offset`` and ``size`` are in bytes.

    ``cpu`` is the number of the file, ``arch`` what Apple calls it (arm64, x86_64).
    ``filetype`` is the number (2: program, 6: library, 8: bundle); ``minimum`` the least release that it states of the
    ``platform`` (``macos``, ``ios``). ``libraries`` are the paths of those that it loads.
    """

    cpu: int
    arch: str
    offset: int
    size: int
    filetype: int
    minimum: str = ""
    platform: str = ""
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApeElf:
    """An ELF header that an APE's script writes with printf. ``at`` is the offset of its text in the file.

    ``problem`` says why the loader passes it over, or why it cannot run; empty where it would be taken. ``modern``: its
    flags say that the program does not want its argv[0] to be mended (APE loader, ``e_flags``). ``page_sizes`` are
    those (bytes) at which the loader can map its segments.
    """

    at: int
    machine: int
    arch: str | None
    osabi: int
    header: bytes
    problem: str = ""
    modern: bool = False
    page_sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApeLoader:
    """A loader that an APE carries. ``offset`` and ``size`` are in bytes.

    ``form`` is ``gzip`` for a program compressed so, ``source`` for C source compressed so, ``plain`` for a program as
    it is. ``sha256`` and ``unpacked`` (bytes) are those of what comes out, empty where nobody has unpacked it yet, and
    ``problem`` why it cannot be.
    """

    arch: str
    system: Literal["linux", "darwin"]
    form: Literal["gzip", "source", "plain"]
    offset: int
    size: int
    sha256: str = ""
    unpacked: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApeFacts:
    """An Actually Portable Executable (cosmopolitan ``ape/specification.md``).

    ``magic`` are its first 8 bytes as text. ``elves`` are the headers within its first 8192 bytes, in their order;
    ``far_elves`` those after, which the loaders do not see. ``rewrites_itself``: its script turns the file itself into
    an ELF file where no loader is used. ``loader_name`` is what the script calls the loader it unpacks (".ape-1.10").
    ``tools`` are the commands that its script uses, but on macOS alone.
    ``problem`` says which parts are damaged; they are left out.
    """

    magic: str
    elves: tuple[ApeElf, ...] = ()
    far_elves: tuple[ApeElf, ...] = ()
    machos: tuple[MachoFacts, ...] = ()
    pe: PeFacts | None = None
    loaders: tuple[ApeLoader, ...] = ()
    loader_name: str = ""
    rewrites_itself: bool = False
    tools: tuple[str, ...] = ()
    zip_entries: int | None = None
    problem: str = ""

    def elf_for(self, arch: str) -> ApeElf | None:
        """Return the header that the loader of an architecture takes."""
        return next((one for one in self.elves if one.arch == arch and not one.problem), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a file is that may be executed. ``head`` are its first 256 bytes, NULs after its end; ``size`` is in bytes.

    ``bom``: it begins with the byte order mark of UTF-8. Exactly the facts of its type are there. ``detail`` names it
    more closely in words ("gzip", "Git LFS pointer"). ``problem`` says what is damaged in what it claims to be.
    ``archive`` is what an archive holds, where it was asked for.
    """

    type: FileType
    size: int
    head: bytes
    script: ScriptLine | None = None
    ape: ApeFacts | None = None
    pe: PeFacts | None = None
    machos: tuple[MachoFacts, ...] = ()
    bom: bool = False
    zip_entries: int | None = None
    main_class: str = ""
    detail: str = ""
    problem: str = ""
    archive: ArchiveFacts | None = None
