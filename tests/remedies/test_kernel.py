"""The real kernel is asked about what is proposed: whether it takes the lines, and whose the file is then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runworthy.formats.binfmt.registration import format_registration
from runworthy.model.edit import (
    CopyFile,
    DisableHandler,
    KernelEdit,
    RegisterHandler,
    SwitchHandlers,
    UnregisterHandler,
    WriteFile,
    WriteLoader,
    actions,
)
from runworthy.model.records import replace
from runworthy.remedies.planning import plan
from tests.apewriter import ape, ape_loader
from tests.judges.kernel import Kernel, requires_kernel
from tests.remedies.made import WINE, handlers, situation, target_of, write_tree
from tests.remedies.test_plans import SYSTEMD

pytestmark = pytest.mark.judge


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with requires_kernel() as held:
        yield held


def carry_out(kernel: Kernel, edit: KernelEdit) -> None:
    """Make an edit of handlers as the product's scripts do."""
    if isinstance(edit, RegisterHandler):
        if edit.handler.name in kernel.entries():
            assert kernel.write(edit.handler.name, b"-1") == 0
        assert kernel.register(format_registration(edit.handler)) == 0
    elif isinstance(edit, SwitchHandlers):
        assert kernel.write("status", str(int(edit.on)).encode()) == 0
    else:
        value = b"-1" if isinstance(edit, UnregisterHandler) else b"0"
        assert kernel.write(edit.name, value) == 0


def test_the_loader_of_the_file_itself_wins_over_wine(kernel: Kernel, tmp_path: Path) -> None:
    """Wine's handler is there first. With the edits in place the APE runs natively, and its PE neighbour in Wine."""
    app = ape(loaders={"x86_64": ape_loader("x86_64", tmp_path)}, message="natively\n", code=3)
    wine = kernel.put("wine", b"#!/bin/sh\necho in wine; exit 9\n")
    assert kernel.register(f":DOSWin:M::MZ::{wine}:".encode()) == 0
    program, windows = kernel.put("app", app), kernel.put("setup.exe", b"MZ\0\0a program for Windows")
    hijacked = kernel.execute(program)
    assert (hijacked.stdout, hijacked.rc) == ("in wine\n", 9)

    root = write_tree(tmp_path / "root", {**SYSTEMD, "/opt/app": app})
    target = target_of(root, handlers(replace(WINE, interpreter="/usr/bin/wine")))
    best = plan(situation(target, "/opt/app"))[0]
    assert best.proved
    assert best.stays
    loader = kernel.put("ape", ape_loader_of(best.edits))
    lines: list[bytes] = []
    for edit in actions(best.edits):
        if isinstance(edit, RegisterHandler):
            here = replace(edit.handler, interpreter=str(loader))
            lines.append(format_registration(edit.handler))
            carry_out(kernel, RegisterHandler(handler=here))
    assert kernel.entries() == ["APE-jart", "APE", "DOSWin"]
    conf = next(one for one in best.edits if isinstance(one, WriteFile))
    assert [line for line in conf.content.split(b"\n") if line.startswith(b":")] == lines
    repaired = kernel.execute(program)
    assert (repaired.stdout, repaired.rc) == ("natively\n", 3)
    assert kernel.execute(windows).stdout == "in wine\n"
    loader.unlink()
    assert kernel.execute(program).rc == 3, "F: the loader was opened when it was registered"


def ape_loader_of(edits: tuple[object, ...]) -> bytes:
    return next(one for one in edits if isinstance(one, WriteLoader)).content


def test_the_copy_that_is_an_elf_file_runs_beside_wine(kernel: Kernel, tmp_path: Path) -> None:
    app = ape(message="natively\n", code=3)
    wine = kernel.put("wine", b"#!/bin/sh\necho in wine; exit 9\n")
    assert kernel.register(f":DOSWin:M::MZ::{wine}:".encode()) == 0
    root = write_tree(tmp_path / "root", {**SYSTEMD, "/opt/app": app})
    remedies = plan(situation(target_of(root, handlers(WINE)), "/opt/app"))
    (edit,) = next(one.edits for one in remedies if one.proved and isinstance(one.edits[0], CopyFile))
    assert isinstance(edit, CopyFile)
    copy = kernel.put("app.elf", edit.head + app[len(edit.head) :], edit.mode)
    done = kernel.execute(copy)
    assert (done.stdout, done.rc) == ("natively\n", 3)


def test_switching_one_handler_off_leaves_the_others(kernel: Kernel) -> None:
    wine = kernel.put("wine", b"#!/bin/sh\necho in wine\n")
    echo = kernel.put("echo", b"#!/bin/sh\necho other\n")
    for name, magic, interpreter in (("DOSWin", "MZ", wine), ("other", "OTHER", echo)):
        assert kernel.register(f":{name}:M::{magic}::{interpreter}:".encode()) == 0
    windows, other = kernel.put("a", b"MZ windows"), kernel.put("b", b"OTHER")
    carry_out(kernel, DisableHandler(name="DOSWin"))
    assert kernel.execute(windows).errno == 8
    assert kernel.execute(other).stdout == "other\n"
    carry_out(kernel, SwitchHandlers(on=False))
    assert kernel.execute(other).errno == 8
