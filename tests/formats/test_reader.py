"""What the reader says of files that a test wrote byte by byte (``tests/elfwriter.py``)."""

from __future__ import annotations

import os
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runworthy.formats.content import BytesContent, FileContent
from runworthy.formats.elf import ElfReader, is_elf, read_elf, read_header
from runworthy.model.elf import DF_1_PIE, DF_BIND_NOW, DF_SYMBOLIC, DF_TEXTREL, Binding, ImportGroup
from runworthy.model.errors import FormatError
from tests.elfwriter import MACHINES, Note, Symbol, dlopen_note, elf, gnu_property

DT_HASH, DT_DEBUG, DT_BIND_NOW, DT_SYMBOLIC, DT_TEXTREL, DT_AUXILIARY, DT_FILTER = (
    4,
    21,
    24,
    16,
    22,
    0x7FFFFFFD,
    0x7FFFFFFF,
)
ISA_NEEDED, ISA_USED, X86_FEATURE_1, AARCH64_FEATURE_1 = 0xC0008002, 0xC0010002, 0xC0000002, 0xC0000000


def read(data: bytes) -> ElfReader:
    return read_elf(BytesContent(data))


names = st.text("abcXYZ_019.é", min_size=1, max_size=8)
paths = st.text("abc/$ORIGIN:.é ", max_size=20)
versions = st.sampled_from(["V_1", "V_2.0", "PRIVATE"])


@st.composite
def import_symbols(draw: st.DrawFn) -> list[Symbol]:
    chosen = draw(st.lists(names, unique=True, max_size=6))
    symbols = []
    for name in chosen:
        version = draw(st.none() | versions)
        file = draw(st.sampled_from(["libc.so.6", "libm.so.6"])) if version else None
        symbols.append(Symbol(name, version, file, bind=draw(st.sampled_from(["global", "weak"]))))
    return symbols


@st.composite
def export_symbols(draw: st.DrawFn) -> list[Symbol]:
    keys = draw(st.lists(st.tuples(names, st.none() | versions), unique=True, max_size=8))
    return [
        Symbol(
            name,
            version,
            default=draw(st.booleans()) if version else True,
            bind=draw(st.sampled_from(["global", "weak", "unique"])),
            kind=draw(st.sampled_from(["notype", "object", "func", "tls", "ifunc"])),
        )
        for name, version in keys
    ]


def grouped(symbols: list[Symbol]) -> dict[tuple[str | None, str | None], tuple[set[bytes], set[bytes]]]:
    found: dict[tuple[str | None, str | None], tuple[set[bytes], set[bytes]]] = {}
    for symbol in symbols:
        group = found.setdefault((symbol.file, symbol.version), (set(), set()))
        group[symbol.bind == "weak"].add(symbol.name.encode())
    return found


@given(
    machine=st.sampled_from(sorted(MACHINES)),
    needed=st.lists(names, max_size=3),
    soname=st.none() | names,
    rpath=st.none() | paths,
    runpath=st.none() | paths,
    interpreter=st.none() | names,
    imports=import_symbols(),
    exports=export_symbols(),
    kernel=st.none() | st.tuples(*[st.integers(0, 300)] * 3),
    build_id=st.binary(max_size=20),
    hashes=st.sampled_from(["gnu", "sysv", "both"]),
    stack=st.none() | st.booleans(),
)
@settings(max_examples=150)
def test_what_is_written_is_read(
    *,
    machine: str,
    needed: list[str],
    soname: str | None,
    rpath: str | None,
    runpath: str | None,
    interpreter: str | None,
    imports: list[Symbol],
    exports: list[Symbol],
    kernel: tuple[int, int, int] | None,
    build_id: bytes,
    hashes: str,
    stack: bool | None,
) -> None:
    reader = read(
        elf(
            machine=machine,
            needed=needed,
            soname=soname,
            rpath=rpath,
            runpath=runpath,
            interpreter=interpreter,
            imports=imports,
            exports=exports,
            abi_kernel=kernel,
            build_id=build_id,
            hashes=hashes,  # type: ignore[arg-type]  # sampled from the literals
            exec_stack=stack,
            dynamic=True,
        )
    )
    facts = reader.facts
    written = MACHINES[machine]
    assert (facts.header.machine, facts.header.elf_class, facts.header.endian) == (
        written.number,
        written.bits,
        written.endian,
    )
    assert facts.needed == tuple(needed)
    assert (facts.soname, facts.rpath, facts.runpath, facts.interpreter) == (soname, rpath, runpath, interpreter)
    assert (facts.abi_kernel, facts.build_id, facts.exec_stack) == (kernel, build_id.hex() or None, stack)
    assert {(g.file, g.version): (set(g.strong), set(g.weak)) for g in reader.imports()} == grouped(imports)
    found = reader.exports()
    versioned = any(symbol.version for symbol in (*imports, *exports))
    assert found.versioned == versioned
    assert found.names == {symbol.name.encode() for symbol in exports}
    for version in {symbol.version for symbol in exports if symbol.version}:
        wanted = {symbol.name.encode() for symbol in exports if symbol.version == version}
        assert found.by_version[version] == wanted
    assert found.base == {symbol.name.encode() for symbol in exports if symbol.version is None}
    assert found.indirect == {symbol.name.encode() for symbol in exports if symbol.kind == "ifunc"}
    assert found.default == {s.name.encode() for s in exports if s.default and s.kind != "ifunc"}


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_relocations_of_every_machine(machine: str) -> None:
    imports = [
        Symbol("data", use="data"),
        Symbol("call", use="plt"),
        Symbol("unused"),
        Symbol("weakling", bind="weak", use="data"),
    ]
    exports = [Symbol("environ", "V", "libc.so.6", kind="object", use="copy")]
    reader = read(elf(machine=machine, imports=imports, exports=exports, irelative=3))
    data, plt, copy, irelative = MACHINES[machine].kinds
    found = reader.relocations()
    assert found.kinds == {data, plt, copy, irelative}
    assert found.count == 7
    assert found.copy
    assert found.irelative == (machine not in ("mips", "mips64el", "alpha", "m68k"))
    assert reader.bindings([b"data", b"call", b"unused"]) == {
        b"data": Binding.NOW,
        b"call": Binding.LAZY,
        b"unused": Binding.UNUSED,
    }
    assert reader.copies() == (ImportGroup(file="libc.so.6", version="V", strong=frozenset({b"environ"})),)
    assert reader.exports().by_version == {"V": {b"environ"}}


def test_bind_now_leaves_nothing_lazy() -> None:
    reader = read(elf(imports=[Symbol("call", use="plt")], tags=[(DT_BIND_NOW, 0)]))
    assert reader.facts.bind_now
    assert reader.bindings([b"call"]) == {b"call": Binding.NOW}


def test_undefined_symbols_among_the_hashed_are_imports() -> None:
    """GNU ld hashes an undefined function whose address a program takes."""
    exports = [Symbol("main"), Symbol("free", section=0, value=0), Symbol("puts", section=0, value=0x1040)]
    reader = read(elf(imports=["malloc"], exports=exports))
    assert [group.strong for group in reader.imports()] == [{b"malloc", b"free", b"puts"}]
    assert reader.exports().names == {b"main"}


def test_symbols_without_a_value_and_hidden_ones_are_not_found() -> None:
    exports = [
        Symbol("nothing", value=0),
        Symbol("zero", value=0, section=0xFFF1),
        Symbol("thread", value=0, kind="tls"),
        Symbol("hidden", visibility="hidden"),
        Symbol("internal", visibility="internal"),
        Symbol("protected", visibility="protected"),
        Symbol("section", kind="section"),
        Symbol("local", bind="local"),
    ]
    assert read(elf(exports=exports)).exports().names == {b"zero", b"thread", b"protected"}
    hidden = [Symbol("hidden", visibility="hidden"), Symbol("shown", visibility="protected")]
    assert [group.strong for group in read(elf(imports=hidden)).imports()] == [{b"shown"}]


def test_no_hash_table_means_no_exports() -> None:
    reader = read(elf(imports=["a", "b"], exports=["c"], hashes="none"))
    assert [group.strong for group in reader.imports()] == [{b"a", b"b"}]
    assert not reader.exports().names


def test_unversioned_references() -> None:
    exports = [
        Symbol("one", "V2"),
        Symbol("old", "V1", default=False),
        Symbol("twice", "V1"),
        Symbol("twice", "V2"),
        Symbol("renewed", "V1", default=False),
        Symbol("renewed", "V2"),
        Symbol("plain"),
    ]
    found = read(elf(exports=exports, defines=["V1", "V2"])).exports()
    # V1 is index 2, the first of the file: a reference without a version finds even its hidden symbols.
    assert found.unversioned == {b"one", b"old", b"twice", b"renewed", b"plain"}
    later = read(elf(exports=exports, defines=["V0", "V1", "V2"])).exports()
    assert later.unversioned == {b"one", b"renewed", b"plain"}  # two defaults are none
    assert sorted(later.versions_of(b"renewed")) == ["V1", "V2"]
    assert later.versions_of(b"plain") == ()


def test_flags_that_old_tags_stand_for() -> None:
    facts = read(elf(tags=[(DT_SYMBOLIC, 0), (DT_TEXTREL, 0), (DT_BIND_NOW, 0)])).facts
    assert facts.dt_flags == DF_SYMBOLIC | DF_TEXTREL | DF_BIND_NOW
    assert facts.textrel


def test_filters() -> None:
    facts = read(elf(soname="libx.so", tags=[(DT_FILTER, 1), (DT_AUXILIARY, 4)])).facts
    assert facts.filters == ("libx.so",)
    assert facts.auxiliaries == ("x.so",)


def test_static_programs() -> None:
    assert read(elf(kind=2)).facts.is_static
    assert read(elf(flags_1=DF_1_PIE)).facts.is_static
    assert read(elf(tags=[(DT_DEBUG, 0)])).facts.is_static
    assert not read(elf(flags_1=DF_1_PIE, needed=["libc.so.6"])).facts.is_static
    library = read(elf(soname="libx.so")).facts
    assert not library.is_static
    assert not library.is_program
    assert not library.dt_debug


@pytest.mark.parametrize(
    ("machine", "made", "program"),
    [
        ("x86_64", {"tags": [(DT_DEBUG, 0)]}, True),
        ("x86_64", {"flags_1": DF_1_PIE}, True),
        ("x86_64", {"soname": "app", "tags": [(DT_DEBUG, 0)]}, True),
        ("x86_64", {"dynamic": False}, True),
        ("x86_64", {"needed": ["libc.so.6"]}, False),  # pam_cap.so: a module that tells what it is when it is started
        ("x86_64", {"soname": "libc.so.6"}, False),
        ("mips", {"tags": [(0x70000035, 0)]}, True),  # lld
        ("mips", {"tags": [(0x70000016, 0)]}, True),
        ("mips", {"needed": ["libc.so.6"]}, False),
        ("x86_64", {"needed": ["libc.so.6"], "tags": [(0x70000035, 0)]}, False),
    ],
)
def test_what_names_a_loader_and_is_meant_to_be_started(machine: str, made: dict[str, Any], program: bool) -> None:  # noqa: FBT001 - a row
    assert read(elf(machine=machine, interpreter="/lib/ld.so.1", **made)).facts.is_program is program


def test_interpreter_as_the_kernel_reads_it() -> None:
    whole = elf(interpreter="/lib/ld.so")
    facts = read(whole).facts
    assert (facts.interpreter, facts.interpreter_size, facts.interpreter_terminated) == ("/lib/ld.so", 11, True)
    facts = read(whole.replace(b"/lib/ld.so\0", b"/lib/ld.so!")).facts
    assert (facts.interpreter, facts.interpreter_size, facts.interpreter_terminated) == ("/lib/ld.so!", 11, False)


@pytest.mark.parametrize("machine", ["x86_64", "i386"])
def test_isa_levels(machine: str) -> None:
    note = gnu_property(MACHINES[machine], {X86_FEATURE_1: 3, ISA_NEEDED: 5, ISA_USED: 15})
    facts = read(elf(machine=machine, notes=[note])).facts
    assert (facts.isa_needed, facts.isa_used, facts.feature_1) == (5, 15, 3)


def test_properties_of_other_machines() -> None:
    facts = read(elf(machine="aarch64", notes=[gnu_property(MACHINES["aarch64"], {AARCH64_FEATURE_1: 3})])).facts
    assert (facts.isa_needed, facts.feature_1) == (0, 3)
    facts = read(elf(machine="ppc64", notes=[gnu_property(MACHINES["ppc64"], {ISA_NEEDED: 8})])).facts
    assert facts.isa_needed == 0


def test_abi_note_of_another_system() -> None:
    facts = read(elf(notes=[Note(b"GNU\0", 1, struct.pack("<4I", 1, 0, 3, 0))])).facts
    assert (facts.abi_os, facts.abi_kernel) == (1, None)


@pytest.mark.parametrize(
    ("owners", "system"),
    [
        ([b"FreeBSD"], "FreeBSD"),
        ([b"NetBSD"], "NetBSD"),
        ([b"OpenBSD"], "OpenBSD"),
        ([b"DragonFly"], "DragonFly"),
        ([b"Go"], ""),
        ([b"OpenBSD", b"NetBSD"], ""),  # Cosmopolitan: for each of them
        ([b"FreeBSD", b"GNU"], ""),
    ],
)
def test_notes_of_other_systems(owners: list[bytes], system: str) -> None:
    notes = [Note(owner + b"\0", 1, struct.pack("<4I", 0, 3, 2, 0)) for owner in owners]
    assert read(elf(kind=2, notes=notes)).facts.system == system


def test_dlopen_note() -> None:
    text = '[{"soname": ["libzstd.so.1", 3], "feature": "zstd", "priority": "suggested"}, {"soname": ["a\\ud800"]}, 5]'
    zstd, odd = read(elf(notes=[dlopen_note(text)])).facts.dlopen_notes
    assert (zstd.sonames, zstd.feature, zstd.priority) == (("libzstd.so.1",), "zstd", "suggested")
    assert (odd.sonames, odd.priority) == (("a?",), "recommended")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"soname": []}', "[[]]", "9" * 5000])
def test_malformed_dlopen_note(text: str) -> None:
    assert read(elf(notes=[dlopen_note(text)])).facts.dlopen_notes == ()


def test_more_program_headers_than_the_header_can_count() -> None:
    data = bytearray(elf(needed=["libc.so.6"], sections={}))
    count = struct.unpack_from("<H", data, 56)[0]
    shoff = struct.unpack_from("<Q", data, 40)[0]
    struct.pack_into("<H", data, 56, 0xFFFF)
    struct.pack_into("<I", data, shoff + 44, count)
    facts = read(bytes(data)).facts
    assert facts.header.phnum == 0xFFFF
    assert len(facts.segments) == count
    assert facts.needed == ("libc.so.6",)


def go_blob(version: str, module: str) -> bytes:
    text = b"0" * 16 + module.encode() + b"\n" + b"1" * 15 + b"2" if module else b""
    strings = b""
    for part in (version.encode(), text):
        size = len(part)
        strings += (bytes((size & 127 | 128, size >> 7)) if size > 127 else bytes((size,))) + part
    return b"\xff Go buildinf:" + bytes((8, 2)) + bytes(16) + strings


MODULE = (
    "path\texample.org/x/cmd\nmod\texample.org/x\tv1.2.3\th1:abc=\ndep\ta\tb\nbuild\tCGO_ENABLED=0\nbuild\tGOAMD64=v3"
)


def test_go_build_information() -> None:
    info = read(elf(sections={".go.buildinfo": go_blob("go1.22.1", MODULE)})).build()
    assert info.go is not None
    assert (info.go.version, info.go.path, info.go.module) == (
        "go1.22.1",
        "example.org/x/cmd",
        "example.org/x v1.2.3",
    )
    assert info.go.settings == {"CGO_ENABLED": "0", "GOAMD64": "v3"}
    assert info.rust is None


def writable(data: bytes) -> bytes:
    """Make the one PT_LOAD a data segment, in which the blob is looked for without section headers."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, 64 + 4, 6)
    return bytes(changed)


def test_go_build_information_without_section_headers() -> None:
    plain = elf()
    plain += bytes(-len(plain) % 16 + 5) + b"\xff Go buildinf:" + bytes(13)  # one that is not aligned
    data = bytearray(writable(plain + go_blob("go1.21", "")))
    struct.pack_into("<QQ", data, 64 + 32, len(data), len(data))
    info = read(bytes(data)).build()
    assert info.go is not None
    assert info.go.version == "go1.21"
    assert info.go.path == ""


@pytest.mark.parametrize(("width", "code"), [(8, "Q"), (4, "I")])
@pytest.mark.parametrize("endian", ["little", "big"])
def test_go_build_information_before_1_18(width: int, code: str, endian: str) -> None:
    machine = {
        (8, "little"): "x86_64",
        (8, "big"): "s390x",
        (4, "little"): "i386",
        (4, "big"): "mips",
    }[width, endian]
    order = "<" if endian == "little" else ">"
    base = 0x10000
    plain = elf(machine=machine, kind=2, base=base)
    start = len(plain) + -len(plain) % 16
    text = b"0" * 16 + MODULE.encode() + b"\n" + b"1" * 15 + b"2"
    at = start + 32
    headers = struct.pack(order + 4 * code, base + at + 4 * width, 6, base + at + 4 * width + 6, len(text))
    blob = b"\xff Go buildinf:" + bytes((width, endian == "big"))
    blob += struct.pack(order + 2 * code, base + at, base + at + 2 * width)
    data = bytearray(plain.ljust(start, b"\0") + blob.ljust(32, b"\0") + headers + b"go1.16" + text)
    wide = width == 8
    phoff = 64 if wide else 52
    struct.pack_into(order + "I", data, phoff + (4 if wide else 24), 6)
    struct.pack_into(order + 2 * code, data, phoff + (32 if wide else 16), len(data), len(data))
    info = read(bytes(data)).build()
    assert info.go is not None
    assert info.go.version == "go1.16"
    assert info.go.module == "example.org/x v1.2.3"


def test_rust() -> None:
    comment = b"rustc version 1.80.1 (3f5fd8dd4 2024-08-06)\0GCC: (GNU) 13\0GCC: (GNU) 13\0"
    info = read(elf(sections={".comment": comment})).build()
    assert info.rust == "1.80.1"
    assert info.comments == ("rustc version 1.80.1 (3f5fd8dd4 2024-08-06)", "GCC: (GNU) 13")
    stripped = elf(notes=[Note(b"x\0", 1, b"/rustc/" + b"3f5fd8dd41153bc5fdca9427e9e05be2c767ba23" + b"/library/")])
    assert read(stripped).build().rust == "commit 3f5fd8dd41153bc5fdca9427e9e05be2c767ba23"


def test_file_is_let_go_after_every_question(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "x")
    with open(path, "wb") as file:
        file.write(elf(needed=["libc.so.6"], imports=["puts"], exports=["x"]))
    content = FileContent(path, os.path.getsize(path))
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    reader = read_elf(content)
    assert is_elf(content)
    content.close()
    assert reader.imports()
    assert reader.exports().names
    assert reader.relocations().count == 0
    assert reader.bindings([b"puts"]) == {b"puts": Binding.UNUSED}
    assert reader.build().comments == ()
    if before:
        assert set(os.listdir("/proc/self/fd")) == before


def test_header_alone() -> None:
    header = read_header(BytesContent(elf(machine="s390x")))
    assert (header.machine, header.endian, header.type) == (22, "big", 3)


def test_errors_tell_path_and_offset() -> None:
    with pytest.raises(FormatError) as caught:
        read_elf(BytesContent(b"\x7fELF\x05\x01" + bytes(60)), "lib/x.so")
    assert caught.value.path == "lib/x.so"
    assert caught.value.offset == 4
    # The hash table lies on the ELF header, where it counts 3,670,080 symbols.
    reader = read_elf(BytesContent(elf(imports=["puts"], hashes="none", tags=[(DT_HASH, 48)])), "y.so")
    with pytest.raises(FormatError, match=r"^y\.so at offset 0x[0-9a-f]+: 3670080 dynamic symbols are over the limit"):
        reader.imports()
