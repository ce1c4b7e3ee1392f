"""Which files of a directory are subjects: what is looked at, what is passed over, and under which names."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runworthy.formats.content import BytesContent
from runworthy.formats.elf_kind import elf_kind
from runworthy.targets.trees import Tree, walk
from tests.elfwriter import elf
from tests.judges import roots

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and modes of Unix")

PROGRAM = elf(interpreter="/lib64/ld-linux-x86-64.so.2", needed=["libc.so.6"])
LIBRARY = elf(soname="libx.so.1", exports=["x"])


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A directory that anybody can enter: pytest's own are for their owner alone."""
    return tmp_path


def write(top: Path, **files: bytes) -> None:
    for name, data in files.items():
        path = top / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def names(tree: Tree) -> dict[str, tuple[str, ...]]:
    return {member.path: member.aliases for member in tree.members}


def test_programs_and_libraries_by_their_bytes(top: Path) -> None:
    write(top, bin__app=PROGRAM, lib__data=LIBRARY, lib__text=b"#!/bin/sh\n", lib__short=b"\x7fEL", empty=b"")
    tree = walk(str(top))
    assert names(tree) == {"bin/app": (), "lib/data": ()}
    assert (tree.files, dict(tree.passed_over)) == (5, {})


def test_what_is_elf_and_no_subject_is_counted(top: Path) -> None:
    write(top, a=elf(kind=1), b=elf(kind=1), core=elf(kind=4), app=PROGRAM)
    tree = walk(str(top))
    assert names(tree) == {"app": ()}
    assert dict(tree.passed_over) == {"core file": 1, "relocatable object": 2}


def test_damage_is_a_subject(top: Path) -> None:
    """What cannot be told is judged, and told as unknown there."""
    write(top, cut=PROGRAM[:20], odd=elf(kind=9))
    assert names(walk(str(top))) == {"cut": (), "odd": ()}


def test_links_and_copies_are_names(top: Path) -> None:
    write(top, lib__libx_so_1=LIBRARY, lib__libx_so=LIBRARY, lib__libx_so_2=LIBRARY, other__copy=LIBRARY)
    os.link(top / "lib/libx_so", top / "lib/again")
    os.link(top / "lib/libx_so", top / "other/hard")
    (top / "lib" / "link").symlink_to("libx_so_2")
    (top / "chain").symlink_to("lib/link")
    (top / "lib" / "libx_so_2").chmod(0o755)
    (top / "out").symlink_to("/bin/sh")
    (top / "dangling").symlink_to("nowhere")
    (top / "loop").symlink_to("loop")
    (top / "up").symlink_to("..")
    assert names(walk(str(top))) == {
        "lib/again": ("lib/libx_so", "lib/libx_so_1"),
        "lib/libx_so_2": ("chain", "lib/link"),  # its mode is another, so may be its fate
        "other/copy": ("other/hard",),
    }


def test_one_byte_makes_a_difference(top: Path) -> None:
    write(top, a=LIBRARY + b"\0" * 70000 + b"a", b=LIBRARY + b"\0" * 70000 + b"b", c=LIBRARY + b"\0" * 70000 + b"a")
    assert names(walk(str(top))) == {"a": ("c",), "b": ()}


def test_special_files_are_not_opened(top: Path) -> None:
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(os.path.relpath(top / "socket"))
        assert walk(str(top)).files == 0


def test_a_link_as_the_directory_is_followed(top: Path) -> None:
    write(top, real__app=PROGRAM)
    (top / "link").symlink_to("real")
    assert names(walk(str(top / "link"))) == {"app": ()}


def test_odd_names_and_order(top: Path) -> None:
    odd = os.fsencode(top) + b"/a\xff\n"
    Path(os.fsdecode(odd)).write_bytes(PROGRAM)
    write(top, **{"a-b__x": LIBRARY, "a__x": LIBRARY, "b": LIBRARY})
    assert [member.path for member in walk(str(top)).members] == ["a/x", "a-b/x", "a\udcff\n", "b"]


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A directory of somebody who is not root, and their eyes."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_what_cannot_be_read_is_told(nobody: Path) -> None:
    write(nobody, fine=PROGRAM, closed=PROGRAM, shut__app=PROGRAM)
    (nobody / "closed").chmod(0)
    (nobody / "shut").chmod(0)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        tree = walk(str(nobody))
    finally:
        os.seteuid(before)
        (nobody / "shut").chmod(0o755)
    denied = os.strerror(13)
    assert [(member.path, member.problem) for member in tree.members] == [
        ("closed", denied),
        ("fine", ""),
        ("shut", denied),
    ]


def test_pseudo_file_systems_are_not_entered() -> None:
    if not Path("/proc/self/mountinfo").exists():
        pytest.skip("needs Linux with /proc")
    seen: list[int] = []
    tree = walk("/proc/self/task", lambda _, files, __: seen.append(files))
    assert tree.files > 0, "the directory that is named is entered"
    assert "/proc" not in {member.path for member in tree.members}


def test_it_tells_how_far_it_is(top: Path) -> None:
    write(top, a__app=PROGRAM, b__text=b"text")
    told: list[tuple[str, int, int]] = []
    walk(str(top), lambda *words: told.append(words))
    assert told[-1] == ("find", 2, 1)
    assert {what for what, _, _ in told} == {"find"}


@pytest.mark.skipif(not shutil.which("objcopy"), reason="needs objcopy (package binutils)")
def test_detached_debug_files(top: Path) -> None:
    source = top / "a.c"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-g", "-o", top / "app", source], check=True)
    subprocess.run(["objcopy", "--only-keep-debug", top / "app", top / "app.debug"], check=True)
    tree = walk(str(top))
    assert names(tree) == {"app": ()}
    assert dict(tree.passed_over) == {"debug file": 1}


def test_section_headers_that_lie_do_no_harm() -> None:
    data = bytearray(PROGRAM)
    data[0x28:0x30] = (2**63).to_bytes(8, "little")  # e_shoff
    data[0x3C:0x3E] = (0xFFFF).to_bytes(2, "little")  # e_shnum
    assert elf_kind(BytesContent(bytes(data))) == "subject"


@pytest.mark.judge
def test_it_finds_what_scanelf_finds() -> None:
    """It lists the ELF files of a real system too, the detached debug files among them."""
    scanelf = roots.requires_tool("scanelf", package="pax-utils")
    where = "/usr/lib"
    listed = subprocess.run([scanelf, "-R", "-y", "-B", "-F", "%F %o", where], capture_output=True, check=True)
    theirs = {
        line.rsplit(b" ", 1)[0] for line in listed.stdout.splitlines() if line.endswith((b" ET_DYN", b" ET_EXEC"))
    }
    tree = walk(where)
    ours = {os.fsencode(f"{where}/{member.path}") for member in tree.members}
    links = {path for path in ours if os.path.islink(path)}
    assert not links
    known = ours | {os.fsencode(f"{where}/{alias}") for member in tree.members for alias in member.aliases}
    assert len(theirs) > 500
    assert theirs - known == debug_files(theirs - known)
    assert ours <= theirs


def debug_files(paths: set[bytes]) -> set[bytes]:
    """By binutils: no section that holds code has bytes."""
    told = subprocess.run(["readelf", "-SW", *sorted(paths), "/bin/sh"], capture_output=True, check=True).stdout
    found = set()
    for block in told.split(b"\nFile: ")[1:]:
        code = [line for line in block.splitlines() if b" AX " in line]
        if code and all(b" NOBITS " in line for line in code):
            found.add(block.partition(b"\n")[0])
    return found
