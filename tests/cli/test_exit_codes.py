"""Exit codes and streams: the same for every format, stdout for the report alone, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import SOURCE, Run

RUNS = ("app", "--on", "ubuntu:22.04")
FAILS = ("app", "--on", "ubuntu:20.04")
UNKNOWN = ("server", "--on", "ubuntu:22.04")
RISKY = ("libplugin.so", "--on", "debian:12")


@pytest.fixture(autouse=True)
def _plugin(world: Path) -> None:
    from tests.elfwriter import Symbol, elf

    (world / "libplugin.so").write_bytes(
        elf(soname="libplugin.so", needed=["libc.so.6"], imports=[Symbol("nobody_knows_this", use="data")])
    )


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (RUNS, 0),
        (FAILS, 1),
        (UNKNOWN, 4),
        (RISKY, 0),
        ((*RISKY, "--fail-on", "risky"), 1),
        ((*UNKNOWN, "--strict"), 1),
        (("app", "server", "--on", "ubuntu:22.04"), 4),
        (("app", "notes.txt", "--on", "ubuntu:22.04"), 1),
        (("app", "nowhere", "--on", "ubuntu:22.04"), 4),
        (("app", "--on", "ubuntu:22.04", "--on", "ubuntu:20.04"), 1),
    ],
)
def test_verdicts(runworthy: Run, arguments: tuple[str, ...], code: int, form: str) -> None:
    ended = runworthy("check", *arguments, "--format", form)
    assert ended.code == code
    assert ended.out
    assert ended.err == ""
    if form == "json":
        json.loads(ended.out)


@pytest.mark.parametrize("command", ["check", "inspect"])
def test_no_subject(runworthy: Run, command: str) -> None:
    ended = runworthy(command, "nowhere", "nor/here")
    assert ended.code == 3
    assert ended.out == ""
    assert ended.err == "error: nowhere: no such file\nerror: nor/here: no such file\n"


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("chekc", "app"), "error: there is no command `chekc`", "hint: did you mean `runworthy check`?"),
        (("-v", "check", "app"), "error: -v stands before the command", "hint: write it as in"),
        (("check",), "error: no FILE is named, and no project's file is here or above", "hint: name a FILE"),
        (("check", "app", "--colour"), "error: unrecognized arguments: --colour", "hint: `runworthy check --help`"),
        (("check", "app", "--on", "ubunto:22.04"), "error: there is no target 'ubunto:22.04'", "hint: did you mean"),
        (("check", "app", "--on", "./nowhere"), "error: ./nowhere is not a directory", ""),
        (("check", "app", "--cpu", "i9"), "error: --cpu i9 is no CPU level of x86_64", "hint: x86-64-v1"),
        (("check", "app", "--page-size", "5k"), "error: --page-size 5k is no page size", "hint: 4k"),
        (("check", "app", "--kernel", "new"), "error: --kernel new is no kernel release", "hint: write it as in 5.10"),
        (("check", "app", "--platform", "vax"), "error: --platform vax is not known", "hint: write it as"),
        (("check", "app", "--env", "USER=me"), "error: --env USER is not modelled", "hint: HOME, LD_BIND_NOW"),
        (("check", "app", "--env", "LD_PRELOAD"), "error: --env LD_PRELOAD is no NAME=VALUE", "hint: write it"),
        (("check", "app", "client", "--at", "/x"), "error: --at places one subject", "hint: check one file"),
        (("check", "app", "-o", "no/such/dir"), "error: cannot write no/such/dir: No such file", ""),
        (("check", "app", "--until", "never"), "error: argument --until: invalid choice", "hint: `runworthy"),
        (("explain", "RW999"), "error: there is no finding `RW999`", "hint: "),
        (("targets", "debian", "musl"), "error: no target has debian and musl", "hint: `runworthy targets`"),
        (("targets", "show"), "error: the following arguments are required: NAME", "hint: `runworthy targets show"),
        (("targets", "show", "debain:12"), "error: there is no target 'debain:12'", "hint: did you mean"),
    ],
)
def test_usage_errors(runworthy: Run, arguments: tuple[str, ...], error: str, hint: str) -> None:
    if arguments[0] == "check" and "--on" not in arguments:
        arguments = (*arguments, "--on", "ubuntu:22.04") if len(arguments) > 1 else arguments
    ended = runworthy(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith(error)
    assert f"\n{hint}" in ended.err
    assert "Traceback" not in ended.err


def test_nothing_asked_for(runworthy: Run) -> None:
    ended = runworthy()
    assert ended.code == 2
    assert ended.out.startswith("usage: runworthy COMMAND")


def test_inspect_says_of_a_pipe_that_it_is_one(runworthy: Run, world: Path) -> None:
    """The kernel answers EACCES to whoever executes it, but nobody is denied anything here."""
    os.mkfifo(world / "pipe")
    ended = runworthy("inspect", "pipe")
    assert (ended.code, ended.out) == (4, "error: pipe: it is a pipe, a socket or a device, and no regular file\n")


def test_inspect_reads_what_it_can(runworthy: Run, world: Path) -> None:
    (world / "cut").write_bytes((world / "app").read_bytes()[:40])
    ended = runworthy("inspect", "cut", "app")
    assert ended.code == 4
    assert ended.out.startswith("error: cut at offset 0x28: ")
    assert "interpreter" in ended.out


def test_a_reader_that_goes_away_changes_nothing(world: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "runworthy", "check", *FAILS],
        cwd=world,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.parametrize("closed", ["1", "2"])
def test_closed_streams(world: Path, closed: str) -> None:
    script = f'exec {closed}>&-; exec "$0" -m runworthy check app nowhere --on ubuntu:20.04'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable],
        cwd=world,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is of Unix")
def test_interrupted(world: Path) -> None:
    os.mkfifo(world / "waits")
    # A FIFO as --output-file keeps it waiting for a reader.
    process = subprocess.Popen(
        [sys.executable, "-m", "runworthy", "check", *RUNS, "-o", "waits"],
        cwd=world,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stderr=subprocess.PIPE,
    )
    with process:
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == b"interrupted\n"


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_defect_is_one_line(debug: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from runworthy.cli import commands, main

    def broken(name: str) -> None:
        raise ZeroDivisionError("first line\nsecond line")

    monkeypatch.setattr(commands, "find", broken)
    monkeypatch.setenv("RUNWORTHY_DEBUG", debug)
    assert main(["check"]) == 2
    err = capsys.readouterr().err
    assert ("Traceback" in err) == bool(debug)
    assert err.endswith(
        "error: internal error: ZeroDivisionError: first line\n"
        "hint: RUNWORTHY_DEBUG=1 shows the traceback; a report with it is welcome\n"
    )
