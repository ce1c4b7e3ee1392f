"""Facts of ELF files as plain data and as text: what the bytes say, without a target and without opinion."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from runworthy.model.arch import machine_name
from runworthy.model.elf import ElfFacts, ElfFile, Segment, VersionNeed
from runworthy.model.machine import isa_level, isa_name
from runworthy.report.words import Style, clean, count, encodable, listed, size

__all__ = ["SCHEMA", "Data", "aligned", "elf_data", "elf_lines", "highest_versions"]

SCHEMA = "runworthy.facts/1"

Data = dict[str, object]

_TYPES = {1: "relocatable object", 2: "program", 3: "library", 4: "core dump"}
_PAGE_SIZES = (4096, 16384, 65536)
_FLAGS = {1: "ORIGIN", 2: "SYMBOLIC", 4: "TEXTREL", 8: "BIND_NOW", 16: "STATIC_TLS"}
# glibc elf/elf.h, DF_1_*: those that change what a loader does.
_FLAGS_1 = {0x1: "NOW", 0x2: "GLOBAL", 0x8: "NODELETE", 0x20: "INITFIRST", 0x40: "NOOPEN", 0x80: "ORIGIN",
    0x400: "INTERPOSE", 0x800: "NODEFLIB", 0x8000000: "PIE"}  # fmt: skip
_FEATURES = {0x1: "IBT", 0x2: "SHSTK"}
_ABI_SYSTEMS = {0: "Linux", 1: "Hurd", 2: "Solaris", 3: "FreeBSD", 4: "NetBSD"}


def elf_data(name: str, elf: ElfFile, *, symbols: bool = False) -> Data:
    """Return the facts of one file; with ``symbols`` the names too. Raises FormatError."""
    facts = elf.facts
    head = facts.header
    arch = facts.architecture
    return {
        "file": encodable(name),
        "size": facts.size,
        "kind": _kind(facts),
        "static": facts.is_static,
        "pie": facts.is_pie,
        "machine": arch.name if arch else None,
        "elf_machine": {"number": head.machine, "name": machine_name(head.machine)},
        "class": head.elf_class,
        "endian": head.endian,
        "interpreter": _text(facts.interpreter),
        "soname": _text(facts.soname),
        "needed": _texts(facts.needed),
        "filters": _texts(facts.filters),
        "auxiliaries": _texts(facts.auxiliaries),
        "rpath": _text(facts.rpath),
        "runpath": _text(facts.runpath),
        "flags": [*_names(facts.dt_flags, _FLAGS), *_names(facts.dt_flags_1, _FLAGS_1)],
        "version_needs": _version_needs(facts.version_needs),
        "version_defs": _texts([node.name for node in facts.version_defs if not node.base]),
        "symbols": _symbols(elf, names=symbols),
        "relocations": _relocations(elf),
        "segments": [_segment(segment) for segment in facts.load_segments],
        "page_sizes": [size for size in _PAGE_SIZES if _maps_with(facts.load_segments, size)],
        "exec_stack": facts.exec_stack,
        "isa": {"needed": _isa(facts.isa_needed), "used": _isa(facts.isa_used)},
        "control_flow": _names(facts.feature_1, _FEATURES),
        "abi": _abi(facts),
        "build_id": facts.build_id,
        "dlopen": [
            {
                "sonames": _texts(note.sonames),
                "feature": encodable(note.feature),
                "description": encodable(note.description),
                "priority": encodable(note.priority),
            }
            for note in facts.dlopen_notes
        ],
        "build": _build(elf),
        "section_headers": facts.has_sections,
    }


def elf_lines(name: str, elf: ElfFile, style: Style, *, symbols: bool = False) -> Iterator[str]:
    """Yield the facts of one file as aligned lines; what a file does not have is left out. Raises FormatError."""
    yield from aligned(name, _rows(elf), style)
    if symbols:
        yield from _symbol_lines(elf, style)


def aligned(name: str, held: Iterable[tuple[str, Sequence[str]]], style: Style) -> Iterator[str]:
    """Yield the name of a file, and below it labels with the values that each has; a label without any is left out."""
    yield style.paint(clean(name), "bold")
    rows = [(label, value) for label, values in held for value in values]
    width = max(len(label) for label, _ in rows)
    last = ""
    for label, value in rows:
        shown = "" if label == last else label
        yield f"  {style.paint(shown.ljust(width), 'cyan')}  {clean(value)}"
        last = label


# -- rows of the text ------------------------------------------------------------------------


def _rows(elf: ElfFile) -> Iterator[tuple[str, Sequence[str]]]:
    facts = elf.facts
    yield "kind", [_kind_in_words(facts)]
    yield "machine", [_machine_in_words(facts)]
    yield "interpreter", _present(facts.interpreter)
    yield "soname", _present(facts.soname)
    yield "needed", facts.needed
    yield "filter for", facts.filters
    yield "auxiliary for", facts.auxiliaries
    yield "rpath", _present(facts.rpath)
    yield "runpath", _present(facts.runpath)
    yield "flags", _present(", ".join([*_names(facts.dt_flags, _FLAGS), *_names(facts.dt_flags_1, _FLAGS_1)]))
    yield "needs versions", [_need_in_words(file, versions) for file, versions in _by_file(facts.version_needs).items()]
    defined = [node.name for node in facts.version_defs if not node.base]
    yield "defines versions", _present(listed(highest_versions(defined), 6))
    yield "symbols", _present(_symbols_in_words(elf))
    yield "relocations", _present(_relocations_in_words(elf))
    yield "pages", _present(_pages_in_words(facts))
    yield "stack", _present({True: "executable", False: "not executable", None: "not stated"}[facts.exec_stack])
    yield "instruction set", _present(_isa_in_words(facts))
    yield "control flow", _present(", ".join(_names(facts.feature_1, _FEATURES)))
    yield "minimum kernel", _present(_abi_in_words(facts))
    yield (
        "opens at run time",
        [_dlopen_in_words(note.sonames, note.priority, note.feature) for note in facts.dlopen_notes],
    )
    yield "made with", list(_makers(elf))
    yield "build id", _present(facts.build_id)
    yield "sections", [] if facts.has_sections else ["no section headers"]


def _present(text: str | None) -> list[str]:
    return [text] if text else []


def _kind_in_words(facts: ElfFacts) -> str:
    if facts.is_static:
        return "static program, position-independent" if facts.is_pie else "static program"
    kind = _kind(facts)
    return f"{kind}, position-independent" if kind == "program" and facts.is_pie else kind


def _machine_in_words(facts: ElfFacts) -> str:
    arch, head = facts.architecture, facts.header
    return f"{arch.name if arch else machine_name(head.machine)}, {head.elf_class} bit, {head.endian} endian"


def _need_in_words(file: str, versions: Sequence[VersionNeed]) -> str:
    names = highest_versions([need.version for need in versions if not need.weak])
    weak = highest_versions([need.version for need in versions if need.weak])
    words = [*names, *(f"{name} (weak)" for name in weak)]
    more = len(versions) - len(words)
    return f"{file}  {listed(words)}" + (f", highest of {len(versions)}" if more else "")


def _symbols_in_words(elf: ElfFile) -> str:
    strong, weak = _imports(elf)
    exported = len(elf.exports().names)
    words = [f"{len(strong)} imported" if strong else "", f"{len(weak)} imported weakly" if weak else ""]
    return ", ".join(filter(None, [*words, f"{exported} exported" if exported else ""]))


def _relocations_in_words(elf: ElfFile) -> str:
    found = elf.relocations()
    special = {"indirect functions": found.irelative, "copies": found.copy, "RELR": elf.facts.relr,
        "in the text": elf.facts.textrel, "Android's packing": elf.facts.android_relocations}  # fmt: skip
    named = [name for name, there in special.items() if there]
    if not found.count and not named:
        return ""
    return f"{found.count} of {count(len(found.kinds), 'kind')}" + (f", with {listed(named)}" if named else "")


def _pages_in_words(facts: ElfFacts) -> str:
    segments = facts.load_segments
    if not segments:
        return ""
    sizes = [size(number) for number in _PAGE_SIZES if _maps_with(segments, number)]
    align = max(segment.align for segment in segments)
    fits = f"can be mapped with pages of {listed(sizes)}" if sizes else "cannot be mapped with any usual page size"
    return f"{fits}; {count(len(segments), 'segment')}, aligned to {size(align)}"


def _isa_in_words(facts: ElfFacts) -> str:
    needed, used = _isa(facts.isa_needed), _isa(facts.isa_used)
    return "; ".join(filter(None, [f"needs {needed}" if needed else "", f"uses up to {used}" if used else ""]))


def _abi_in_words(facts: ElfFacts) -> str:
    abi = _abi(facts)
    return "" if abi is None else " ".join(str(abi[key]) for key in ("system", "kernel") if abi[key])


def _dlopen_in_words(sonames: Sequence[str], priority: str, feature: str) -> str:
    return f"{' or '.join(sonames)}" + (f"  {priority}" if priority else "") + (f", for {feature}" if feature else "")


def _makers(elf: ElfFile) -> Iterator[str]:
    build = elf.build()
    if build.go:
        settings = ", ".join(f"{key}={value}" for key, value in build.go.settings.items() if key in _GO_SETTINGS)
        yield f"Go {build.go.version.removeprefix('go')} {build.go.path}" + (f" ({settings})" if settings else "")
    if build.rust:
        yield f"Rust {build.rust}"
    yield from build.comments


_GO_SETTINGS = frozenset(("CGO_ENABLED", "GOAMD64", "GOARCH", "GOARM", "GOOS"))


def _symbol_lines(elf: ElfFile, style: Style) -> Iterator[str]:
    yield f"  {style.paint('imported symbols', 'cyan')}"
    for group in elf.imports():
        version = f"  {group.version} of {group.file}" if group.version else ""
        for name in sorted(group.strong | group.weak):
            weak = "  weak" if name in group.weak else ""
            yield clean(f"    {_decoded(name)}{version}{weak}")
    yield f"  {style.paint('exported symbols', 'cyan')}"
    exports = elf.exports()
    for name in sorted(exports.names):
        yield clean(f"    {_decoded(name)}  {', '.join(exports.versions_of(name))}").rstrip()


# -- pieces of the data ----------------------------------------------------------------------


def _kind(facts: ElfFacts) -> str:
    kind = _TYPES.get(facts.header.type, f"ELF type {facts.header.type}")
    return "program" if kind == "library" and facts.is_program else kind


def _text(text: str | None) -> str | None:
    return None if text is None else encodable(text)


def _texts(texts: Sequence[str]) -> list[str]:
    return [encodable(text) for text in texts]


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _names(bits: int, table: Mapping[int, str]) -> list[str]:
    return [name for bit, name in table.items() if bits & bit]


def _by_file(needs: Sequence[VersionNeed]) -> dict[str, list[VersionNeed]]:
    found: dict[str, list[VersionNeed]] = {}
    for need in needs:
        found.setdefault(need.file, []).append(need)
    return found


def _version_needs(needs: Sequence[VersionNeed]) -> list[Data]:
    return [
        {
            "file": encodable(file),
            "highest": _texts(highest_versions([need.version for need in held])),
            "versions": [{"name": encodable(need.version), "weak": need.weak} for need in held],
        }
        for file, held in _by_file(needs).items()
    ]


def highest_versions(names: Sequence[str]) -> list[str]:
    """Return the highest version of each series: GLIBC_2.34 of all GLIBC_2.x, with names that have no number."""
    best: dict[str, tuple[tuple[int, ...], str]] = {}
    for name in names:
        series, _, number = name.rpartition("_")
        parts = tuple(int(part) for part in number.split(".") if part.isascii() and part.isdigit())
        key = series if parts else name
        best[key] = max(best.get(key, (parts, name)), (parts, name))
    return [name for _, name in best.values()]


def _imports(elf: ElfFile) -> tuple[Collection[bytes], Collection[bytes]]:
    groups = elf.imports()
    return frozenset().union(*(group.strong for group in groups)), frozenset().union(*(group.weak for group in groups))


def _symbols(elf: ElfFile, *, names: bool) -> Data:
    strong, weak = _imports(elf)
    exports = elf.exports()
    data: Data = {
        "imported": len(strong),
        "imported_weak": len(weak),
        "exported": len(exports.names),
        "indirect": len(exports.indirect),
    }
    if names:
        data["imports"] = [
            {"name": _decoded(name), "version": group.version, "file": group.file, "weak": name in group.weak}
            for group in elf.imports()
            for name in sorted(group.strong | group.weak)
        ]
        data["exports"] = [
            {"name": _decoded(name), "versions": list(exports.versions_of(name))} for name in sorted(exports.names)
        ]
    return data


def _relocations(elf: ElfFile) -> Data:
    found = elf.relocations()
    return {
        "count": found.count,
        "kinds": sorted(found.kinds),
        "irelative": found.irelative,
        "copy": found.copy,
        "relr": elf.facts.relr,
        "textrel": elf.facts.textrel,
        "android": elf.facts.android_relocations,
    }


def _segment(segment: Segment) -> Data:
    flags = "".join(letter if segment.flags & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
    return {
        "flags": flags,
        "offset": segment.offset,
        "address": segment.vaddr,
        "file_size": segment.filesz,
        "memory_size": segment.memsz,
        "align": segment.align,
    }


def _maps_with(segments: Sequence[Segment], page: int) -> bool:
    """Whether a loader can map the segments: aligned to the page, address and offset congruent."""
    return bool(segments) and all(
        segment.align % page == 0 and (segment.vaddr - segment.offset) % page == 0 for segment in segments
    )


def _isa(bits: int) -> str | None:
    level = isa_level(bits)
    return isa_name(level) if level else None


def _abi(facts: ElfFacts) -> Data | None:
    if facts.abi_os is None:
        return None
    kernel = ".".join(map(str, facts.abi_kernel)) if facts.abi_kernel else None
    return {"system": _ABI_SYSTEMS.get(facts.abi_os, f"system {facts.abi_os}"), "kernel": kernel}


def _build(elf: ElfFile) -> Data:
    build = elf.build()
    go = build.go and {
        "version": encodable(build.go.version),
        "path": encodable(build.go.path),
        "module": encodable(build.go.module),
        "settings": {encodable(key): encodable(value) for key, value in build.go.settings.items()},
    }
    return {"go": go, "rust": _text(build.rust), "comments": _texts(build.comments)}
