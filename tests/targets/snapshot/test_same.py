"""A snapshot answers every question as its root does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import pack_into

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runworthy.targets.directory import DirectoryView
from runworthy.targets.snapshot.view import SnapshotView
from tests.elfwriter import Symbol, elf
from tests.targets.snapshot.made import answers, captured, walk
from tests.targets.trees import build, paths, trees

LIBRARY = elf(
    soname="libone.so.1",
    needed=["libc.so.6"],
    imports=[Symbol("puts", "GLIBC_2.2.5", "libc.so.6", use="plt")],
    exports=["one", Symbol("two", "ONE_2.0")],
)
SMALL = elf(machine="i386", soname="libone.so.1", exports=["one"])
BIG_ENDIAN = elf(machine="s390x", soname="libone.so.1", exports=["one"])


def poked(data: bytes, at: int, value: bytes) -> bytes:
    """Return the bytes with some of them replaced."""
    return data[:at] + value + data[at + len(value) :]


def lookalike(kind: int, table: int) -> bytes:
    """Return a file that is no ELF file, with a type and program headers where ELF files have theirs."""
    data = bytearray(b"no ELF at all".ljust(1024, b"\0"))
    pack_into("<H", data, 16, kind)
    pack_into("<Q", data, 32, table)
    pack_into("<HH", data, 54, 56, 2)
    return bytes(data)


FILES: Mapping[str, bytes] = {
    "empty": b"",
    "byte": b"x",
    "text": b"nothing for a loader\n" * 40,
    "script": b"#!/bin/sh -e\n" + b"secret\n" * 40,
    "endless-script": b"#!" + b"x" * 400,
    "linker-script": b"GROUP ( libone.so.1 )\n",
    "library": LIBRARY,
    "small": SMALL,
    "big-endian": BIG_ENDIAN,
    "cut-in-head": LIBRARY[:40],
    "cut-in-tables": LIBRARY[: len(LIBRARY) // 2],
    "no-magic": poked(LIBRARY, 0, b"XXXX"),
    "small-without-magic": poked(SMALL, 0, b"XXXX"),
    "other-class": poked(LIBRARY, 4, b"\x01"),
    "other-order": poked(LIBRARY, 5, b"\x02"),
    "no-class": poked(LIBRARY, 4, b"\x07"),
    "other-type": poked(LIBRARY, 16, b"\x01\0"),
    "other-machine": poked(LIBRARY, 18, b"\xff\0"),
    "many-headers": poked(LIBRARY, 56, b"\xff\xff"),
    "headers-elsewhere": poked(LIBRARY, 32, b"\xff\xff"),
    "padded": poked(LIBRARY, 10, b"\x01"),
    "lookalike": lookalike(3, 128),
    "lookalike-outside": lookalike(3, 4096),
    "lookalike-object": lookalike(1, 128),
}


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        for mode in (0o644, 0o755):
            for name, data in FILES.items():
                path = top / f"{mode:o}" / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
                path.chmod(mode)
        (top / "named twice").hardlink_to(top / "644/library")
        (top / "755/twice").hardlink_to(top / "755/text")
        (top / "up").symlink_to("../../644")
        (top / "round").symlink_to("round")
        (top / "nowhere").symlink_to("/not/there")
        os.mkfifo(top / "pipe")
        (top / os.fsdecode(b"caf\xe9")).write_bytes(LIBRARY)
        (top / "new\nline").mkdir()
        yield top


@pytest.fixture(scope="module")
def copy(root: Path) -> SnapshotView:
    return captured(root)


def test_every_answer(root: Path, copy: SnapshotView) -> None:
    told = list(walk(DirectoryView(str(root))))
    assert list(walk(copy)) == told
    asked = [*told, *(f"{path}/x" for path in told), "/", "/up/library", "/644/none", "/x\0y", "/..", "/644/../pipe"]
    assert answers(copy, asked) == answers(DirectoryView(str(root)), asked)


def test_names_of_one_file(copy: SnapshotView) -> None:
    def same(one: str, other: str) -> bool:
        return copy.identity(copy.resolve(one)) == copy.identity(copy.resolve(other))

    assert same("/644/library", "/named twice")
    assert same("/755/text", "/755/twice")
    assert not same("/644/library", "/755/library")
    assert not same("/644/text", "/755/text")


def test_no_more_is_kept_than_loaders_look_at(copy: SnapshotView) -> None:
    """Of a text nothing, of a script its first line, of other programs what the kernel reads."""
    held = {
        path: copy.content(path).pread(0, 1024)
        for path in ("/644/text", "/755/text", "/644/script", "/755/script", "/755/endless-script", "/755/library")
    }
    assert held == {
        "/644/text": bytes(64),
        "/755/text": FILES["text"][:256],
        "/644/script": bytes(64),
        "/755/script": b"#!/bin/sh -e\n".ljust(64, b"\0"),
        "/755/endless-script": FILES["endless-script"][:256],
        "/755/library": LIBRARY[:64],
    }
    with pytest.raises(OSError, match="No data available"):
        copy.content("/755/library").pread(64, 64)


@settings(max_examples=40)
@given(tree=trees, asked=st.lists(paths, min_size=1, max_size=8))
def test_any_tree(tree: dict[str, str | None], asked: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        build(root, tree)
        view = DirectoryView(directory)
        told = [*asked, *walk(view), "/"]
        copy = captured(root)
        assert list(walk(copy)) == list(walk(view))
        assert answers(copy, told) == answers(view, told)


@settings(max_examples=60)
@given(
    base=st.sampled_from((LIBRARY, SMALL, BIG_ENDIAN, lookalike(3, 128))),
    pokes=st.lists(st.tuples(st.integers(0, 80), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
    end=st.integers(0, 6000),
    mode=st.sampled_from((0o644, 0o755)),
)
def test_any_damage(base: bytes, pokes: list[tuple[int, bytes]], end: int, mode: int) -> None:
    for at, value in pokes:
        base = poked(base, at, value)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        path.write_bytes(base[:end])
        path.chmod(mode)
        assert answers(captured(Path(directory)), ["/file"]) == answers(DirectoryView(directory), ["/file"])
