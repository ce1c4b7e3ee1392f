"""The reader against GNU readelf over the real files of this machine, fact by fact."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator
from glob import glob

import pytest

from runworthy.formats.content import FileContent
from runworthy.formats.elf import ElfReader, read_elf
from runworthy.model.elf import DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DF_SYMBOLIC, DF_TEXTREL
from tests.formats.readelf import Said, readelf

pytestmark = pytest.mark.skipif(shutil.which("readelf") is None, reason="readelf is not here: apt install binutils")

ROOTS = ("/usr/bin", "/usr/lib", *sorted(glob("/usr/*-linux-gnu*/lib")))
SAMPLE = 24
FLAG = {"SYMBOLIC": DF_SYMBOLIC, "TEXTREL": DF_TEXTREL, "BIND_NOW": DF_BIND_NOW}
FLAG_NAMES = {"ORIGIN": 1, **FLAG, "STATIC_TLS": 16}
FLAG_1_NAMES = {"NOW": DF_1_NOW, "NODELETE": 8, "INITFIRST": 0x20, "NOOPEN": 0x40, "ORIGIN": 0x80} | {
    "INTERPOSE": 0x400,
    "NODEFLIB": 0x800,
    "PIE": DF_1_PIE,
}


def elf_files(*roots: str) -> Iterator[str]:
    """Programs and libraries: each file once, detached debug information and objects left out."""
    for root in roots:
        for directory, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name != "debug")
            for name in sorted(names):
                path = os.path.join(directory, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        head = file.read(20)
                    if head[:4] == b"\x7fELF" and sorted(head[16:18]) in ([0, 2], [0, 3]):
                        yield path


def compare(path: str) -> None:
    """Assert that readelf and the reader say the same of one file."""
    said = readelf(path)
    reader = read_elf(FileContent(path, os.path.getsize(path)), path)
    compare_head(said, reader)
    compare_dynamic(said, reader)
    compare_symbols(said, reader)
    compare_relocations(said, reader)


def compare_head(said: Said, reader: ElfReader) -> None:
    facts = reader.facts
    head = facts.header
    assert said.head["Class"] == f"ELF{head.elf_class}"
    assert said.head["Data"].endswith(f"{head.endian} endian")
    assert said.head["Type"].split()[0] == {2: "EXEC", 3: "DYN"}[head.type]
    assert int(said.head["Entry point address"], 16) == head.entry
    assert int(said.head["Flags"].split(",")[0], 16) == head.flags
    assert int(said.head["Number of program headers"].split()[0]) == len(facts.segments)
    assert said.segments == [(s.offset, s.vaddr, s.filesz, s.memsz, s.align) for s in facts.load_segments]
    assert said.interpreter == facts.interpreter
    assert (None if said.stack is None else "E" in said.stack) is facts.exec_stack
    assert said.build_id == facts.build_id
    assert said.kernel == (None if facts.abi_kernel is None else ".".join(map(str, facts.abi_kernel)))
    assert facts.has_sections


def compare_dynamic(said: Said, reader: ElfReader) -> None:
    facts = reader.facts

    def texts(tag: str) -> tuple[str, ...]:
        return tuple(value.partition("[")[2].removesuffix("]") for value in said.dynamic[tag])

    assert texts("NEEDED") == facts.needed
    assert texts("SONAME") == (() if facts.soname is None else (facts.soname,))
    assert texts("RPATH") == (() if facts.rpath is None else (facts.rpath,))
    assert texts("RUNPATH") == (() if facts.runpath is None else (facts.runpath,))
    assert texts("FILTER") == facts.filters
    assert texts("AUXILIARY") == facts.auxiliaries
    flags = sum(FLAG_NAMES[name] for value in said.dynamic["FLAGS"] for name in value.split())
    for tag, flag in FLAG.items():
        flags |= flag if said.dynamic[tag] else 0
    assert flags == facts.dt_flags
    assert sum(FLAG_1_NAMES[n] for v in said.dynamic["FLAGS_1"] for n in v[7:].split()) == facts.dt_flags_1
    assert facts.bind_now == bool(flags & DF_BIND_NOW or facts.dt_flags_1 & DF_1_NOW)
    assert facts.relr == bool(said.dynamic["RELR"])
    assert said.needs == [tuple(need) for need in facts.version_needs]
    assert said.defs == [(record.name, record.index, record.base) for record in facts.version_defs]


def compare_symbols(said: Said, reader: ElfReader) -> None:
    imports = {
        (os.fsdecode(name), (group.file, group.version), weak)
        for group in reader.imports()
        for names, weak in ((group.strong, False), (group.weak, True))
        for name in names
    }
    assert said.imports == imports
    exports = reader.exports()
    by_version: dict[str, set[str]] = {}
    for name, version in said.exports:
        if version is not None:
            by_version.setdefault(version, set()).add(name)
    assert {name for name, _ in said.exports} == set(map(os.fsdecode, exports.names))
    assert by_version == {version: set(map(os.fsdecode, names)) for version, names in exports.by_version.items()}
    assert {name for name, version in said.exports if version is None} == set(map(os.fsdecode, exports.base))
    if not said.copied:  # readelf does not tell whether a copied variable's version is hidden
        assert said.visible == set(map(os.fsdecode, exports.default))


def compare_relocations(said: Said, reader: ElfReader) -> None:
    head, found = reader.facts.header, reader.relocations()
    mask = 0xFFFFFFFF if head.elf_class == 64 and head.machine not in (8, 43) else 0xFF
    assert {int(info, 16) & mask for info in said.infos} == found.kinds
    assert said.relocations == found.count


@pytest.mark.slow
@pytest.mark.parametrize("root", ["/usr/bin", "/usr/lib"])
def test_sample_equals_readelf(root: str) -> None:
    small = [path for path in elf_files(root) if os.path.getsize(path) < 1 << 20]
    assert small
    for path in sorted(small, key=lambda path: zlib.crc32(path.encode()))[:SAMPLE]:
        compare(path)


@pytest.mark.judge
@pytest.mark.slow
@pytest.mark.parametrize("part", range(16))
def test_every_file_equals_readelf(part: int) -> None:
    paths = [path for path in elf_files(*ROOTS) if zlib.crc32(path.encode()) % 16 == part]
    assert paths
    for path in paths:
        compare(path)
