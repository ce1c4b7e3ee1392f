"""Static programs of real packages: they need nothing of a root, so each must really start on every one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from runworthy import check
from runworthy.engine import verdict_of
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import simulate
from tests.differential.model import Model
from tests.judges import roots
from tests.judges.panel import Judge

_X64 = ("bullseye-amd64", "trixie-amd64", "musl-1.2.2-x86_64", "musl-1.2.5-x86_64")
_ARM64 = ("bullseye-arm64", "trixie-arm64", "musl-1.2.5-aarch64")
_PAIRS = [
    *(("esbuild-linux-x64", name) for name in _X64),
    *(("esbuild-linux-arm64", name) for name in _ARM64),
]


@pytest.mark.judge
@pytest.mark.parametrize(("package", "name"), _PAIRS)
def test_static_program_starts(package: str, name: str) -> None:
    """A static Go program is said to run on glibc and musl roots alike, and prints its version there."""
    root = roots.requires(name)
    program = roots.requires_corpus(package) / "bin" / "esbuild"
    binds: dict[str, Path] = {"/subject/esbuild": program}
    model = Model(root, binds=binds, launch=Launch())
    elf = model.view.elf(model.view.resolve("/subject/esbuild").path)
    assert elf.facts.is_static
    assert verdict_of(simulate(model.machinery, "/subject/esbuild", elf)) == ("runs", None)
    with Judge(root, binds=binds) as judge:
        outcome = judge.run(["/subject/esbuild", "--version"])
    assert outcome.rc == 0, outcome
    assert outcome.stdout.strip().count(".") == 2


@pytest.mark.judge
@pytest.mark.parametrize(
    ("package", "name"), [("esbuild-linux-x64", "trixie-arm64"), ("esbuild-linux-arm64", "trixie-amd64")]
)
def test_static_program_of_another_machine_is_refused(package: str, name: str) -> None:
    """What runs everywhere else does not run on another machine."""
    root = roots.requires(name)
    model = Model(root, binds={"/subject/esbuild": roots.requires_corpus(package) / "bin" / "esbuild"})
    trace = simulate(model.machinery, "/subject/esbuild", model.view.elf("/subject/esbuild"))
    assert verdict_of(trace) == ("fails", "exec")


@pytest.mark.judge
def test_a_static_program_that_starts_at_a_descriptor_runs() -> None:
    """On ppc64 the entry point of the first ABI is the address of data (Debian's ``arch-test``)."""
    program, emulator = Path("/usr/lib/arch-test/ppc64el"), shutil.which("qemu-ppc64le-static")
    if emulator is None or not program.exists():
        pytest.skip("needs the packages arch-test and qemu-user-static")
    assert subprocess.run([emulator, program], capture_output=True, check=True).stdout == b"ok\n"
    assert {result.verdict for result in check(program, on=["debian:12", "alpine:3.20"]).results} == {"runs"}
