"""What a file is: one of each kind; and whatever the bytes are, facts, soon, and in little memory."""

from __future__ import annotations

import gzip
import io
import lzma
import py_compile
import random
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import pack, pack_into

import pytest

from runworthy.formats.ape import with_unpacked
from runworthy.formats.content import BytesContent
from runworthy.formats.identify import identify
from runworthy.formats.zip import read_zip_end
from runworthy.model.program import FileFacts
from runworthy.report.file_facts import file_data, file_lines
from runworthy.report.words import PLAIN
from tests.apewriter import APEDBG, JARTSR, ape
from tests.elfwriter import elf
from tests.formats.test_ape import BOTH, LOADERS
from tests.formats.test_macho import ARM64, X86_64, fat, thin
from tests.formats.test_pe import program


def read(data: bytes) -> FileFacts:
    return identify(BytesContent(data))


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, before: bytes = b"") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return before + held.getvalue()


MANIFEST = b"Manifest-Version: 1.0\r\nMain-Class: org.example.of.a.name.that.is.too.long.for.one.li\r\n ne.Main\r\n\r\n"
MAIN = "org.example.of.a.name.that.is.too.long.for.one.line.Main"
JAR = packed(("META-INF/", b""), ("META-INF/MANIFEST.MF", MANIFEST), ("A.class", b"\xca\xfe\xba\xbe"))


def tar() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return held.getvalue()


WHOLE: dict[str, tuple[bytes, str, str]] = {
    "elf": (elf(), "elf", ""),
    "script": (b"#!/bin/sh\n", "script", ""),
    "ape": (ape(machines=BOTH, loaders=LOADERS, macho="plain", members={"a": b"1"}), "ape", ""),
    "classic ape": (ape(), "ape", ""),
    "far ape": (ape(far=True), "ape", ""),
    "jartsr": (ape(magic=JARTSR), "ape", ""),
    "APEDBG": (ape(magic=APEDBG), "ape", ""),
    "near magic": (ape(magic="MZqFpDx\n"), "pe", ""),
    "near magic without PE": (ape(magic="MZqFpDx\n", pe=False), "data", "MS-DOS program"),
    "near magic of jartsr": (ape(magic="jartsr=\n"), "data", ""),
    "pe": (program(), "pe", ""),
    "text from MZ": (
        b"MZ is how it begins, and there is more of it, up to the end of what a DOS header has\n",
        "text",
        "",
    ),
    "mach-o": (thin(X86_64), "mach-o", ""),
    "fat mach-o": (fat((X86_64, thin(X86_64)), (ARM64, thin(ARM64))), "mach-o", ""),
    "java class": (b"\xca\xfe\xba\xbe\0\0\0\x34\0\x10", "data", "Java class"),
    "jar": (JAR, "jar", ""),
    "zip": (packed(("a", b"1")), "zip", ""),
    "empty zip": (packed(), "zip", ""),
    "wasm": (b"\0asm\1\0\0\0", "wasm", ""),
    "gzip": (gzip.compress(b"1"), "archive", "gzip"),
    "xz": (lzma.compress(b"1"), "archive", "xz"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\0\x09\0\0", "archive", "zstd"),
    "tar": (tar(), "archive", "tar"),
    "deb": (b"!<arch>\ndebian-binary   ", "archive", "Debian package"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "text", "Git LFS pointer"),
    "text": ("Grüße\n".encode(), "text", ""),
    "bom": (b"\xef\xbb\xbfhello\n", "text", ""),
    "bom and #!": (b"\xef\xbb\xbf#!/bin/sh\n", "text", "#! behind a byte order mark"),
    "utf-16": ("hello".encode("utf-16"), "text", "UTF-16"),
    "data": (bytes(range(256)), "data", ""),
    "one NUL": (b"\0", "data", ""),
    "empty": (b"", "empty", ""),
}


@pytest.mark.parametrize("name", WHOLE)
def test_one_of_each(name: str) -> None:
    data, kind, detail = WHOLE[name]
    facts = read(data)
    assert (facts.type, facts.detail, facts.problem) == (kind, detail, "")
    assert facts.size == len(data)
    assert facts.head == data[:256].ljust(256, b"\0")
    assert facts.bom == data.startswith(b"\xef\xbb\xbf")
    given = [facts.script, facts.ape, facts.pe, facts.machos or None]
    assert sum(one is not None for one in given) == (kind in {"script", "ape", "pe", "mach-o"})


def test_python_bytecode(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1\n")
    made = py_compile.compile(str(tmp_path / "a.py"), cfile=str(tmp_path / "a.pyc"))
    assert made is not None
    assert read(Path(made).read_bytes()).type == "python-bytecode"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_main_class_of_a_jar(method: int) -> None:
    data = packed(("META-INF/MANIFEST.MF", MANIFEST), ("b", b""), method=method)
    facts = read(data)
    assert (facts.type, facts.main_class, facts.zip_entries) == ("jar", MAIN, 2)
    later = b"Manifest-Version: 1.0\n\nName: a\nMain-Class: Wrong\n"
    assert read(packed(("META-INF/MANIFEST.MF", later))).main_class == ""


def test_a_manifest_is_found_behind_many_entries() -> None:
    many = [(f"{number:05}" + "x" * 200, b"") for number in range(3000)]
    facts = read(packed(*many, ("META-INF/MANIFEST.MF", MANIFEST), method=zipfile.ZIP_STORED))
    assert (facts.type, facts.zip_entries, facts.main_class) == ("jar", 3001, MAIN)


def test_a_large_manifest_is_not_unpacked() -> None:
    facts = read(packed(("META-INF/MANIFEST.MF", bytes(70 << 10))))
    assert (facts.type, "manifest of the jar claims" in facts.problem) == ("zip", True)


def test_an_archive_behind_other_bytes() -> None:
    """Its offsets do not count the bytes before it, unless whoever put them there wrote them anew."""
    end = read_zip_end(BytesContent(packed(("a", b"1"), before=b"x" * 1000)))
    assert end is not None
    assert (end.entries, end.shift) == (1, 1000)


def test_zip64() -> None:
    """The end says 0xffff and 0xffffffff, and the zip64 record has the numbers."""
    data = packed(("a", b"1"))
    at = data.rindex(b"PK\5\6")
    size, offset = (int.from_bytes(data[at + place : at + place + 4], "little") for place in (12, 16))
    record = pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, offset)
    locator = pack("<4sIQI", b"PK\6\7", 0, at, 1)
    end = bytearray(data[at:])
    pack_into("<HHII", end, 8, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    found = read_zip_end(BytesContent(data[:at] + record + locator + end))
    assert found is not None
    assert (found.entries, found.offset, found.size) == (1, offset, size)
    assert "zip64" in read(data[:at] + locator + end).problem


@pytest.mark.parametrize(
    ("data", "kind", "problem"),
    [
        (JAR[:-1], "zip", "has no end"),
        (JAR[: JAR.index(b"PK\1\2")] + JAR[JAR.rindex(b"PK\5\6") :], "zip", "zip archive"),
        (program()[:0x90], "pe", "PE header reaches past the end"),
        (program()[:0x500], "pe", "before the last section"),
        (program()[:0x70], "data", "places at 0x80"),
        (fat((X86_64, thin(X86_64)))[:-1], "mach-o", "cut off"),
        (ape(members={"a": b"1"}).replace(b"PK\1\2", b"PK\1\3"), "ape", "central directory"),
    ],
)
def test_damage_is_told(data: bytes, kind: str, problem: str) -> None:
    facts = read(data)
    assert facts.type == kind
    assert problem in facts.problem


# -- whatever the bytes are ------------------------------------------------------------------


def look(data: bytes) -> None:
    """Take all facts and write them out: nothing but facts may come of it."""
    content = BytesContent(data)
    facts = identify(content)
    if facts.ape is not None:
        with_unpacked(content, facts.ape)
    file_data("x", facts)
    list(file_lines("x", facts, PLAIN))


def cuts(data: bytes) -> Iterator[bytes]:
    """Every beginning of the first 700 bytes and of the last 200, and some between."""
    sizes = {*range(min(700, len(data))), *range(0, len(data), 61), *range(max(0, len(data) - 200), len(data))}
    return (data[:size] for size in sorted(sizes))


BINARY = ("ape", "classic ape", "pe", "fat mach-o", "mach-o", "jar", "script")


@pytest.mark.parametrize("name", BINARY)
def test_every_cut(name: str) -> None:
    for data in cuts(WHOLE[name][0]):
        look(data)


def _bytes(chance: random.Random, data: bytearray) -> None:
    for _ in range(chance.randrange(1, 8)):
        data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _number(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(max(len(data) - 8, 1))
    width = chance.choice((2, 4, 8))
    data[at : at + width] = chance.choice((0, 1, (1 << 8 * width - 1) - 1, (1 << 8 * width) - 1)).to_bytes(
        width, "little"
    )


def _moved(chance: random.Random, data: bytearray) -> None:
    begin, end = sorted((chance.randrange(len(data)), chance.randrange(len(data))))
    at = chance.randrange(len(data))
    data[at:at] = data[begin : min(end, begin + 300)]


def _gone(chance: random.Random, data: bytearray) -> None:
    begin = chance.randrange(len(data))
    del data[begin : begin + chance.randrange(1, 200)]


CHANGES: tuple[Callable[[random.Random, bytearray], None], ...] = (_bytes, _number, _moved, _gone)


@pytest.mark.parametrize("name", BINARY)
def test_every_change(name: str) -> None:
    chance = random.Random(name)  # noqa: S311 - the same changes each time
    whole = WHOLE[name][0]
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            if data:
                chance.choice(CHANGES)(chance, data)
        look(bytes(data) if name == "script" else whole[:8] + bytes(data)[8:])


@pytest.mark.parametrize(
    "data",
    [
        b"MZqFpD='\n" + b"printf '" * 8000,
        b"MZqFpD='\n" + b"printf '\\177ELF" * 4000,
        b"MZqFpD='\n" + b'dd if="$o" skip=1 count=1 bs=1\n' * 2000,
        b"MZqFpD='\n" + b'dd if="$o" skip=9999999999999999999 count=9999999999999999999 bs=9999999999999999999\n' * 700,
        b"MZqFpD='\n" + b"bs=' " + b" " * 60000,
        b"MZqFpD='\n" + b"t=" + b"/a" * 30000,
        b"MZqFpD='\n" + b"then " * 12000,
        b"PK\3\4" + b"PK\5\6" * 16000,
        b"PK\3\4" + b"PK\1\2" * 100 + pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFE, 0xFFFE, 0xFFFFFFFE, 0, 0),
        pack(">II", 0xCAFEBABE, 44) + pack(">5I", X86_64, 0, 0, 1 << 31, 0) * 44 + bytes(1 << 20),
    ],
)
def test_hostile_sizes_cost_nothing(data: bytes) -> None:
    tracemalloc.start()
    begin = time.process_time()
    look(data)
    spent, (_, peak) = time.process_time() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert spent < 2
    assert peak < 8 << 20


def test_a_file_of_any_size_costs_one_page() -> None:
    """Of what is no program the first page is enough."""

    class Counted:
        size = 1 << 40
        asked = 0

        def pread(self, offset: int, count: int) -> bytes:
            self.asked += 1
            assert offset + count <= 4096
            return b"x" * count

    content = Counted()
    assert identify(content).type == "text"
    assert content.asked == 1
