"""Content facts of an ELF file: what its bytes say, without opinion.

Names follow the ELF gABI and the GNU extensions. Library names, paths and version names are ``str``
(decoded as UTF-8 with surrogateescape); symbol names stay ``bytes``, since they are compared by the
hundred thousand and printed by the dozen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from functools import cached_property
from itertools import repeat
from typing import NamedTuple, Protocol

from runworthy.model.arch import Architecture, Endian, architecture_of_elf
from runworthy.model.records import dataclass

__all__ = [
    "MENTIONS",
    "Binding",
    "BuildInfo",
    "DlopenNote",
    "ElfFacts",
    "ElfFile",
    "ElfHeader",
    "Exports",
    "GoBuild",
    "ImportGroup",
    "Relocations",
    "Segment",
    "SymbolRow",
    "VersionDef",
    "VersionNeed",
    "split_reference",
]

ET_EXEC, ET_DYN = 2, 3

MENTIONS = (b"/etc/ssl/certs/ca-certificates.crt", b"/usr/share/zoneinfo/", b"/etc/nsswitch.conf", b"libnss_")
"""Texts whose presence in a file's constants is a fact about it: see :meth:`ElfFile.mentions`."""

DF_ORIGIN, DF_SYMBOLIC, DF_TEXTREL, DF_BIND_NOW, DF_STATIC_TLS = 1, 2, 4, 8, 16
DF_1_NOW, DF_1_NODELETE, DF_1_NOOPEN, DF_1_NODEFLIB, DF_1_PIE = 0x1, 0x8, 0x40, 0x800, 0x8000000


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfHeader:
    """The file header as it stands, valid or not: loaders judge its fields one by one."""

    ident: bytes
    elf_class: int
    endian: Endian
    type: int
    machine: int
    version: int
    entry: int
    phoff: int
    shoff: int
    flags: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


class Segment(NamedTuple):
    """A program header. All numbers are bytes; ``flags`` are PF_X=1, PF_W=2, PF_R=4.

    A tuple, like VersionNeed: every file has a dozen, and they are made five times as fast.
    """

    type: int
    flags: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int
    align: int


class VersionNeed(NamedTuple):
    """One entry of ``.gnu.version_r``: ``file`` must define ``version`` (``weak``: VER_FLG_WEAK is set)."""

    file: str
    version: str
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDef:
    """One entry of ``.gnu.version_d``; ``base`` marks the one that names the file itself."""

    name: str
    index: int
    base: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DlopenNote:
    """One ``.note.dlopen`` entry (UAPI group, ELF dlopen metadata): one of ``sonames`` is opened at run time."""

    feature: str
    description: str
    priority: str
    sonames: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoBuild:
    """The Go linker's build information: toolchain, main module and build settings (``CGO_ENABLED``, ``GOAMD64``…)."""

    version: str
    path: str
    module: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInfo:
    """What the file tells of the compilers that made it. ``comments`` are the strings of ``.comment``."""

    go: GoBuild | None = None
    rust: str | None = None
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFacts:
    """All that is known of an ELF file before its symbols are read.

    ``abi_kernel`` is the minimum kernel of NT_GNU_ABI_TAG (None when there is no note, or when
    ``abi_os`` is not Linux=0). ``system`` is the system whose own note the file carries (``FreeBSD``, ``NetBSD``,
    ``OpenBSD``, ``DragonFly``), empty where none or several do. ``isa_needed`` and ``isa_used`` are the bit sets of
    GNU_PROPERTY_X86_ISA_1_NEEDED/_USED. ``exec_stack`` is None when the file has no PT_GNU_STACK.
    ``dt_flags`` has the bits that DT_BIND_NOW, DT_SYMBOLIC and DT_TEXTREL stand for, as ld.so folds them in.
    ``filters`` (DT_FILTER) and ``auxiliaries`` (DT_AUXILIARY) are libraries that ld.so loads before this one's
    needed ones, the latter only if they are there. ``interpreter_size`` is the segment's; the kernel wants
    2 to 4096 bytes and a NUL at the end (``interpreter_terminated``).
    """

    header: ElfHeader
    size: int
    segments: tuple[Segment, ...] = ()
    interpreter: str | None = None
    interpreter_size: int = 0
    interpreter_terminated: bool = True
    dynamic: bool = False
    needed: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    auxiliaries: tuple[str, ...] = ()
    soname: str | None = None
    rpath: str | None = None
    runpath: str | None = None
    dt_flags: int = 0
    dt_flags_1: int = 0
    dt_debug: bool = False
    textrel: bool = False
    relr: bool = False
    android_relocations: bool = False
    version_needs: tuple[VersionNeed, ...] = ()
    version_defs: tuple[VersionDef, ...] = ()
    exec_stack: bool | None = None
    isa_needed: int = 0
    isa_used: int = 0
    feature_1: int = 0
    abi_os: int | None = None
    abi_kernel: tuple[int, int, int] | None = None
    build_id: str | None = None
    dlopen_notes: tuple[DlopenNote, ...] = ()
    has_sections: bool = True
    system: str = ""

    @property
    def architecture(self) -> Architecture | None:
        """The architecture by the header, None when unknown to the table."""
        head = self.header
        return architecture_of_elf(head.machine, head.elf_class, head.endian, head.flags)

    @property
    def is_pie(self) -> bool:
        """A position-independent executable, static or not.

        Linkers before DF_1_PIE leave DT_DEBUG, which they write into programs only; for MIPS DT_MIPS_RLD_MAP and
        DT_MIPS_RLD_MAP_REL count too (binutils ``bfd/elfxx-mips.c``, lld ``ELF/SyntheticSections.cpp``).
        """
        return self.header.type == ET_DYN and (bool(self.dt_flags_1 & DF_1_PIE) or self.dt_debug)

    @property
    def is_static(self) -> bool:
        """A program that asks for no loader: no PT_INTERP, and no library needed."""
        return self.interpreter is None and not self.needed and (self.header.type == ET_EXEC or self.is_pie)

    @property
    def is_program(self) -> bool:
        """Meant to be executed. A library that can also be executed (libc.so.6, PAM's pam_cap.so) is a library.

        Such a one names a loader too, but has a dynamic section without what linkers write for a debugger into
        each program that has one (:attr:`is_pie`).
        """
        if self.header.type == ET_EXEC or self.is_pie:
            return True
        return self.header.type == ET_DYN and self.interpreter is not None and not self.dynamic

    @property
    def bind_now(self) -> bool:
        """Every symbol is bound at start: DF_BIND_NOW (DT_BIND_NOW is folded into it) or DF_1_NOW."""
        return bool(self.dt_flags & DF_BIND_NOW or self.dt_flags_1 & DF_1_NOW)

    @property
    def load_segments(self) -> tuple[Segment, ...]:
        """The PT_LOAD segments in file order."""
        return tuple(segment for segment in self.segments if segment.type == 1)


class Binding(Enum):
    """When a reference is bound, as the relocations that use it say."""

    NOW = "now"
    LAZY = "lazy"
    UNUSED = "unused"


class ImportGroup(NamedTuple):
    """Undefined symbols that share one version record; ``file`` and ``version`` are None for unversioned ones.

    A tuple, like Segment: a file has a dozen.
    """

    file: str | None
    version: str | None
    strong: frozenset[bytes]
    weak: frozenset[bytes] = frozenset()


SymbolRow = tuple[bytes, int, int]
"""A defined dynamic symbol: name, version index with its hidden bit (0x8000), STT type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocations:
    """Relocation kinds in use, by number of the machine's psABI; ``count`` counts all of them, RELR left out."""

    kinds: frozenset[int]
    count: int
    irelative: bool
    copy: bool


_HIDDEN, _INDEX = 0x8000, 0x7FFF
STT_TLS, STT_GNU_IFUNC = 6, 10


class Exports:
    """The symbols a file defines, arranged for the questions that loaders ask of them.

    A reference with a version is met by :attr:`by_version` or by :attr:`base` (definitions without a
    version); one without a version by :attr:`unversioned` (glibc ``elf/dl-lookup.c`` check_match). musl
    sees :attr:`default` alone (``ldso/dynlink.c`` sysv_lookup, gnu_lookup: versym >= 0).

    ``versions`` names the indexes, those of version needs too: a variable that a program copied out of a
    library is defined under the library's version. Every arrangement is made when it is first asked for.
    """

    def __init__(self, rows: Collection[SymbolRow], versions: Mapping[int, str], *, versioned: bool) -> None:
        self._rows = rows
        self._versions = versions
        self.versioned = versioned

    @classmethod
    def of_columns(
        cls, names: Sequence[bytes], indexes: Sequence[int] | None, kinds: bytes, versions: Mapping[int, str]
    ) -> Exports:
        """Return the exports whose rows stand in columns of equal length; ``indexes`` is None without versions."""
        made = cls((), versions, versioned=indexes is not None)
        made._columns = names, indexes, kinds
        return made

    def columns(self) -> tuple[Sequence[bytes], Sequence[int] | None, bytes, Mapping[int, str]]:
        """Return names, version indexes (None without versions) and types of the rows, and what the indexes mean."""
        return *self._columns, self._versions

    @cached_property
    def _columns(self) -> tuple[Sequence[bytes], Sequence[int] | None, bytes]:
        """Names, version indexes (None without versions) and types of the rows."""
        names = [name for name, _, _ in self._rows]
        indexes = [index for _, index, _ in self._rows] if self.versioned else None
        return names, indexes, bytes(kind for _, _, kind in self._rows)

    @cached_property
    def names(self) -> frozenset[bytes]:
        """Every defined name, whatever its version."""
        return _union(self._by_index.values())

    @cached_property
    def by_version(self) -> Mapping[str, frozenset[bytes]]:
        """Defined names by exact version, hidden ones included."""
        found: dict[str, list[frozenset[bytes]]] = {}
        for index, names in self._by_index.items():
            version = self._versions.get(index & _INDEX)
            if version is not None:
                found.setdefault(version, []).append(names)
        return {version: _union(names) for version, names in found.items()}

    @cached_property
    def base(self) -> frozenset[bytes]:
        """Definitions whose index names no version and that are not hidden: they satisfy any version."""
        plain = (names for index, names in self._by_index.items() if index < _HIDDEN and index not in self._versions)
        return _union(plain)

    @cached_property
    def unversioned(self) -> frozenset[bytes]:
        """What a reference without a version finds: index 0 to 2, or the only default version of the name."""
        early = _union(names for index, names in self._by_index.items() if index & _INDEX < 3)
        defaults = [names for index, names in self._by_index.items() if 3 <= index < _HIDDEN]
        if not defaults:
            return early
        once: set[bytes] = set()
        often: set[bytes] = set()
        for names in defaults:
            often |= once & names
            once |= names
        return early | (once - often)

    @cached_property
    def default(self) -> frozenset[bytes]:
        """What musl sees: neither hidden versions nor indirect functions (OK_TYPES has no STT_GNU_IFUNC)."""
        names, indexes, kinds = self._columns
        if STT_GNU_IFUNC in kinds:
            rows = zip(names, indexes or repeat(1), kinds, strict=False)
            return frozenset([name for name, index, kind in rows if index < _HIDDEN and kind != STT_GNU_IFUNC])
        return _union(names for index, names in self._by_index.items() if index < _HIDDEN)

    @cached_property
    def indirect(self) -> frozenset[bytes]:
        """Names defined as STT_GNU_IFUNC."""
        names, _, kinds = self._columns
        if STT_GNU_IFUNC not in kinds:
            return frozenset()
        return frozenset([name for name, kind in zip(names, kinds, strict=True) if kind == STT_GNU_IFUNC])

    def versions_of(self, name: bytes) -> tuple[str, ...]:
        """Every version under which ``name`` is defined, in table order."""
        names, indexes, _ = self._columns
        if indexes is None:
            return ()
        found = (index & _INDEX for row, index in zip(names, indexes, strict=True) if row == name)
        return tuple(self._versions[index] for index in found if index in self._versions)

    @cached_property
    def _by_index(self) -> Mapping[int, frozenset[bytes]]:
        """Names by version index with its hidden bit; a file without versions has all under VER_NDX_GLOBAL."""
        names, indexes, _ = self._columns
        if not names:
            return {}
        if indexes is None or indexes.count(indexes[0]) == len(indexes):
            return {indexes[0] if indexes else 1: frozenset(names)}
        found: dict[int, list[bytes]] = {}
        for name, index in zip(names, indexes, strict=True):
            found.setdefault(index, []).append(name)
        return {index: frozenset(group) for index, group in found.items()}


def _union(groups: Iterable[frozenset[bytes]]) -> frozenset[bytes]:
    """Return the union; a single group is returned itself, not copied."""
    held = list(groups)
    return held[0] if len(held) == 1 else frozenset().union(*held)


class ElfFile(Protocol):
    """An ELF file whose symbols are read only when asked for."""

    @property
    def facts(self) -> ElfFacts:
        """The eager facts."""

    def imports(self) -> tuple[ImportGroup, ...]:
        """Undefined dynamic symbols, grouped by version record. Raises FormatError."""

    def exports(self) -> Exports:
        """Defined dynamic symbols that a hash table leads to. Raises FormatError."""

    def relocations(self) -> Relocations:
        """Relocation kinds in use. Raises FormatError."""

    def copies(self) -> tuple[ImportGroup, ...]:
        """Variables that a program copies out of its libraries: a library must define each. Raises FormatError."""

    def bindings(self, names: Collection[bytes]) -> Mapping[bytes, Binding]:
        """How each name is bound, by the relocations that use it. Raises FormatError."""

    def go(self) -> GoBuild | None:
        """Return the Go build information alone. Raises FormatError."""

    def build(self) -> BuildInfo:
        """What the compilers left. Raises FormatError."""

    def mentions(self) -> frozenset[bytes]:
        """Which of ``MENTIONS`` stand in the constants: what the program opens by itself. Raises FormatError."""


def split_reference(text: str) -> tuple[str, str | None, bool]:
    """Split ``name@@VERSION``, ``name@VERSION`` or ``name`` into (name, version, is default)."""
    name, at, version = text.partition("@")
    if not at:
        return name, None, True
    return name, version.removeprefix("@"), version.startswith("@")
