"""Facts of files that are no ELF files, as plain data and as text: scripts, APE, PE, Mach-O, archives, text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from runworthy.formats.macho import FILETYPES
from runworthy.formats.pe import SUBSYSTEMS
from runworthy.model.archive import ArchiveFacts, Oddity
from runworthy.model.program import ApeElf, ApeFacts, ApeLoader, FileFacts, MachoFacts, PeFacts, ScriptLine
from runworthy.report.facts import Data, aligned
from runworthy.report.words import Style, count, encodable, listed, size

__all__ = ["file_data", "file_lines"]

_KINDS = {
    "elf": "ELF file", "ape": "Actually Portable Executable", "pe": "Windows program", "mach-o": "Mach-O file",
    "script": "script", "jar": "Java archive", "zip": "zip archive", "python-bytecode": "Python bytecode",
    "wasm": "WebAssembly", "archive": "archive", "text": "text", "data": "data", "empty": "empty file",
}  # fmt: skip
_SYSTEMS = {"linux": "Linux and BSD", "darwin": "macOS"}
_FORMS = {"gzip": "packed with gzip", "source": "C source, packed with gzip", "plain": "not packed"}


def file_data(name: str, facts: FileFacts) -> Data:
    """Return the facts of one file that is no ELF file."""
    return {
        "file": encodable(name),
        "size": facts.size,
        "type": facts.type,
        "kind": _kind(facts),
        "detail": facts.detail,
        "bom": facts.bom,
        "script": facts.script and _script_data(facts.script),
        "ape": facts.ape and _ape_data(facts.ape),
        "pe": facts.pe and _pe_data(facts.pe),
        "mach_o": [_macho_data(part) for part in facts.machos],
        "zip_entries": facts.zip_entries,
        "main_class": encodable(facts.main_class),
        "problem": facts.problem,
        "archive": facts.archive and _archive_data(facts.archive),
    }


def file_lines(name: str, facts: FileFacts, style: Style) -> Iterator[str]:
    """Yield the facts of one file as aligned lines; what a file does not have is left out."""
    yield from aligned(name, _rows(facts), style)


# -- rows of the text ------------------------------------------------------------------------


def _rows(facts: FileFacts) -> Iterator[tuple[str, Sequence[str]]]:
    detail = f", {facts.detail}" if facts.detail and facts.archive is None else ""
    yield "kind", [_kind(facts) + detail]
    if facts.bom:
        yield "begins with", ["the byte order mark of UTF-8"]
    if facts.script is not None:
        yield from _script_rows(facts.script)
    if facts.ape is not None:
        yield from _ape_rows(facts.ape)
    if facts.pe is not None:
        yield from _pe_rows(facts.pe)
    yield "parts", [_macho_in_words(part) for part in facts.machos]
    yield "main class", [facts.main_class] if facts.main_class else []
    if facts.archive is not None:
        yield from _archive_rows(facts.archive)
    elif facts.zip_entries is not None:
        yield "zip archive", [count(facts.zip_entries, "entry", "entries")]
    yield "damaged", [facts.problem] if facts.problem else []


_ECOSYSTEMS = {
    "wheel": "wheel", "npm": "package of npm", "nupkg": "package of NuGet", "jar": "Java archive",
    "deb": "Debian package", "apk": "Alpine package", "rpm": "RPM package", "appimage": "AppImage",
}  # fmt: skip
_MEMBERS = {
    "file": ("file", "files"),
    "dir": ("directory", "directories"),
    "link": ("symbolic link", "symbolic links"),
    "hard-link": ("hard link", "hard links"),
    "other": ("device", "devices"),
}
_NAMED = 12
_METADATA = ("name", "version", "architecture", "tags", "requires-python", "requires", "os", "cpu", "libc", "optional")


def _archive_rows(archive: ArchiveFacts) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield what is in an archive: how many of each kind, its programs and libraries, and what it says of itself."""
    container = archive.container
    packed = f", packed with {container.packing}" if container.packing else ""
    yield "archive", [f"{container.format}{packed}"]
    yield "holds", [_counts(archive)]
    elves = [f"{one.path}  {one.machine}" for one in archive.members if one.machine]
    yield "ELF files", _some(elves)
    for key in _METADATA:
        yield key, _some(archive.metadata.get(key, ()))
    yield "odd", _some([_oddity(one) for one in container.oddities])


def _counts(archive: ArchiveFacts) -> str:
    numbers = Counter(one.kind for one in archive.members)
    held = [count(numbers[kind], *words) for kind, words in _MEMBERS.items() if numbers[kind]]
    total = sum(one.size or 0 for one in archive.members if one.kind == "file")
    return f"{listed(held) or 'nothing'}, {count(total, 'byte')}"


def _some(values: Sequence[str]) -> list[str]:
    shown = list(values[:_NAMED])
    return [*shown, f"and {len(values) - len(shown)} more"] if len(shown) < len(values) else shown


def _oddity(oddity: Oddity) -> str:
    detail = f": {oddity.detail}" if oddity.detail else ""
    return f"{oddity.member}  {oddity.kind}{detail}"


def _script_rows(script: ScriptLine) -> Iterator[tuple[str, Sequence[str]]]:
    if script.refused:
        yield "interpreter", [f"none that the kernel takes: {script.refused}"]
        return
    cr = ", which ends with a carriage return" if script.carriage_return else ""
    yield "interpreter", [(script.interpreter or "none: the line is empty") + (cr if script.argument is None else "")]
    if script.argument is not None:
        yield "argument", [(script.argument or "an empty one") + cr]
    if script.cut:
        yield "line", ["longer than the 256 bytes that the kernel reads: the rest is lost"]


def _ape_rows(ape: ApeFacts) -> Iterator[tuple[str, Sequence[str]]]:
    yield "magic", [ape.magic]
    yield "code", [_elf_in_words(elf) for elf in ape.elves]
    yield "code too far", [f"{_elf_in_words(elf)}, past the 8192 bytes that a loader reads" for elf in ape.far_elves]
    yield "Windows part", [_pe_in_words(ape.pe), *_imports(ape.pe)] if ape.pe else []
    yield "macOS part", [_macho_in_words(part) for part in ape.machos]
    yield "loader", [_loader_in_words(loader) for loader in ape.loaders]
    yield "loader's name", [ape.loader_name] if ape.loader_name else []
    yield "script", ["writes an ELF header over the file itself"] if ape.rewrites_itself else []
    yield "commands", [listed(ape.tools)] if ape.tools else []


def _pe_rows(pe: PeFacts) -> Iterator[tuple[str, Sequence[str]]]:
    yield "machine", [_pe_machine(pe)]
    yield "subsystem", [_subsystem(pe)]
    yield "runtime", [".NET"] if pe.clr else []
    yield "imports", pe.imports


def _elf_in_words(elf: ApeElf) -> str:
    pages = f", pages of {listed([size(number) for number in elf.page_sizes])}" if elf.page_sizes else ""
    refused = f", refused: {elf.problem}" if elf.problem else ""
    return f"{_machine(elf)}, ELF header at {elf.at:#x}{pages}{refused}"


def _pe_in_words(pe: PeFacts) -> str:
    return f"{_pe_machine(pe)}, {_subsystem(pe)}, header at {pe.offset:#x}"


def _imports(pe: PeFacts) -> list[str]:
    return [f"imports {listed(pe.imports, 6)}"] if pe.imports else []


def _macho_in_words(part: MachoFacts) -> str:
    kind = FILETYPES.get(part.filetype, "other file")
    least = f", macOS {part.minimum} or newer" if part.minimum else ""
    return f"{part.arch} {kind} at {part.offset:#x}, {count(part.size, 'byte')}{least}"


def _loader_in_words(loader: ApeLoader) -> str:
    place = f"at {loader.offset:#x}, {count(loader.size, 'byte')}, {_FORMS[loader.form]}"
    unpacked = f"; {count(loader.unpacked, 'byte')}, SHA-256 {loader.sha256}" if loader.sha256 else ""
    damaged = f"; {loader.problem}" if loader.problem else ""
    return f"{loader.arch} for {_SYSTEMS[loader.system]} {place}{unpacked}{damaged}"


# -- pieces of the data ----------------------------------------------------------------------


def _kind(facts: FileFacts) -> str:
    if facts.archive is not None and facts.archive.container.kind in _ECOSYSTEMS:
        return _ECOSYSTEMS[facts.archive.container.kind]
    if facts.pe is not None:
        return "Windows library" if facts.pe.dll else "Windows program"
    if facts.machos:
        kinds = {FILETYPES.get(part.filetype, "file") for part in facts.machos}
        return f"Mach-O {kinds.pop() if len(kinds) == 1 else 'file'}"
    return _KINDS[facts.type]


def _machine(elf: ApeElf) -> str:
    return elf.arch or f"ELF machine {elf.machine}"


def _pe_machine(pe: PeFacts) -> str:
    return f"{pe.arch or f'machine {pe.machine:#06x}'}, {pe.bits} bit"


def _subsystem(pe: PeFacts) -> str:
    return SUBSYSTEMS.get(pe.subsystem, f"subsystem {pe.subsystem}")


def _archive_data(archive: ArchiveFacts) -> Data:
    container = archive.container
    return {
        "kind": container.kind,
        "format": container.format,
        "packing": container.packing or None,
        "members": [
            {
                "path": encodable(one.path),
                "kind": one.kind,
                "mode": one.mode,
                "size": one.size,
                "target": encodable(one.target) or None,
                "machine": one.machine or None,
            }
            for one in archive.members
        ],
        "oddities": [
            {
                "kind": one.kind,
                "member": encodable(one.member),
                "detail": encodable(one.detail),
                "offset": one.offset,
                "read": one.read,
            }
            for one in container.oddities
        ],
        "metadata": {encodable(key): [encodable(one) for one in held] for key, held in archive.metadata.items()},
        "problem": encodable(container.problem),
    }


def _script_data(script: ScriptLine) -> Data:
    return {
        "interpreter": encodable(script.interpreter),
        "argument": None if script.argument is None else encodable(script.argument),
        "refused": script.refused,
        "cut": script.cut,
        "carriage_return": script.carriage_return,
    }


def _ape_data(ape: ApeFacts) -> Data:
    return {
        "magic": ape.magic,
        "elf": [_elf_data(elf) for elf in ape.elves],
        "elf_too_far": [_elf_data(elf) for elf in ape.far_elves],
        "pe": ape.pe and _pe_data(ape.pe),
        "mach_o": [_macho_data(part) for part in ape.machos],
        "loaders": [_loader_data(loader) for loader in ape.loaders],
        "loader_name": encodable(ape.loader_name),
        "rewrites_itself": ape.rewrites_itself,
        "commands": list(ape.tools),
    }


def _elf_data(elf: ApeElf) -> Data:
    return {
        "offset": elf.at,
        "machine": elf.arch,
        "elf_machine": elf.machine,
        "osabi": elf.osabi,
        "problem": elf.problem,
        "modern": elf.modern,
        "page_sizes": list(elf.page_sizes),
    }


def _pe_data(pe: PeFacts) -> Data:
    return {
        "offset": pe.offset,
        "machine": pe.arch,
        "pe_machine": pe.machine,
        "bits": pe.bits,
        "subsystem": pe.subsystem,
        "dll": pe.dll,
        "clr": pe.clr,
        "imports": [encodable(name) for name in pe.imports],
    }


def _macho_data(part: MachoFacts) -> Data:
    return {
        "offset": part.offset,
        "size": part.size,
        "machine": part.arch,
        "cpu": part.cpu,
        "filetype": part.filetype,
        "minimum": part.minimum,
    }


def _loader_data(loader: ApeLoader) -> Data:
    return {
        "offset": loader.offset,
        "size": loader.size,
        "machine": loader.arch,
        "system": loader.system,
        "form": loader.form,
        "unpacked": loader.unpacked,
        "sha256": loader.sha256 or None,
        "problem": loader.problem,
    }
