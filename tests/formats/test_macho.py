"""Mach-O files made from ``mach-o/loader.h`` and ``mach-o/fat.h``."""

from __future__ import annotations

from struct import pack

import pytest

from runworthy.formats.content import BytesContent
from runworthy.formats.macho import is_java_class, read_macho
from runworthy.model.errors import FormatError
from runworthy.model.program import MachoFacts
from tests.engine.matrix.made import mach_o

X86_64, ARM64, PPC, I386 = 0x01000007, 0x0100000C, 18, 7


def thin(cpu: int, *, subtype: int = 0, bits: int = 64, order: str = "<", kind: int = 2, command: int = 0x32) -> bytes:
    """Return a Mach-O header with a command that has nothing to say, and one that states the least release (11.0.3)."""
    version = 11 << 16 | 3
    states = {0x32: (0x32, 24, 1, version, version, 0), 0x24: (0x24, 16, version, version)}[command]
    commands = pack(order + "4I", 0x1B, 16, 0, 0) + pack(f"{order}{len(states)}I", *states)
    head = pack(order + "7I", 0xFEEDFACF if bits == 64 else 0xFEEDFACE, cpu, subtype, kind, 2, len(commands), 0)
    return head + (bytes(4) if bits == 64 else b"") + commands


def fat(*parts: tuple[int, bytes], wide: bool = False) -> bytes:
    """Return a fat file of parts, each given with its processor."""
    data, rows = b"", b""
    start = 8 + len(parts) * (32 if wide else 20)
    for cpu, part in parts:
        place = (cpu, 0, start + len(data), len(part), 4)
        rows += pack(">IIQQII", *place, 0) if wide else pack(">5I", *place)
        data += part
    return pack(">II", 0xCAFEBABF if wide else 0xCAFEBABE, len(parts)) + rows + data


def read(data: bytes) -> tuple[MachoFacts, ...]:
    return read_macho(BytesContent(data))


@pytest.mark.parametrize(
    ("data", "arch"),
    [
        (thin(X86_64), "x86_64"),
        (thin(ARM64), "arm64"),
        (thin(ARM64, subtype=0x80000002), "arm64e"),
        (thin(I386, bits=32), "i386"),
        (thin(PPC, bits=32, order=">"), "ppc"),
        (thin(0x01000012, order=">", command=0x24), "ppc64"),
        (thin(99), "processor 0x63"),
    ],
)
def test_thin(data: bytes, arch: str) -> None:
    (part,) = read(data)
    assert (part.arch, part.offset, part.size, part.filetype, part.minimum) == (arch, 0, len(data), 2, "11.0.3")


@pytest.mark.parametrize("wide", [False, True])
def test_fat(wide: bool) -> None:  # noqa: FBT001 - a parameter of the test
    data = fat((X86_64, thin(X86_64)), (ARM64, thin(ARM64, kind=6)), (PPC, b"!<arch>\n"), wide=wide)
    parts = read(data)
    assert [(part.arch, part.filetype) for part in parts] == [("x86_64", 2), ("arm64", 6), ("ppc", 0)]
    assert data[parts[1].offset :].startswith(b"\xcf\xfa\xed\xfe")


@pytest.mark.parametrize("version", [45, 52, 65])
def test_a_java_class_is_none(version: int) -> None:
    head = b"\xca\xfe\xba\xbe" + pack(">HH", 0, version)
    assert is_java_class(head)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xca\xfe\xba\xbe",
        pack(">II", 0xCAFEBABE, 0),
        pack(">II", 0xCAFEBABF, 1 << 31),
        thin(X86_64)[:-1],
        thin(X86_64)[:31],
        fat((X86_64, thin(X86_64)))[:-1],
        pack("<8I", 0xFEEDFACF, X86_64, 0, 2, 1, 8, 0, 0) + pack("<II", 0x32, 7),
        pack("<8I", 0xFEEDFACF, X86_64, 0, 2, 1 << 31, 1 << 31, 0, 0),
    ],
)
def test_damage(data: bytes) -> None:
    with pytest.raises(FormatError):
        read(data)


def test_platform_and_libraries() -> None:
    data = mach_o(0x0100000C, "/usr/lib/libSystem.B.dylib", "@rpath/libx.dylib")
    (facts,) = read(data)
    assert (facts.platform, facts.minimum) == ("macos", "11.0")
    assert facts.libraries == ("/usr/lib/libSystem.B.dylib", "@rpath/libx.dylib")
