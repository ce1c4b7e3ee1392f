"""`runworthy snapshot`, and what other commands do with what it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runworthy.cli import main
from tests.cli.conftest import SOURCE, Ended, Run
from tests.elfwriter import elf
from tests.world import LOADER


@pytest.fixture
def runworthy(world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in a directory that holds the files of the world, in this process."""
    monkeypatch.chdir(world)

    def run(*arguments: str) -> Ended:
        code = main(arguments)
        told = capsys.readouterr()
        return Ended(code, told.out, told.err)

    return run


@pytest.fixture
def root(world: Path) -> Path:
    """A small root beside the files of the world: glibc by its names."""
    top = world / "root"
    files = {
        LOADER[1:]: elf(soname="ld-linux-x86-64.so.2", exports=["_rtld_global"]),
        "lib/libc.so.6": elf(soname="libc.so.6", exports=["puts"]),
        "opt/lib/libextra.so.1": elf(soname="libextra.so.1", exports=["extra"]),
        "etc/os-release": b"ID=made\n",
    }
    for name, data in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755)
    return top


@pytest.mark.parametrize("trace", [(), ("--trace",)])
def test_the_same_report(runworthy: Run, root: Path, trace: tuple[str, ...]) -> None:
    ended = runworthy("snapshot", "./root", "-o", "made.runworthy")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("made.runworthy: 0.0 MB, ")
    assert ended.out.endswith(" entries, 3 ELF files\n")
    subjects = ("app", "server", "viewer", "root/lib/libc.so.6")
    reports = []
    for target in ("./root", "made.runworthy"):
        ended = runworthy("check", *subjects, "--on", target, "--format", "json", *trace)
        report = json.loads(ended.out.replace(target, "TARGET"))
        for finding in (one for result in report["results"] for one in result["findings"]):
            del finding["fingerprint"]  # which the target's name is part of
        reports.append((ended.code, report))
    assert reports[0] == reports[1]
    assert "/lib/libc.so.6" in [result["path"] for result in reports[1][1]["results"]]


def test_to_a_pipe(runworthy: Run, world: Path, root: Path) -> None:
    held = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-m", "runworthy", "snapshot", "root", "-o", "-"],
        cwd=world, env=held, capture_output=True, check=True,
    )  # fmt: skip
    (world / "piped").write_bytes(done.stdout)
    assert done.stderr.decode().startswith("-: ")
    assert (
        runworthy("check", "server", "--on", "snapshot:piped", "-q").out
        == "server on snapshot:piped: ✗ fails at load\n"
    )


def test_quietly(runworthy: Run, root: Path) -> None:
    ended = runworthy("snapshot", "root", "-o", "made.runworthy", "-q")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_what_is_left_out_is_said(runworthy: Run, root: Path) -> None:
    ended = runworthy("snapshot", "root", "-o", "made.runworthy", "--exclude", "/opt/lib", "--exclude", "/etc/")
    assert ended.out.endswith("; nothing is known of /etc, /opt/lib\n")
    shown = runworthy("targets", "show", "made.runworthy").out.splitlines()
    assert "  left out  /etc /opt/lib" in shown
    assert "  known     closed: every file" in shown


def test_this_machine(runworthy: Run, world: Path) -> None:
    """Its top directory and /etc alone: who asks about the rest is told that nothing is known of it."""
    others = [f"/{name}" for name in os.listdir("/") if name != "etc" and os.path.isdir(f"/{name}")]
    options = [word for path in others if not os.path.islink(path) for word in ("--exclude", path)]
    ended = runworthy("snapshot", "host", "-o", "host.runworthy", *options)
    assert (ended.code, ended.err) == (0, "")
    shown = dict(line.split(maxsplit=1) for line in runworthy("targets", "show", "host.runworthy").out.splitlines()[1:])
    assert shown["kernel"] == os.uname().release
    assert set(shown["left"].removeprefix("out").split()) >= {"/proc", "/sys", "/dev", "/run", "/usr"}
    ended = runworthy("check", "app", "--on", "host.runworthy")
    assert ended.code == 4
    assert "lies where host.runworthy does not tell what is there" in ended.out
    live = runworthy("check", "app", "--on", "host", "--format", "json").out
    copy = runworthy("check", "app", "--on", "host.runworthy", "--format", "json").out
    assert json.loads(live)["results"][0]["machine"]["assumed"] == []
    assert json.loads(copy)["results"][0]["machine"] in (None, json.loads(live)["results"][0]["machine"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("root",), "the file to write"),
        (("none", "-o", "x"), "none is not a directory"),
        (("viewer", "-o", "x"), "so it is no root"),
        (("root", "-o", "none/x"), "cannot write none/x: No such file or directory"),
        (("root", "-o", "root"), "cannot write root: "),
        (("root", "-o", "x", "--exclude", "/none"), "--exclude /none is no directory of the root"),
    ],
)
def test_what_cannot_be(runworthy: Run, world: Path, root: Path, arguments: tuple[str, ...], words: str) -> None:
    before = sorted(world.iterdir())
    ended = runworthy("snapshot", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert "\nhint: " in ended.err
    assert sorted(world.iterdir()) == before


def test_a_damaged_one(runworthy: Run, world: Path, root: Path) -> None:
    runworthy("snapshot", "root", "-o", "made.runworthy")
    path = world / "made.runworthy"
    path.write_bytes(path.read_bytes()[:-9])
    ended = runworthy("check", "app", "--on", "made.runworthy")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: made.runworthy at offset ")
    assert "is a snapshot that was cut off\nhint: capture the target again\n" in ended.err
