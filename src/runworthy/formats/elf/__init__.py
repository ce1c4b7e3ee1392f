"""ELF files: one reader for every class, byte order and machine.

``read_elf`` reads the headers, the dynamic section and the notes; symbols, relocations and build
information are read when they are asked for, with positioned reads of just the tables concerned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TypeVar

from runworthy.formats.content import Content, Window, read_exactly, release
from runworthy.formats.elf.dynamic import Dynamic, Strings, read_dynamic
from runworthy.formats.elf.header import is_elf, layout_of, read_header, read_segments
from runworthy.formats.elf.layout import (
    DT_ANDROID_REL,
    DT_ANDROID_RELA,
    DT_ANDROID_RELR,
    DT_BIND_NOW,
    DT_DEBUG,
    DT_FLAGS,
    DT_FLAGS_1,
    DT_MIPS_RLD_MAP,
    DT_MIPS_RLD_MAP_REL,
    DT_RELR,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_SYMBOLIC,
    DT_SYMTAB,
    DT_TEXTREL,
    EM_MIPS,
    PF_X,
    PT_GNU_STACK,
    PT_INTERP,
    Layout,
)
from runworthy.formats.elf.notes import read_notes
from runworthy.formats.elf.relocations import RelocationTables
from runworthy.formats.elf.sections import has_sections
from runworthy.formats.elf.symbols import SymbolTable
from runworthy.formats.elf.versions import VersionTables, read_versions
from runworthy.model.elf import (
    DF_BIND_NOW,
    DF_SYMBOLIC,
    DF_TEXTREL,
    Binding,
    BuildInfo,
    ElfFacts,
    ElfHeader,
    Exports,
    GoBuild,
    ImportGroup,
    Relocations,
    Segment,
)
from runworthy.model.errors import FormatError

__all__ = ["ElfReader", "is_elf", "read_elf", "read_header"]

_HEAD = 16384
_INTERPRETER_LIMIT = 4096
_MIPS_DEBUG = (DT_MIPS_RLD_MAP, DT_MIPS_RLD_MAP_REL)
_FLAG_TAGS = ((DT_BIND_NOW, DF_BIND_NOW), (DT_SYMBOLIC, DF_SYMBOLIC), (DT_TEXTREL, DF_TEXTREL))

T = TypeVar("T")


class ElfReader:
    """An ELF file in a Content. ``facts`` is complete; the methods read what they return and keep nothing else."""

    def __init__(
        self,
        content: Content,
        facts: ElfFacts,
        *,
        layout: Layout,
        dynamic: Dynamic | None,
        versions: VersionTables,
        path: str = "",
    ) -> None:
        self.facts = facts
        self._content = content
        self._layout = layout
        self._dynamic = dynamic
        self._versions = versions
        self._path = path

    def imports(self) -> tuple[ImportGroup, ...]:
        """Return undefined dynamic symbols, grouped by version record. Raises FormatError, OSError."""
        return self._imports

    @cached_property
    def _imports(self) -> tuple[ImportGroup, ...]:
        def work() -> tuple[ImportGroup, ...]:
            table = self._symbols()
            return table.imports() if table else ()

        return self._ask(work)

    def exports(self) -> Exports:
        """Return defined dynamic symbols. Raises FormatError, OSError."""
        return self._exports

    @cached_property
    def _exports(self) -> Exports:
        def work() -> Exports:
            table = self._symbols()
            return table.exports() if table else Exports((), {}, versioned=False)

        return self._ask(work)

    def relocations(self) -> Relocations:
        """Return the relocation kinds in use. Raises FormatError, OSError."""
        return self._relocations

    @cached_property
    def _relocations(self) -> Relocations:
        return self._ask(lambda: self._relocation_tables().summary())

    def copies(self) -> tuple[ImportGroup, ...]:
        """Return the variables that a program copies out of its libraries. Raises FormatError, OSError.

        The program defines each of them, yet a library must define it too (COPY relocations are looked up
        everywhere but in the program itself).
        """

        def work() -> tuple[ImportGroup, ...]:
            table = self._symbols()
            return table.copies(self._relocation_tables().copied()) if table else ()

        return self._ask(work) if self.relocations().copy else ()

    def bindings(self, names: Collection[bytes]) -> Mapping[bytes, Binding]:
        """Return how each name is bound, by the relocations that use it. Raises FormatError, OSError."""
        imported = self._import_bindings
        if all(name in imported for name in names):
            return {name: imported[name] for name in names}

        def work() -> Mapping[bytes, Binding]:
            symbols = self._symbols()
            if symbols is None:
                return dict.fromkeys(names, Binding.UNUSED)
            return self._relocation_tables().bindings(symbols.named(names), names, now=self.facts.bind_now)

        return self._ask(work)

    @cached_property
    def _import_bindings(self) -> Mapping[bytes, Binding]:
        """How each import is bound: the same ones are missing on one target after the other."""

        def work() -> Mapping[bytes, Binding]:
            symbols = self._symbols()
            if symbols is None:
                return {}
            rows = symbols.imported()
            names = {symbol.name for symbol in rows.values()}
            return self._relocation_tables().bindings(rows, names, now=self.facts.bind_now)

        return self._ask(work)

    def go(self) -> GoBuild | None:
        """Return the Go build information alone, read once. Raises OSError."""
        return self._go

    @cached_property
    def _go(self) -> GoBuild | None:
        from runworthy.formats.elf.build import read_go

        return self._ask(lambda: read_go(self._content, self.facts.header, self.facts.segments, self._layout))

    def build(self) -> BuildInfo:
        """Return what the compilers left, read once. Raises OSError."""
        return self._build

    @cached_property
    def _build(self) -> BuildInfo:
        from runworthy.formats.elf.build import read_build

        return self._ask(lambda: read_build(self._content, self.facts.header, self.facts.segments, self._layout))

    def mentions(self) -> frozenset[bytes]:
        """Return which of ``MENTIONS`` the constants hold, read once. Raises FormatError, OSError."""
        return self._mentions

    @cached_property
    def _mentions(self) -> frozenset[bytes]:
        from runworthy.formats.elf.mentions import read_mentions

        return self._ask(lambda: read_mentions(self._content, self.facts.header, self.facts.segments, self._layout))

    def _ask(self, work: Callable[[], T]) -> T:
        """Do the work, then let go of the file: thousands of readers may be alive."""
        try:
            return work()
        except FormatError as error:
            raise error.at(self._path) from None
        finally:
            release(self._content)

    def _symbols(self) -> SymbolTable | None:
        if self._dynamic is None or DT_SYMTAB not in self._dynamic.tags:
            return None
        return SymbolTable(self._content, self.facts.header, self._dynamic, self._versions, self._layout)

    def _relocation_tables(self) -> RelocationTables:
        return RelocationTables(self._content, self.facts.header, self._dynamic, self._layout)


def read_elf(content: Content, path: str = "") -> ElfReader:
    """Return the reader of an ELF file. Raises FormatError with ``path`` and the offset of what is wrong, OSError."""
    try:
        head = Window(content, 0, _HEAD)
        header = read_header(head)
        layout = layout_of(header.ident)
        segments = read_segments(head, header, layout)
        dynamic = read_dynamic(head, segments, layout)
        strings = Strings(head, *dynamic.strings) if dynamic and dynamic.strings else None
        versions = read_versions(head, dynamic, strings, layout) if dynamic and strings else VersionTables()
        facts = _facts(head, header, segments, layout, dynamic=dynamic, strings=strings, versions=versions)
    except FormatError as error:
        raise error.at(path) from None
    finally:
        release(content)
    return ElfReader(content, facts, layout=layout, dynamic=dynamic, versions=versions, path=path)


def _facts(
    content: Content,
    header: ElfHeader,
    segments: tuple[Segment, ...],
    layout: Layout,
    *,
    dynamic: Dynamic | None,
    strings: Strings | None,
    versions: VersionTables,
) -> ElfFacts:
    notes = read_notes(content, header, segments, layout)
    interpreter = _interpreter(content, segments)
    stack = next((s for s in reversed(segments) if s.type == PT_GNU_STACK), None)  # the last one counts, as in Linux
    tags = dynamic.tags if dynamic else {}

    def text(tag: int) -> str | None:
        return strings.get(tags[tag]) if strings and tag in tags else None

    def texts(indexes: tuple[int, ...]) -> tuple[str, ...]:
        return tuple([strings.get(index) for index in indexes]) if strings else ()

    flags = tags.get(DT_FLAGS, 0)
    for tag, flag in _FLAG_TAGS:
        if tag in tags:
            flags |= flag
    return ElfFacts(
        header=header,
        size=content.size,
        segments=segments,
        interpreter=None if interpreter is None else interpreter.partition(b"\0")[0].decode("utf-8", "surrogateescape"),
        interpreter_size=next((s.filesz for s in segments if s.type == PT_INTERP), 0),
        interpreter_terminated=interpreter is None or interpreter.endswith(b"\0"),
        dynamic=dynamic is not None,
        needed=texts(dynamic.needed) if dynamic else (),
        filters=texts(dynamic.filters) if dynamic else (),
        auxiliaries=texts(dynamic.auxiliaries) if dynamic else (),
        soname=text(DT_SONAME),
        rpath=text(DT_RPATH),
        runpath=text(DT_RUNPATH),
        dt_flags=flags,
        dt_flags_1=tags.get(DT_FLAGS_1, 0),
        dt_debug=DT_DEBUG in tags or (header.machine == EM_MIPS and not tags.keys().isdisjoint(_MIPS_DEBUG)),
        textrel=bool(flags & DF_TEXTREL),
        relr=DT_RELR in tags,
        android_relocations=not tags.keys().isdisjoint((DT_ANDROID_REL, DT_ANDROID_RELA, DT_ANDROID_RELR)),
        version_needs=versions.needs,
        version_defs=versions.defs,
        exec_stack=None if stack is None else bool(stack.flags & PF_X),
        isa_needed=notes.isa_needed,
        isa_used=notes.isa_used,
        feature_1=notes.feature_1,
        abi_os=notes.abi_os,
        abi_kernel=notes.abi_kernel,
        build_id=notes.build_id,
        dlopen_notes=tuple(notes.dlopen),
        has_sections=has_sections(header, content.size),
        system=notes.system,
    )


def _interpreter(content: Content, segments: tuple[Segment, ...]) -> bytes | None:
    """Return what the first PT_INTERP holds, with its NUL; of one longer than any path only the beginning."""
    segment = next((s for s in segments if s.type == PT_INTERP), None)
    if segment is None:
        return None
    return read_exactly(content, segment.offset, min(segment.filesz, _INTERPRETER_LIMIT), "program interpreter")
