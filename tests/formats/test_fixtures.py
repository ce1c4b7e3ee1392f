"""Programs of other machines, linked by their own linkers (``fixtures/make.py``): what readelf said is what we say."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from runworthy.formats.content import BytesContent
from runworthy.formats.elf import ElfReader, read_elf
from runworthy.model.elf import Binding
from tests.formats.fixtures.make import HERE, TRIPLES, WITHOUT_IFUNC

BIG_ENDIAN = ("m68k", "mips", "ppc64", "s390x", "sparc64")
THROUGH_PLT = ("ppc64", "ppc64le")  # a JMP_SLOT that leads to an indirect function
THROUGH_GOT = ("alpha", "mips", "mips64el", "ppc64", "ppc64le")  # addresses are loaded from a table: nothing is copied
NARROW = ("armhf", "i386", "m68k", "mips")


@pytest.fixture(params=sorted(TRIPLES))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def reader(machine: str) -> ElfReader:
    with open(os.path.join(HERE, f"{machine}.elf"), "rb") as file:
        return read_elf(BytesContent(file.read()))


@pytest.fixture
def said(machine: str) -> dict[str, Any]:
    with open(os.path.join(HERE, f"{machine}.json"), encoding="utf-8") as file:
        return dict(json.load(file))


def test_header_and_segments(machine: str, reader: ElfReader, said: dict[str, Any]) -> None:
    facts = reader.facts
    assert facts.header.endian == ("big" if machine in BIG_ENDIAN else "little")
    assert facts.header.elf_class == (32 if machine in NARROW else 64)
    assert facts.header.flags == said["flags"]
    assert facts.interpreter == said["interpreter"]
    assert facts.interpreter_terminated
    assert facts.build_id == said["build_id"]
    assert [[s.offset, s.vaddr, s.filesz, s.memsz, s.align] for s in facts.load_segments] == said["segments"]
    assert facts.is_program
    assert not facts.is_static
    assert not facts.has_sections


def test_dynamic_section_and_versions(reader: ElfReader, said: dict[str, Any]) -> None:
    facts = reader.facts
    assert [f"Shared library: [{name}]" for name in facts.needed] == said["dynamic"]["NEEDED"]
    assert facts.rpath == "$ORIGIN/../lib"
    assert facts.runpath is None
    assert [list(need) for need in facts.version_needs] == said["needs"]
    assert [[record.name, record.index, record.base] for record in facts.version_defs] == said["defs"]


def test_symbols(reader: ElfReader, said: dict[str, Any]) -> None:
    imports = {
        (name.decode(), group.file, group.version, weak)
        for group in reader.imports()
        for names, weak in ((group.strong, False), (group.weak, True))
        for name in names
    }
    assert imports == {(name, file, version, weak) for name, (file, version), weak in said["imports"]}
    exports = reader.exports()
    assert {name.decode() for name in exports.names} == {name for name, _ in said["exports"]}
    assert {(name.decode(), version) for version, names in exports.by_version.items() for name in names} == {
        (name, version) for name, version in said["exports"] if version
    }


def test_relocations(machine: str, reader: ElfReader, said: dict[str, Any]) -> None:
    found = reader.relocations()
    assert sorted(found.kinds) == said["kinds"]
    assert found.count == said["relocations"]
    assert found.irelative == (machine not in (*WITHOUT_IFUNC, *THROUGH_PLT))


def test_copied_variables_are_needed_from_a_library(machine: str, reader: ElfReader) -> None:
    copied = {(group.file, name) for group in reader.copies() for name in group.strong | group.weak}
    assert reader.relocations().copy == bool(copied)
    if machine in THROUGH_GOT:
        assert not copied
    else:  # the first of the names that libc gives to one variable
        assert copied == {("libc.so.6", b"__environ")}
        assert b"__environ" in reader.exports().names


def test_functions_are_bound_at_their_first_call(reader: ElfReader) -> None:
    assert reader.bindings([b"puts", b"nothing"]) == {b"puts": Binding.LAZY, b"nothing": Binding.UNUSED}
