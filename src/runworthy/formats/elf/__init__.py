"""ELF files: one reader for every class, byte order and machine.

``read_elf`` reads the headers, the dynamic section and the notes; symbols, relocations and build
information are read when they are asked for, with positioned reads of just the tables concerned.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf.dynamic import Dynamic, VersionTables, read_dynamic, read_versions
from runworthy.formats.elf.header import is_elf, layout_of, read_header, read_segments
from runworthy.formats.elf.layout import (
    DT_ANDROID_REL,
    DT_ANDROID_RELA,
    DT_BIND_NOW,
    DT_FLAGS,
    DT_FLAGS_1,
    DT_MIPS_GOTSYM,
    DT_RELR,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_SYMTAB,
    DT_TEXTREL,
    PF_X,
    PT_GNU_STACK,
    PT_INTERP,
    Layout,
)
from runworthy.formats.elf.notes import read_notes
from runworthy.formats.elf.relocations import RelocationTables
from runworthy.formats.elf.symbols import SymbolTable
from runworthy.model.elf import (
    DF_BIND_NOW,
    DF_TEXTREL,
    Binding,
    BuildInfo,
    ElfFacts,
    ElfHeader,
    Exports,
    ImportGroup,
    Relocations,
    Segment,
)

__all__ = ["ElfReader", "is_elf", "read_elf", "read_header"]

_INTERPRETER_LIMIT = 4096


class ElfReader:
    """An ELF file in a Content. ``facts`` is complete; the methods read what they return."""

    def __init__(
        self,
        content: Content,
        facts: ElfFacts,
        layout: Layout,
        dynamic: Dynamic | None,
        versions: VersionTables,
    ) -> None:
        self.facts = facts
        self._content = content
        self._layout = layout
        self._dynamic = dynamic
        self._versions = versions

    def imports(self) -> tuple[ImportGroup, ...]:
        """Return undefined dynamic symbols, grouped by version record. Raises FormatError, OSError."""
        return self._imports

    @cached_property
    def _imports(self) -> tuple[ImportGroup, ...]:
        table = self._symbols()
        return table.imports() if table else ()

    def exports(self) -> Exports:
        """Return defined dynamic symbols. Raises FormatError, OSError."""
        return self._exports

    @cached_property
    def _exports(self) -> Exports:
        table = self._symbols()
        return table.exports() if table else Exports((), {}, versioned=False)

    def relocations(self) -> Relocations:
        """Return the relocation kinds in use. Raises FormatError, OSError."""
        return self._relocations

    @cached_property
    def _relocations(self) -> Relocations:
        tables = self._relocation_tables()
        if tables is None:
            return Relocations(kinds=frozenset(), count=0, irelative=False, copy=False)
        return tables.summary()

    def bindings(self, names: Collection[bytes]) -> Mapping[bytes, Binding]:
        """Return how each name is bound, by the relocations that use it. Raises FormatError, OSError.

        MIPS binds every symbol from DT_MIPS_GOTSYM on through the global offset table, without a relocation.
        """
        tables, symbols = self._relocation_tables(), self._symbols()
        if tables is None or symbols is None or self._dynamic is None:
            return dict.fromkeys(names, Binding.UNUSED)
        eager, plt = tables.symbols()
        got = self._dynamic.tags.get(DT_MIPS_GOTSYM)
        found = dict.fromkeys(names, Binding.UNUSED)
        for index, name in symbols.indexes():
            if name in found and found[name] is not Binding.NOW:
                if index in eager or (got is not None and index >= got):
                    found[name] = Binding.NOW
                elif index in plt:
                    found[name] = Binding.NOW if self.facts.bind_now else Binding.LAZY
        return found

    def build(self) -> BuildInfo:
        """Return what the compilers left. Raises OSError."""
        from runworthy.formats.elf.build import read_build

        return read_build(self._content, self.facts.header, self.facts.segments, self._layout)

    def _symbols(self) -> SymbolTable | None:
        if self._dynamic is None or DT_SYMTAB not in self._dynamic.tags:
            return None
        return SymbolTable(self._content, self.facts.header, self._dynamic, self._versions, self._layout)

    def _relocation_tables(self) -> RelocationTables | None:
        if self._dynamic is None:
            return None
        return RelocationTables(self._content, self._dynamic, self._layout, self.facts.header.machine)


def read_elf(content: Content) -> ElfReader:
    """Return the reader of an ELF file. Raises FormatError with the offset of what is wrong, OSError."""
    header = read_header(content)
    layout = layout_of(header.ident)
    segments = read_segments(content, header, layout)
    dynamic = read_dynamic(content, segments, layout)
    versions = read_versions(content, dynamic, layout) if dynamic else VersionTables()
    facts = _facts(content, header, segments, dynamic, versions, layout)
    return ElfReader(content, facts, layout, dynamic, versions)


def _interpreter(content: Content, segments: tuple[Segment, ...]) -> tuple[str | None, int]:
    """Return (PT_INTERP up to its first NUL, size of the segment)."""
    segment = next((s for s in segments if s.type == PT_INTERP), None)
    if segment is None:
        return None, 0
    raw = read_exactly(content, segment.offset, min(segment.filesz, _INTERPRETER_LIMIT), "program interpreter")
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape"), segment.filesz


def _facts(
    content: Content,
    header: ElfHeader,
    segments: tuple[Segment, ...],
    dynamic: Dynamic | None,
    versions: VersionTables,
    layout: Layout,
) -> ElfFacts:
    notes = read_notes(content, segments, layout, header.machine)
    interpreter, interpreter_size = _interpreter(content, segments)
    stack = next((s for s in segments if s.type == PT_GNU_STACK), None)
    tags = dynamic.tags if dynamic else {}
    strings = dynamic.strings if dynamic else None

    def text(tag: int) -> str | None:
        return strings.get(tags[tag]) if strings is not None and tag in tags else None

    flags = tags.get(DT_FLAGS, 0) | (DF_BIND_NOW if DT_BIND_NOW in tags else 0)
    return ElfFacts(
        header=header,
        size=content.size,
        segments=segments,
        interpreter=interpreter,
        interpreter_size=interpreter_size,
        dynamic=dynamic is not None,
        needed=tuple(strings.get(index) for index in dynamic.needed) if dynamic and strings is not None else (),
        soname=text(DT_SONAME),
        rpath=text(DT_RPATH),
        runpath=text(DT_RUNPATH),
        dt_flags=flags,
        dt_flags_1=tags.get(DT_FLAGS_1, 0),
        textrel=DT_TEXTREL in tags or bool(flags & DF_TEXTREL),
        relr=DT_RELR in tags,
        android_relocations=DT_ANDROID_REL in tags or DT_ANDROID_RELA in tags,
        version_needs=versions.needs,
        version_defs=versions.defs,
        exec_stack=None if stack is None else bool(stack.flags & PF_X),
        isa_needed=notes.isa_needed,
        isa_used=notes.isa_used,
        feature_1=notes.feature_1,
        abi_os=notes.abi_os,
        abi_kernel=notes.abi_kernel,
        build_id=notes.build_id,
        dlopen_notes=notes.dlopen,
        has_sections=header.shnum > 0 and header.shoff > 0,
    )
