"""Whole checks of what is started further on, against what really happens: env, interpreters of interpreters, links."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from runworthy.engine.again import judge_again
from runworthy.simulate.launch import Launch
from tests.apewriter import ape, ape_loader
from tests.differential.execution import World
from tests.judges.kernel import requires_kernel

pytestmark = pytest.mark.judge

_SOURCE = '#include <stdio.h>\nint main(void) { puts("really"); return 0; }\n'
_REALLY = "really\n"

# What follows env, and whether the program is started; `good` prints, the others are no use in their own ways.
_LINES = [
    ("good", True),
    ("nothing", False),
    ("closed", False),
    ("directory", False),
    ("without-library", False),
    ("without-interpreter", False),
    ("carriage-return", False),
    ("of-library", False),
    ("script", True),
    ("good -x", False),
    ("-S good -x", True),
    ("-S -u HOME good", True),
    ("-vS good", True),
    ("-S 'good'", True),
    ("-S good\\c nothing", True),
    ("-S A=1 nothing", False),
    ("-S - good", False),
    ("-S -C /nowhere good", False),
    ("-i good", False),
    ("-i", False),
    ("--split-string=nothing", False),
    ("", False),
    ("env", False),
]


@pytest.fixture
def world() -> Iterator[World]:
    with requires_kernel() as kernel:
        yield World(kernel)


@cache
def _program(directory: Path) -> tuple[bytes, bytes]:
    """A program that prints, and one that needs a library which is gone."""
    library, static, needing = (directory / name for name in ("libgone.so", "static", "needing"))
    commands = (
        ["gcc", "-shared", "-fPIC", "-x", "c", "/dev/null", "-o", str(library)],
        ["gcc", "-static", "-x", "c", "-", "-o", str(static)],
        ["gcc", "-x", "c", "-", "-o", str(needing), "-Wl,--no-as-needed", f"-L{directory}", "-x", "none", "-lgone"],
    )
    for command in commands:
        subprocess.run(command, input=_SOURCE, text=True, check=True)
    return static.read_bytes(), needing.read_bytes()


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    return _program(tmp_path_factory.mktemp("programs"))


def _verdict(world: World, path: Path, search: str) -> str:
    launch = Launch(env={"PATH": search}, callers=("direct",))
    return judge_again("subject", launch)(world.target(world.handlers()), str(path)).verdict


def _agree(world: World, path: Path, search: str = "/usr/bin:/bin") -> str:
    """Hold the verdict against what happens: the program prints, or it does not."""
    real = world.kernel.execute(path, env={"PATH": search}, timeout=0.5)
    told = _verdict(world, path, search)
    ran = (real.errno, real.rc, real.stdout.endswith(_REALLY)) == (0, 0, True)
    assert ran == (told in ("runs", "risky")), (told, real)
    return told


def _commands(world: World, programs: tuple[bytes, bytes]) -> str:
    """Put the commands into a directory, and return a PATH."""
    static, needing = programs
    world.put("bin/good", static)
    world.put("bin/closed", static, 0o644)
    world.put("bin/without-library", needing)
    world.put("bin/without-interpreter", b"#!/nowhere/sh\n")
    world.put("bin/carriage-return", b"#!/bin/sh\r\n")
    world.put("bin/of-library", f"#!{world.kernel.files}/bin/without-library\n".encode())
    world.put("bin/script", f"#!{world.kernel.files}/bin/good\n".encode())
    (world.kernel.files / "bin/directory").mkdir()
    return f"{world.kernel.files}/bin:/usr/bin:/bin"


def test_what_env_starts(world: World, programs: tuple[bytes, bytes]) -> None:
    search = _commands(world, programs)
    env = world.kernel.files / "another-name"
    env.symlink_to("/usr/bin/env")
    for line, runs in _LINES:
        for name in ("/usr/bin/env", str(env)):
            script = world.put("script", f"#!{name} {line}\n".encode())
            assert _agree(world, script, search) == ("runs" if runs else "fails"), line
            nested = world.put("nested", f"#!{script}\n".encode())
            assert _agree(world, nested, search) == ("runs" if runs else "fails"), line


def test_env_passes_over_what_cannot_be_executed(world: World, programs: tuple[bytes, bytes]) -> None:
    search = _commands(world, programs)
    for name in ("closed", "without-interpreter", "directory"):
        world.put(f"further/{name}", programs[0])
        script = world.put("script", f"#!/usr/bin/env {name}\n".encode())
        assert _agree(world, script, search) == "fails"
        assert _agree(world, script, f"{search}:{world.kernel.files}/further") == "runs"


def test_the_env_of_busybox_splits_nothing(world: World, programs: tuple[bytes, bytes]) -> None:
    search = _commands(world, programs)
    (world.kernel.files / "env").symlink_to("/usr/bin/busybox")
    for line, verdict in (("good", "runs"), ("nothing", "fails"), ("-S good", "fails"), ("-i", "fails")):
        script = world.put("script", f"#!{world.kernel.files}/env {line}\n".encode())
        assert _agree(world, script, search) == verdict, line


def test_who_takes_the_interpreter_of_a_script(world: World, programs: tuple[bytes, bytes], tmp_path: Path) -> None:
    """An APE in the place of an interpreter is no less taken by Wine, and needs code for the machine no less."""
    good = world.put("app", ape(machines=("x86_64",), message=_REALLY, code=0))
    other = world.put("other", ape(machines=("aarch64",), message=_REALLY, code=0))
    loader = world.put("ape", ape_loader("x86_64", tmp_path))
    wine = world.put("wine", programs[0].replace(b"really", b"WINE!!"))
    lines = [f"#!{path}\n" for path in (good, other)] + [f"#!/usr/bin/env {path}\n" for path in (good, other)]
    scripts = [world.put(f"script{number}", line.encode()) for number, line in enumerate(lines)]
    assert world.kernel.register(f":DOSWin:M::MZ::{wine}:".encode()) == 0
    assert [_agree(world, script) for script in scripts] == ["fails"] * 4
    assert world.kernel.register(f":APE:M::MZqFpD::{loader}:".encode()) == 0
    assert [_agree(world, script) for script in scripts] == ["runs", "fails"] * 2


def test_a_link_is_called_by_its_own_name(world: World, programs: tuple[bytes, bytes]) -> None:
    interpreter = world.put("interpreter", programs[0])
    assert world.kernel.register(f":words:E::words::{interpreter}:".encode()) == 0
    for name, target in (("plain", "some.words"), ("other.words", "text")):
        world.put(target, b"words\n")
        (world.kernel.files / name).symlink_to(target)
    wanted = {"some.words": "runs", "plain": "fails", "other.words": "runs", "text": "fails"}
    assert {name: _agree(world, world.kernel.files / name) for name in wanted} == wanted


def test_a_handler_whose_interpreter_is_gone_and_held_open(world: World, programs: tuple[bytes, bytes]) -> None:
    """Nothing is known of what the kernel still has: it may run, and it may lack a library."""
    subject = world.put("subject", b"XYZW\n")
    for data in programs:
        world.kernel.clear()
        held = world.put("held", data)
        assert world.kernel.register(f":held:M::XYZW::{held}:F".encode()) == 0
        held.unlink()
        assert _verdict(world, subject, "/usr/bin:/bin") == "unknown"


def test_no_shell_makes_a_program_of_another_machine(world: World) -> None:
    """Env has a shell read what the kernel refuses: that is no start of an ELF file."""
    subject = world.put("subject", b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\xb7\0" + bytes(44))
    assert _agree(world, world.put("script", f"#!/usr/bin/env {subject}\n".encode())) == "fails"
