"""The two that say which programs a kernel takes, the one by an ELF file's facts and the one by its bytes, agree."""

from __future__ import annotations

from pathlib import Path
from struct import pack

import pytest

from runworthy.formats.content import BytesContent
from runworthy.formats.elf import read_elf
from runworthy.model.arch import ARCHITECTURES, EF_ARM_ABI_FLOAT_SOFT, Architecture
from runworthy.model.machine import baseline
from runworthy.model.records import replace
from runworthy.simulate.execve import execve
from runworthy.simulate.kernel import runs_natively
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target

_BY_PROCESSOR = {("armel", "armv7"), ("armel", "armv6")}
"""Programs that the kernel of the first takes, and its processor need not have the instructions of."""


def program(arch: Architecture) -> bytes:
    """Return an ELF file for an architecture, with one segment."""
    order = "<" if arch.endian == "little" else ">"
    wide = arch.elf_class == 64
    head, row = (64, 56) if wide else (52, 32)
    flags = EF_ARM_ABI_FLOAT_SOFT if arch.name == "armel" else 2 if arch.name.startswith("ppc64") else 0
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    start, size = 0x10000, head + row + 4
    word = "Q" if wide else "I"
    ehdr = pack(
        f"{order}HHI3{word}I6H", 2, arch.elf_machine, 1, start + head + row, head, 0, flags, head, row, 1, 0, 0, 0
    )
    if wide:
        phdr = pack(f"{order}IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x1000)
    else:
        phdr = pack(f"{order}8I", 1, 0, start, start, size, size, 5, 0x1000)
    return ident + ehdr + phdr + bytes(4)


@pytest.mark.parametrize("arch", ARCHITECTURES, ids=lambda arch: arch.name)
def test_a_kernel_takes_the_same_programs_by_facts_and_by_bytes(tmp_path: Path, arch: Architecture) -> None:
    view = Overlay(DirectoryView(str(tmp_path)))
    target = Target(name="root", view=view, machine=replace(baseline(arch), kernel=(6, 18, 0)))
    by_facts, by_bytes = {}, {}
    for one in ARCHITECTURES:
        view.add_file(f"/{one.name}", program(one))
        if (arch.name, one.name) in _BY_PROCESSOR:
            continue
        by_facts[one.name] = runs_natively(arch, read_elf(BytesContent(program(one))).facts.architecture)
        done = execve(target, f"/{one.name}", (one.name,))
        by_bytes[one.name] = None if done.why else done.errno == ""
    assert by_facts == by_bytes
    assert by_facts[arch.name]
