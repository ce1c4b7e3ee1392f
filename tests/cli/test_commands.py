"""The other commands, and the help of all."""

from __future__ import annotations

import os
import sys

import pytest

import runworthy as package
from runworthy.cli import main
from runworthy.cli.commands import COMMANDS
from tests.cli.conftest import Run
from tests.report.test_document import validate
from tests.world import LOADER


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(runworthy: Run, option: str) -> None:
    assert runworthy(option) == (0, f"runworthy {package.__version__}\n", "")


@pytest.mark.parametrize("option", ["--help", "-h", "help"])
def test_help(runworthy: Run, option: str) -> None:
    ended = runworthy(option)
    assert (ended.code, ended.err) == (0, "")
    head, commands, *rest = ended.out.split("\n\n")[1:]
    assert ended.out.startswith("usage: runworthy COMMAND ...\n\n")
    assert head == "Will this software run there, and if not, why?"
    assert [tuple(line.split(None, 1)) for line in commands.splitlines()] == [
        (command.name, command.summary) for command in COMMANDS
    ]
    assert "\n\n".join(rest) == (
        """\
  runworthy check ./app                                on this machine
  runworthy check ./app --on alpine:3.20 --on debian:12/arm64
  runworthy COMMAND --help                             what a command takes

  -h, --help     this text
  -V, --version  the version

exit codes: 0 everything runs, 1 something fails, 2 usage or internal error, 3 no subject found, 4 cannot tell
environment: RUNWORTHY_ON, RUNWORTHY_FORMAT and others stand for options; `runworthy man` tells of all
"""
    )


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_help_of_a_command(runworthy: Run, name: str) -> None:
    ended = runworthy(name, "--help", COLUMNS="200")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"usage: runworthy {name} ")


def test_check_help_names_every_option(runworthy: Run) -> None:
    out = runworthy("check", "--help", COLUMNS="200").out
    for option in (
        *("--on", "--platform", "--cpu", "--page-size", "--kernel", "--with", "--assume-present", "--at", "--env"),
        *("--cwd", "--secure", "--loaded-by", "--until", "--trace", "--format", "--output-file", "--fail-on"),
        *("--strict", "--color", "--quiet", "--verbose"),
    ):
        assert option in out
    assert "exit codes: 0 everything runs" in out


def test_inspect(runworthy: Run) -> None:
    assert (
        runworthy("inspect", "app").out
        == f"""\
app
  kind            program, position-independent
  machine         x86_64, 64 bit, little endian
  interpreter     {LOADER}
  needed          libc.so.6
  needs versions  libc.so.6  GLIBC_2.34, highest of 2
  symbols         3 imported
  relocations     3 of 2 kinds
  pages           can be mapped with pages of 4 KiB; 1 segment, aligned to 4 KiB
  stack           not executable
  sections        no section headers
"""
    )


def test_inspect_symbols(runworthy: Run) -> None:
    lines = runworthy("inspect", "app", "libgreeting.so.1", "--symbols").out.splitlines()
    assert "    puts  GLIBC_2.2.5 of libc.so.6" in lines
    assert lines[-1] == "    greeting"


@pytest.mark.parametrize("symbols", [(), ("--symbols",)])
def test_inspect_json(runworthy: Run, symbols: tuple[str, ...]) -> None:
    ended = runworthy("inspect", "app", sys.executable, "notes.txt", "--format", "json", *symbols)
    document = validate(ended.out, "runworthy.facts-1.json")
    assert ended.code == 0
    first, _, third = document["files"]
    assert first["version_needs"][0]["highest"] == ["GLIBC_2.34"]
    assert ("imports" in first["symbols"]) == bool(symbols)
    assert (third["type"], third["kind"], third["problem"]) == ("text", "text", "")


def test_targets(runworthy: Run) -> None:
    out = runworthy("targets").out
    assert {"alpine", "debian", "glibc", "manylinux", "musllinux", "rhel", "ubuntu"} <= set(out.splitlines())
    lines = runworthy("targets", "alpine", "3.20").out.splitlines()
    assert lines[0] == "alpine"
    assert lines[1].startswith("  alpine:3.20  musl 1.2.5  closed  as of 3.20.")
    assert lines[1].endswith("x86_64")
    assert len(lines) == 2


@pytest.mark.parametrize("words", [("debian", "arm64"), ("musl", "closed"), ("glibc 2.31",)])
def test_targets_by_words(runworthy: Run, words: tuple[str, ...]) -> None:
    ended = runworthy("targets", *words)
    assert ended.code == 0
    assert 0 < len(ended.out) < len(runworthy("targets").out)


def test_targets_show(runworthy: Run) -> None:
    lines = runworthy("targets", "show", "debian:12/arm64").out.splitlines()
    assert lines[0] == "debian:12 on aarch64"
    held = dict(line.split(None, 1) for line in lines[1:4])
    assert held == {
        "libc": "glibc 2.36",
        "loader": "/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1",
        "known": "closed: every file",
    }
    assert any(line.split()[:1] == ["libc.so.6"] and "GLIBC_2.36" in line for line in lines)
    assert any(line.startswith("  end of life  20") for line in lines)


def test_targets_show_host_tells_of_its_machine(runworthy: Run) -> None:
    rows = [line.split() for line in runworthy("targets", "show", "host").out.splitlines()]
    assert ["kernel", os.uname().release] in rows
    assert {"machine", "mounts"} <= {row[0] for row in rows if row}


@pytest.mark.parametrize("name", ["host", "alpine:3.20", "ubuntu:20.04", "glibc:2.28", "manylinux_2_28_x86_64"])
def test_targets_show_others(runworthy: Run, name: str) -> None:
    ended = runworthy("targets", "show", name)
    assert (ended.code, ended.err) == (0, "")
    assert "\n  libc" in ended.out


def test_explain_lists_and_tells(capsys: pytest.CaptureFixture[str]) -> None:
    def runworthy(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    rows = [line.split() for line in runworthy("explain").splitlines()[:-2]]
    assert rows == sorted(rows)
    assert all(code.startswith("RW") and severity in ("error", "warning", "note") for code, severity, _ in rows)
    for code, severity, name in rows:
        page = runworthy("explain", code.lower())
        assert page == runworthy("explain", name)
        assert page.startswith(f"{code} {name}  ({severity}, since ")
        assert "```" not in page
