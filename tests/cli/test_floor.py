"""`runworthy floor`: its streams, its exit codes, its two formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.elfwriter import elf
from tests.report.test_document import validate

SCHEMA = "runworthy.floor-1.json"


def test_a_line_for_each_thing_then_what_asks_for_it(runworthy: Run) -> None:
    ended = runworthy("floor", "app")
    lines = ended.out.splitlines()
    assert lines[0] == "app, x86_64"
    assert lines[1].split() == ["glibc", "2.34"]
    assert lines[2].split() == "musl none built for glibc: app needs /lib64/ld-linux-x86-64.so.2".split()
    assert "  2.34   GLIBC_2.34   app  __libc_start_main and dlopen" in lines
    assert "help: avoid `__libc_start_main` and `dlopen` (1 file) -> glibc 2.17 or older" in lines
    assert any(line.startswith("oldest targets: debian:12, ubuntu:22.04, rhel:9, fedora:39,") for line in lines)
    assert (ended.code, ended.err) == (0, "")


def test_quiet_is_a_line_for_each_thing_and_each_broken_gate(runworthy: Run) -> None:
    ended = runworthy("floor", "-q", "app", "--max-glibc", "2.28", "--max-kernel", "5.0")
    lines = ended.out.splitlines()
    assert [line.split()[0] for line in lines[:7]] == ["glibc", "musl", "libstdc++", "libgcc", "kernel", "CPU", "pages"]
    assert lines[7:] == ["error[--max-glibc]: app needs glibc 2.34, the gate is at glibc 2.28"]
    assert ended.code == 1


def test_a_broken_gate_is_told_with_symbols_and_files(runworthy: Run) -> None:
    ended = runworthy("floor", "app", "server", "--max-glibc", "2.31")
    assert ended.out.splitlines()[-3:] == [
        "error[--max-glibc]: 2 files need glibc 2.34, the gate is at glibc 2.31",
        "   | 2.34  GLIBC_2.34  app     __libc_start_main and dlopen",
        "   |       GLIBC_2.34  server  __libc_start_main",
    ]
    assert ended.code == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("app",), 0),
        (("app", "--max-glibc", "2.34"), 0),
        (("app", "--max-glibc", "2.33"), 1),
        (("app", "--max-musl", "1.2.5"), 1),
        (("app", "--max-glibc", "x"), 2),
        (("nothing-there",), 3),
        (("void",), 3),
        (("notes.txt",), 4),
        (("app", "notes.txt"), 4),
        (("app", "notes.txt", "--max-glibc", "2.28"), 1),
    ],
)
def test_exit_codes(runworthy: Run, world: Path, arguments: tuple[str, ...], code: int) -> None:
    (world / "void").mkdir()
    assert runworthy("floor", *arguments, "-q").code == code


def test_json_follows_its_schema(runworthy: Run, world: Path) -> None:
    (world / "odd.so").write_bytes(elf(soname="odd", needed=["libc.so.6", "lib\udcff.so"], exports=["a"]))
    ended = runworthy("floor", "app", "client", "odd.so", "--max-glibc", "2.28", "--format", "json")
    held = validate(ended.out, SCHEMA)
    assert [one["libc"] for one in held["shipped"]] == ["glibc", "musl"]
    floor = held["shipped"][0]["floors"]["glibc"]
    assert (floor["release"], floor["lower"]) == ("2.34", "2.2.5")
    assert floor["rungs"][0]["reasons"][0]["symbols"] == ["__libc_start_main", "dlopen"]
    assert held["gates"][0]["gate"] == "--max-glibc"
    assert ended.code == 1


def test_json_of_what_cannot_be_judged(runworthy: Run) -> None:
    held = validate(runworthy("floor", "notes.txt", "--format", "json").out, SCHEMA)
    assert held["shipped"] == []
    assert held["problems"][0]["file"] == "notes.txt"


def test_a_directory_is_judged_as_one_release(runworthy: Run, world: Path) -> None:
    (world / "dist").mkdir()
    for name in ("app", "client", "libgreeting.so.1", "notes.txt"):
        (world / "dist" / name).write_bytes((world / name).read_bytes())
    held = json.loads(runworthy("floor", "dist", "--format", "json").out)
    assert {one["libc"]: one["files"] for one in held["shipped"]} == {  # one library is for either
        "glibc": ["dist/app", "dist/libgreeting.so.1"],
        "musl": ["dist/client", "dist/libgreeting.so.1"],
    }


def test_a_name_that_a_terminal_would_obey(runworthy: Run, world: Path) -> None:
    (world / "a\x1b[31m").write_bytes((world / "app").read_bytes())
    assert "\x1b" not in runworthy("floor", "a\x1b[31m", "--max-glibc", "2.28").out


def test_where_there_is_nothing_to_judge_it_is_said(runworthy: Run, world: Path) -> None:
    (world / "void").mkdir()
    (world / "no\x1bne").mkdir()
    ended = runworthy("floor", "void", "no\x1bne")
    assert ended == (3, "", "error: no ELF program or library in void and no\\x1bne\n")
