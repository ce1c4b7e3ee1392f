"""ELF files of which the catalogue holds the facts and not the bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from runworthy.model.arch import Architecture
from runworthy.model.elf import (
    Binding,
    BuildInfo,
    ElfFacts,
    ElfHeader,
    Exports,
    GoBuild,
    ImportGroup,
    Relocations,
    Segment,
    VersionDef,
    VersionNeed,
)
from runworthy.targets.catalogue.pack import Pack

__all__ = ["Record", "RecordedElf", "RecordedExports", "ToldElf", "parse_record"]

EM_ARM_FLAGS = 0x05000400
"""EABI version 5, hard float (Arm ELF ABI, section 4.1)."""
E_FLAGS = {"armv7": EM_ARM_FLAGS, "armv6": EM_ARM_FLAGS, "ppc64le": 0x2, "riscv64": 0x5, "loongarch64": 0x43}
"""``e_flags`` that every file of an architecture carries, by the recorded files (loongarch64: its psABI, table 4)."""

_EHDR, _PHDR = {32: 52, 64: 64}, {32: 32, 64: 56}
_HIDDEN = 0x8000


class Record(NamedTuple):
    """What is stored of an ELF file. ``defs`` are (version, chunk of its names or -1), in index order from 2 on.

    ``plain`` is the chunk of the names without a version, ``turned`` the one of the (version, name) pairs whose
    default or hidden state is not the usual one: of several versions of a name, the last defined is the default.
    """

    type: int
    align: int
    dt_flags_1: int
    dynamic: bool
    interpreter: str | None
    soname: str | None
    rpath: str | None
    runpath: str | None
    needed: tuple[str, ...]
    version_needs: tuple[VersionNeed, ...]
    defs: tuple[tuple[str, int], ...]
    plain: int
    turned: int


def parse_record(lines: Sequence[str]) -> Record:
    """Return the record that a chunk's lines describe: one head line, then lines that begin with a letter.

    ``i`` interpreter, ``s`` soname, ``p`` rpath, ``r`` runpath, ``n`` needed, ``v`` a needed file and its versions,
    ``D`` a defined version and its names, ``U`` names without a version, ``H`` turned names.
    """
    type_, align, flags_1, dynamic = map(int, lines[0].split())
    single: dict[str, str] = {}
    needed: list[str] = []
    needs: list[VersionNeed] = []
    defs: list[tuple[str, int]] = []
    for line in lines[1:]:
        letter, value = line[0], line[1:]
        if letter == "n":
            needed.append(value)
        elif letter == "v":
            file, *versions = value.split("\t")
            needs.extend(VersionNeed(file=file, version=v.removesuffix("?"), weak=v[-1:] == "?") for v in versions)
        elif letter == "D":
            version, _, names = value.partition("\t")
            defs.append((version, int(names)))
        else:
            single[letter] = value
    return Record(
        type=type_,
        align=align,
        dt_flags_1=flags_1,
        dynamic=bool(dynamic),
        interpreter=single.get("i"),
        soname=single.get("s"),
        rpath=single.get("p"),
        runpath=single.get("r"),
        needed=tuple(needed),
        version_needs=tuple(needs),
        defs=tuple(defs),
        plain=int(single.get("U", -1)),
        turned=int(single.get("H", -1)),
    )


class RecordedExports(Exports):
    """Exports whose names are taken out of the pack when they are asked for. Types of symbols are not recorded."""

    def __init__(self, pack: Pack, record: Record) -> None:
        """Take the chunks that ``record`` names out of ``pack``."""
        versions = {index: name for index, (name, _) in enumerate(record.defs, start=2)}
        super().__init__((), versions, versioned=bool(record.defs))
        self._pack = pack
        self._record = record

    def references(self) -> Iterator[tuple[bytes, str | None, bool]]:
        """Return (name, version, is default) of every row, in index order; the version is None where there is none."""
        for index, names in sorted(self._by_index.items(), key=lambda pair: pair[0] & ~_HIDDEN):
            version = self._versions.get(index & ~_HIDDEN)
            yield from ((name, version, index < _HIDDEN) for name in sorted(names))

    @cached_property
    def names(self) -> frozenset[bytes]:
        """Every defined name, whatever its version."""
        return self.base.union(*(self._set(chunk) for _, chunk in self._record.defs))

    @cached_property
    def by_version(self) -> Mapping[str, frozenset[bytes]]:
        """Defined names by exact version, hidden ones included."""
        return {version: self._set(chunk) for version, chunk in self._record.defs if chunk >= 0}

    @cached_property
    def base(self) -> frozenset[bytes]:
        """Definitions without a version: they satisfy any version."""
        return self._set(self._record.plain)

    def versions_of(self, name: bytes) -> tuple[str, ...]:
        """Every version under which ``name`` is defined, in index order."""
        return tuple(version for version, names in self.by_version.items() if name in names)

    @cached_property
    def _by_index(self) -> Mapping[int, frozenset[bytes]]:
        """Names by version index with its hidden bit: of the versions of a name, the last is the default."""
        found = {1: self.base} if self._record.plain >= 0 else {}
        turned = self._turned()
        later: frozenset[bytes] = frozenset()
        for index, (version, chunk) in reversed(list(enumerate(self._record.defs, start=2))):
            names = self._set(chunk)
            hidden = (names & later) ^ turned.get(version, frozenset())
            later |= names
            found |= {index | _HIDDEN: hidden} if hidden else {}
            found |= {index: names - hidden} if len(hidden) < len(names) else {}
        return found

    def _turned(self) -> Mapping[str, frozenset[bytes]]:
        """Names by version whose default or hidden state is the other one."""
        found: dict[str, set[bytes]] = {}
        for line in self._set(self._record.turned):
            version, _, name = line.partition(b" ")
            found.setdefault(version.decode("utf-8", "surrogateescape"), set()).add(name)
        return {version: frozenset(names) for version, names in found.items()}

    def _set(self, chunk: int) -> frozenset[bytes]:
        return self._pack.names(chunk) if chunk >= 0 else frozenset()


class ToldElf:
    """The ElfFile of a file of which somebody has told facts and exports.

    Its undefined symbols, relocations and build information were not recorded: a target's own libraries are taken to
    be consistent with each other, so it asks for nothing but the libraries and versions that it names.
    """

    def __init__(self, record: Record, arch: Architecture, size: int) -> None:
        """Tell the facts of ``record``, a file of ``size`` bytes (-1: not known) for ``arch``."""
        self.facts = _facts(record, arch, size)

    def imports(self) -> tuple[ImportGroup, ...]:
        """Return nothing: undefined symbols were not recorded."""
        return ()

    def relocations(self) -> Relocations:
        """Return no relocations: they were not recorded."""
        return Relocations(kinds=frozenset(), count=0, irelative=False, copy=False)

    def copies(self) -> tuple[ImportGroup, ...]:
        """Return nothing: relocations were not recorded."""
        return ()

    def bindings(self, names: Collection[bytes]) -> Mapping[bytes, Binding]:
        """Return every name as unused: relocations were not recorded."""
        return dict.fromkeys(names, Binding.UNUSED)

    def go(self) -> GoBuild | None:
        """Return None: build information was not recorded."""
        return None

    def build(self) -> BuildInfo:
        """Return nothing: build information was not recorded."""
        return BuildInfo()

    def mentions(self) -> frozenset[bytes]:
        """Return nothing: constants were not recorded."""
        return frozenset()


class RecordedElf(ToldElf):
    """The ElfFile of a file that a pack holds."""

    def __init__(self, pack: Pack, record: Record, arch: Architecture, size: int) -> None:
        """Tell the facts of ``record``, a file of ``size`` bytes (-1: not known) for ``arch``."""
        super().__init__(record, arch, size)
        self._pack = pack
        self._record = record

    def exports(self) -> RecordedExports:
        """Return the recorded exports. Raises FormatError, OSError when the pack cannot be read."""
        return self._exports

    @cached_property
    def _exports(self) -> RecordedExports:
        return RecordedExports(self._pack, self._record)


def _facts(record: Record, arch: Architecture, size: int) -> ElfFacts:
    """Return the facts; what was not recorded takes the value that no loader refuses."""
    return ElfFacts(
        header=_header(record, arch),
        size=size,
        segments=(
            # Of a file whose size is not known it is known that it is not empty: musl before 1.2.3 refuses that.
            Segment(
                type=1,
                flags=5,
                offset=0,
                vaddr=0,
                filesz=max(size, 0),
                memsz=size if size > 0 else record.align,
                align=record.align,
            ),
        ),
        interpreter=record.interpreter,
        interpreter_size=len(record.interpreter.encode()) + 1 if record.interpreter else 0,
        dynamic=record.dynamic,
        needed=record.needed,
        soname=record.soname,
        rpath=record.rpath,
        runpath=record.runpath,
        dt_flags_1=record.dt_flags_1,
        version_needs=record.version_needs,
        version_defs=_version_defs(record),
        exec_stack=False,
    )


def _version_defs(record: Record) -> tuple[VersionDef, ...]:
    if not record.defs:
        return ()
    base = VersionDef(name=record.soname or "", index=1, base=True)
    return (base, *(VersionDef(name=name, index=index) for index, (name, _) in enumerate(record.defs, start=2)))


def _header(record: Record, arch: Architecture) -> ElfHeader:
    bits = arch.elf_class
    ident = bytes((0x7F, 0x45, 0x4C, 0x46, 1 if bits == 32 else 2, 1 if arch.endian == "little" else 2, 1))
    return ElfHeader(
        ident=ident.ljust(16, b"\0"),
        elf_class=bits,
        endian=arch.endian,
        type=record.type,
        machine=arch.elf_machine,
        version=1,
        entry=0,
        phoff=_EHDR[bits],
        shoff=0,
        flags=E_FLAGS.get(arch.name, 0),
        phentsize=_PHDR[bits],
        phnum=1,
        shentsize=0,
        shnum=0,
        shstrndx=0,
    )
