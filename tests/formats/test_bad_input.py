"""Whatever the bytes are: facts or a FormatError, soon, and in little memory."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runworthy.formats.content import BytesContent, Content, FileContent, Window, read_exactly
from runworthy.formats.elf import read_elf, read_header
from runworthy.model.errors import FormatError
from tests.elfwriter import MACHINES, Symbol, dlopen_note, elf, gnu_property
from tests.formats.fixtures.make import HERE, TRIPLES

CORPUS = os.path.join(os.path.dirname(__file__), "corpus")
MIB = 1 << 20


def ask_everything(content: Content) -> int:
    """Ask every question; return how many were answered."""
    answered = 0
    try:
        reader = read_elf(content)
    except FormatError:
        return answered
    questions: tuple[Callable[[], object], ...] = (
        reader.imports,
        lambda: [value for name in VIEWS if (value := getattr(reader.exports(), name))],
        lambda: reader.exports().versions_of(b"exported"),
        reader.relocations,
        reader.copies,
        lambda: reader.bindings([b"puts", b"exported"]),
        reader.build,
        lambda: (reader.facts.is_static, reader.facts.is_program, reader.facts.architecture),
    )
    for question in questions:
        try:
            question()
        except FormatError:
            continue
        answered += 1
    return answered


VIEWS = ("names", "by_version", "base", "unversioned", "default", "indirect")


def everything(machine: str) -> bytes:
    """Return a small file with something of everything."""
    return elf(
        machine=machine,
        interpreter="/lib/ld.so",
        needed=["libc.so.6"],
        runpath="$ORIGIN",
        imports=[("puts", "GLIBC_2.17", "libc.so.6"), Symbol("perhaps", bind="weak", use="plt")],
        exports=[("exported", "V1"), Symbol("environ", "GLIBC_2.17", "libc.so.6", use="copy")],
        notes=[gnu_property(MACHINES[machine], {0xC0008002: 1}), dlopen_note('[{"soname":["x"]}]')],
        abi_kernel=(3, 2, 0),
        hashes="both",
        sections={
            ".comment": b"rustc version 1.0\0",
            ".go.buildinfo": b"\xff Go buildinf:\x08\x02" + bytes(16) + b"\1x\1y",
        },
    )


def samples() -> list[bytes]:
    found = [everything(machine) for machine in ("x86_64", "mips")]
    for machine in ("s390x", "armhf"):
        with open(os.path.join(HERE, f"{machine}.elf"), "rb") as file:
            found.append(file.read())
    return found


def test_the_samples_are_good() -> None:
    for machine in MACHINES:
        assert ask_everything(BytesContent(everything(machine))) == 8


@pytest.mark.parametrize("sample", range(4))
def test_truncated_at_every_byte(sample: int) -> None:
    data = samples()[sample]
    for size in range(len(data)):
        ask_everything(BytesContent(data[:size]))


@pytest.mark.slow
@pytest.mark.parametrize("sample", range(4))
def test_every_byte_spoiled(sample: int) -> None:
    data = samples()[sample]
    for position in range(len(data)):
        for value in (0, 0xFF):
            ask_everything(BytesContent(data[:position] + bytes((value,)) + data[position + 1 :]))


@given(
    sample=st.integers(0, 3),
    changes=st.lists(
        st.tuples(st.integers(0, 2500), st.sampled_from("BHIQ"), st.integers(0, (1 << 64) - 1)), max_size=8
    ),
)
@settings(max_examples=300)
def test_numbers_spoiled(sample: int, changes: list[tuple[int, str, int]]) -> None:
    data = bytearray(samples()[sample])
    for position, code, value in changes:
        size = struct.calcsize(code)
        struct.pack_into("<" + code, data, position % (len(data) - size), value & ((1 << 8 * size) - 1))
    ask_everything(BytesContent(bytes(data)))


@given(st.binary(max_size=200))
def test_any_bytes_behind_an_elf_header(data: bytes) -> None:
    for machine in ("x86_64", "mips"):
        ask_everything(BytesContent(elf(machine=machine)[:64] + data))


@pytest.mark.parametrize("name", sorted(os.listdir(CORPUS)))
def test_corpus(name: str) -> None:
    """Inputs that once went wrong, or that lead a fuzzer deep."""
    with open(os.path.join(CORPUS, name), "rb") as file:
        ask_everything(BytesContent(file.read()))


# -- hostile sizes ------------------------------------------------------------------------------


def patched(*changes: tuple[int, int], **options: object) -> bytes:
    """Return ``elf(**options)`` with the values of dynamic tags replaced."""
    data = elf(**options)  # type: ignore[arg-type]  # as elf's own
    for tag, value in changes:
        at = data.index(struct.pack("<Q", tag), 64 + 56 * 12) + 8
        while (at - 8) % 8 or struct.unpack_from("<Q", data, at - 8)[0] != tag:
            at = data.index(struct.pack("<Q", tag), at) + 8
        data = data[:at] + struct.pack("<Q", value) + data[at + 8 :]
    return data


class Sparse:
    """A file of ``size`` bytes, ``data`` at its start and ``fill`` for the rest, without taking memory."""

    def __init__(self, data: bytes, size: int, fill: bytes = b"\0") -> None:
        self.size = size
        self._data = data
        self._fill = fill

    def pread(self, offset: int, count: int) -> bytes:
        count = min(count, self.size - offset)
        if count <= 0:
            return b""
        head = self._data[offset : offset + count]
        return head + self._fill * (count - len(head))


DT_STRSZ, DT_HASH, DT_RELA, DT_RELASZ, DT_GNU_HASH = 10, 4, 7, 8, 0x6FFFFEF5


def grown(data: bytes, size: int) -> bytes:
    """Return the file with its PT_LOAD stretched to ``size`` bytes."""
    changed = bytearray(data)
    struct.pack_into("<QQ", changed, 64 + 32, size, size)
    return bytes(changed)


def huge(data: bytes, fill: bytes = b"\0") -> Sparse:
    return Sparse(grown(data, 1 << 40), 1 << 40, fill)


def long_names() -> Sparse:
    """Return a file of which half a million symbols share the tails of long names."""
    count, start, strings = 1 << 19, 1 << 16, 40 * MIB
    data = patched(
        (6, start), (5, start + 24 * count), (DT_STRSZ, strings), hashes="none", imports=["x"], tags=[(DT_HASH, 4096)]
    )
    data = grown(data, 1 << 40).ljust(4096, b"\0") + struct.pack("<II", 1, count)
    row = struct.pack("<IBBHQQ", 7, 0x12, 0, 0, 0, 0)
    names = (b"n" * 60_000 + b"\0") * (strings // 60_001)
    return Sparse(data.ljust(start, b"\0") + row * count + names, 1 << 40)


HOSTILE: dict[str, Callable[[], Content]] = {
    "a string table of half a terabyte": lambda: huge(patched((DT_STRSZ, 1 << 39), imports=["x"], needed=["y"])),
    "no NUL in the string table": lambda: huge(
        patched((DT_STRSZ, 40 * MIB), (5, 1 << 20), imports=["x"], needed=["y"]), b"a"
    ),
    "four billion symbols": lambda: huge(elf(imports=["x"], hashes="none", tags=[(DT_HASH, 1 << 20)]), b"\xff"),
    "an endless hash chain": lambda: huge(patched((DT_GNU_HASH, 0x300), exports=["x"]) + bytes(64)),
    "relocations without end": lambda: huge(elf(imports=["x"], tags=[(DT_RELA, 1 << 20), (DT_RELASZ, 200 * MIB)])),
    "too many relocations": lambda: huge(elf(imports=["x"], tags=[(DT_RELA, 1 << 20), (DT_RELASZ, 1 << 39)])),
    "version records that repeat": lambda: huge(elf(needed=["y"], tags=[(0x6FFFFFFE, 1 << 20)]), b"\1"),
    "version definitions that repeat": lambda: huge(elf(needed=["y"], tags=[(0x6FFFFFFC, 1 << 20)]), b"\1"),
    "names that share their tails": long_names,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_sizes(name: str) -> None:
    content = HOSTILE[name]()
    tracemalloc.start()
    start = time.process_time()
    try:
        ask_everything(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 180 * MIB
    assert time.process_time() - start < 30  # tracing slows it tenfold


@pytest.mark.parametrize("kind", [1, 4])
@pytest.mark.parametrize("flags", [4, 6])
def test_many_program_headers(kind: int, flags: int) -> None:
    """65,534 segments that all lie on the same megabyte of notes."""
    phdr = struct.pack("<IIQQQQQQ", kind, flags, 64, 0, 0, MIB, MIB, 4)
    head = bytearray(elf()[:64])
    struct.pack_into("<Q", head, 32, 64 + MIB)
    struct.pack_into("<H", head, 56, 0xFFFE)
    notes = struct.pack("<III4s", 4, 0, 1, b"XYZ\0") * (MIB // 16)
    start = time.process_time()
    reader = read_elf(BytesContent(bytes(head) + notes + phdr * 0xFFFE))
    assert len(reader.facts.segments) == 0xFFFE
    assert reader.build().go is None
    assert time.process_time() - start < 10


# -- files --------------------------------------------------------------------------------------


def test_empty_file(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "empty")
    with open(path, "wb"):
        pass
    with pytest.raises(FormatError, match="the file is empty"):
        read_elf(FileContent(path, 0))


def test_fifo_does_not_block(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "fifo")
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        read_elf(FileContent(path, 4096))


def test_device_and_directory_are_refused(tmp_path: object) -> None:
    for path in ("/dev/zero", str(tmp_path)):
        with pytest.raises(OSError, match="not a regular file"):
            read_elf(FileContent(path, 4096))


def test_file_that_shrank(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "short")
    with open(path, "wb") as file:
        file.write(elf(imports=["puts"], needed=["libc.so.6"])[:700])
    with pytest.raises(FormatError):
        read_elf(FileContent(path, 4096)).imports()


def test_no_permission(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "secret")
    with open(path, "wb") as file:
        file.write(elf())
    os.chmod(path, 0)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(PermissionError):
            read_elf(FileContent(path, 4096))
    finally:
        os.seteuid(was)


def test_missing_file() -> None:
    with pytest.raises(FileNotFoundError):
        read_elf(FileContent("/nonexistent/file", 4096))


@pytest.mark.parametrize("size", [0, 3, 4, 15, 51])
def test_cut_header(size: int) -> None:
    with pytest.raises(FormatError):
        read_header(BytesContent(elf()[:size]))


def test_reads_outside_are_empty() -> None:
    for content in (BytesContent(b"abc"), Window(BytesContent(b"abc"), 1, 1)):
        assert content.pread(-1, 2) == b""
        assert content.pread(5, 2) == b""
        assert content.pread(1, -1) == b""
        assert content.pread(1, 10) == b"bc"
        assert content.pread(1 << 70, 1 << 70) == b""
    with pytest.raises(FormatError, match="over the limit"):
        read_exactly(BytesContent(b""), 0, 1 << 40, "table")
    with pytest.raises(FormatError, match="past the end"):
        read_exactly(BytesContent(b""), 1 << 70, 1, "table")


def test_fixtures_truncated_at_every_byte() -> None:
    for machine in TRIPLES:
        with open(os.path.join(HERE, f"{machine}.elf"), "rb") as file:
            data = file.read()
        for size in range(0, len(data), 7):
            ask_everything(BytesContent(data[:size]))
