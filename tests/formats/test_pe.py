"""Windows programs: of our own making, and real ones, which GNU binutils read too."""

from __future__ import annotations

import ensurepip
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from struct import pack, pack_into, unpack_from

import pytest

from runworthy.formats.content import BytesContent
from runworthy.formats.pe import is_pe, read_pe
from runworthy.model.errors import FormatError
from tests.apewriter import windows_program


def program(*, machine: int = 0x8664, subsystem: int = 3, dll: bool = False) -> bytes:
    headers, section = windows_program(0x80, 0x400, 7, machine=machine, subsystem=subsystem, dll=dll)
    dos = (b"MZ".ljust(60, b"\0") + pack("<I", 0x80)).ljust(0x80, b"\0")
    return (dos + headers).ljust(0x400, b"\0") + section


def test_facts() -> None:
    facts = read_pe(BytesContent(program()))
    assert (facts.offset, facts.machine, facts.arch, facts.bits) == (0x80, 0x8664, "x86_64", 64)
    assert (facts.subsystem, facts.dll, facts.clr, facts.imports) == (3, False, False, ("KERNEL32.dll",))
    assert facts.problem == ""


@pytest.mark.parametrize(
    ("machine", "arch"), [(0x14C, "i386"), (0xAA64, "aarch64"), (0x1C4, "armv7"), (0x5064, "riscv64"), (0x184, None)]
)
def test_machines(machine: int, arch: str | None) -> None:
    assert read_pe(BytesContent(program(machine=machine))).arch == arch


def test_libraries_and_dotnet() -> None:
    assert read_pe(BytesContent(program(dll=True, subsystem=2))).dll
    data = bytearray(program())
    pack_into("<II", data, 0x80 + 24 + 112 + 14 * 8, 0x1000, 72)
    assert read_pe(BytesContent(bytes(data))).clr


def test_the_least_windows_is_that_of_the_system_or_of_its_subsystem() -> None:
    data = bytearray(program())
    pack_into("<HH", data, 0x80 + 24 + 40, 6, 1)
    pack_into("<HH", data, 0x80 + 24 + 48, 10, 0)
    assert read_pe(BytesContent(bytes(data))).minimum == (10, 0)


@pytest.mark.parametrize(("attributes", "base"), [(1, 0), (0, 0x140000000 & 0xFFFFFFFF)])
def test_dlls_that_are_loaded_at_the_first_call(attributes: int, base: int) -> None:
    data = bytearray(program())
    section = 0x400
    (address,) = unpack_from("<I", data, data.index(b".text") + 12 if b".text" in data else 0x80 + 24 + 240 + 12)
    at = len(data)
    data += pack("<8I", attributes, address + at - section + 64 + base, 0, 0, 0, 0, 0, 0) + bytes(32) + b"late.dll\0"
    row = 0x80 + 24 + 240
    size = len(data) - section
    pack_into("<I", data, row + 8, size)
    pack_into("<I", data, row + 16, size)
    pack_into("<Q", data, 0x80 + 24 + 24, base)
    pack_into("<II", data, 0x80 + 24 + 112 + 13 * 8, address + at - section, 64)
    facts = read_pe(BytesContent(bytes(data)))
    assert (facts.problem, facts.delayed) == ("", ("late.dll",))


@pytest.mark.parametrize("size", [0, 2, 0x3F, 0x40, 0x83, 0x97, 0x98, 0x187])
def test_cut_before_the_headers_end(size: int) -> None:
    with pytest.raises(FormatError):
        read_pe(BytesContent(program()[:size]))


@pytest.mark.parametrize(
    ("size", "problem"), [(0x190, "inside the section table"), (0x3FF, "before the last section"), (0x5FF, "before")]
)
def test_cut_after_the_headers(size: int, problem: str) -> None:
    assert problem in read_pe(BytesContent(program()[:size])).problem


@pytest.mark.parametrize(
    ("at", "value", "problem"),
    [
        (0x80 + 24 + 112 + 8, 0x7FFFFFFF, "lie in no section"),
        (0x400 + 0x40 + 12, 0x7FFFFFFF, "lie in no section"),
        (0x80 + 6, 0xFFFF, "claims 65535 sections"),
    ],
)
def test_damage_is_told(at: int, value: int, problem: str) -> None:
    data = bytearray(program())
    pack_into("<H" if value == 0xFFFF else "<I", data, at, value)
    assert problem in read_pe(BytesContent(bytes(data))).problem


def test_imports_without_an_end_are_bounded() -> None:
    data = bytearray(program())
    row = bytes(data[0x440:0x454])
    pack_into("<IIII", data, 0x80 + 24 + 240 + 8, 0x40000, 0x1000, 0x40000, 0x400)
    whole = data[:0x440] + row * 6000
    assert "over 4096 DLLs" in read_pe(BytesContent(bytes(whole.ljust(0x40400, b"\0")))).problem


def test_a_file_for_dos_is_none() -> None:
    assert not is_pe(BytesContent(b"MZ".ljust(200, b"\0")))
    assert not is_pe(BytesContent(b"MZ" + b"\xff" * 200))
    assert is_pe(BytesContent(program()))


@pytest.mark.judge
def test_binutils_say_the_same(tmp_path: Path) -> None:
    """The launchers that pip brings for Windows, of 32 and 64 bits."""
    wheels = sorted(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))
    if not wheels or shutil.which("objdump") is None:
        pytest.skip("no pip in ensurepip, or no objdump (binutils)")
    archive = zipfile.ZipFile(wheels[0])
    compared = 0
    for name in archive.namelist():
        if not name.endswith(".exe") or "arm" in name:
            continue
        path = tmp_path / Path(name).name
        path.write_bytes(archive.read(name))
        facts = read_pe(BytesContent(path.read_bytes()))
        told = subprocess.run(["objdump", "-p", path], capture_output=True, text=True, check=True).stdout
        assert list(facts.imports) == re.findall(r"DLL Name: (\S+)", told)
        assert f"{facts.subsystem:08x}" == re.findall(r"Subsystem\s+([0-9a-f]{8})", told)[0]
        assert f"pei-{'x86-64' if facts.bits == 64 else 'i386'}" in told
        compared += 1
    assert compared >= 4
