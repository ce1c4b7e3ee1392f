"""`runworthy check` on files: its options, its formats, names that nobody would choose."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.elfwriter import Symbol, elf
from tests.report.test_document import validate
from tests.world import LOADER, MUSL_LOADER


def test_one_that_runs(runworthy: Run) -> None:
    lines = runworthy("check", "app", "--on", "ubuntu:22.04/amd64").out.splitlines()
    assert lines[0] == "✓ app runs on ubuntu:22.04/x86_64"
    assert lines[1].startswith("  judged against glibc 2.35, x86_64, ")
    assert lines[2] == "  on a machine with x86-64-v1 assumed; kernel not stated"
    assert len(lines) == 3


def test_the_architecture_is_taken_from_the_subject_and_said(runworthy: Run) -> None:
    lines = runworthy("check", "app", "--on", "ubuntu:22.04").out.splitlines()
    assert lines[-1] == "ubuntu:22.04 taken as x86_64, like the subject; NAME/ARCH or --platform says otherwise"
    assert "taken as" not in runworthy("check", "app", "--on", "ubuntu:22.04", "--platform", "linux/amd64").out


@pytest.mark.parametrize("written", [("ubuntu:22.04,alpine:3.20",), ("ubuntu:22.04", "alpine:3.20")])
def test_several_targets(runworthy: Run, written: tuple[str, ...]) -> None:
    options = [word for target in written for word in ("--on", target)]
    lines = runworthy("check", "app", *options).out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["app"],
        ["ubuntu:22.04", "✓", "runs", "glibc", "2.35"],
        ["alpine:3.20", "✗", "fails", "at", "exec", "musl", "1.2.5"],
    ]


def test_a_root_whose_name_has_a_comma_is_one_target(runworthy: Run, world: Path) -> None:
    root = world / "a,b"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "os-release").touch()
    ended = runworthy("check", "app", "--on", "./a,b", "-q")
    assert ended.out == "app on ./a,b: ✗ fails at exec\n"


def test_the_same_asked_twice_is_judged_once(runworthy: Run) -> None:
    options = ("--on", "ubuntu:22.04", "--on", "ubuntu:22.04,ubuntu:22.04", "-q")
    assert runworthy("check", "app", "app", *options).out == "app on ubuntu:22.04: ✓ runs\n"


def test_stated_machine(runworthy: Run) -> None:
    options = ("--on", "ubuntu:22.04", "--cpu", "x86-64-v3", "--kernel", "5.10", "--platform", "amd64")
    assert runworthy("check", "app", *options).out.splitlines()[2] == "  on a machine with x86-64-v3, kernel 5.10.0"


def test_missing_library_and_what_brings_it(runworthy: Run) -> None:
    on = ("--on", "debian:12", "-q")
    assert runworthy("check", "server", *on).out == "server on debian:12: ✗ fails at load\n"
    assert runworthy("check", "server", *on, "--env", "LD_LIBRARY_PATH=/subject").code == 1
    assert runworthy("check", "server", *on, "--env", "LD_LIBRARY_PATH=.").code == 1


def test_library_path_and_where_it_does_not_count(runworthy: Run, world: Path) -> None:
    place = str(world)
    on = ("check", "server", "--on", "debian:12", "--env", f"LD_LIBRARY_PATH=/subject{place}")
    assert runworthy(*on).code == 0
    assert runworthy(*on, "--secure").code == 1
    assert runworthy("check", "server", "--on", "debian:12", "--env", "LD_LIBRARY_PATH=", "--cwd", place).code == 1


def test_assume_present(runworthy: Run) -> None:
    check = ("check", "server", "--on", "ubuntu:22.04")
    assert runworthy(*check).code == 4
    ended = runworthy(*check, "--assume-present", "libgreeting.so.1")
    assert "libgreeting.so.1 is stated to be present" in ended.out
    assert ended.code == 0
    assert runworthy(*check, "--assume-present", "all").code == 0


def test_until(runworthy: Run) -> None:
    check = ("check", "app", "--on", "ubuntu:20.04", "--until")
    assert [runworthy(*check, stage).code for stage in ("exec", "load", "version")] == [0, 0, 1]


def test_at(runworthy: Run) -> None:
    ended = runworthy("check", "app", "--on", "debian:12", "--at", "/opt/bin/app", "--format", "json")
    assert json.loads(ended.out)["results"][0]["path"] == "/opt/bin/app"


def test_loaded_by(runworthy: Run) -> None:
    check = ("check", "libgreeting.so.1", "--on", "debian:12", "--loaded-by")
    assert runworthy(*check, "/bin/ls").code == 0
    ended = runworthy(*check, "/bin/nothing")
    assert ended.code == 2
    assert ended.err.startswith("error: debian:12 is not known to have /bin/nothing, which --loaded-by names\nhint: ")


def test_trace(runworthy: Run) -> None:
    out = runworthy("check", "app", "--on", "debian:12", "--trace").out
    assert out.startswith(f"trace: app on debian:12, x86_64, loaded by {LOADER} (glibc 2.36)\n")
    for line in (
        "    ✓ library libc.so.6, needed by app: /usr/lib/x86_64-linux-gnu/libc.so.6",
        "    ✓ versions GLIBC_2.34 and GLIBC_2.2.5 of libc.so.6, needed by app: /usr/lib/x86_64-linux-gnu/libc.so.6",
        "    ✓ 3 symbols of app: defined by /usr/lib/x86_64-linux-gnu/libc.so.6",
        "  = assumed: a target's own libraries are consistent with each other",
    ):
        assert line in out


@pytest.mark.parametrize(("target", "loader"), [("debian:12", LOADER), ("alpine:3.20", MUSL_LOADER)])
def test_trace_shows_where_a_library_was_looked_for(runworthy: Run, world: Path, target: str, loader: str) -> None:
    (world / "found").write_bytes(elf(interpreter=loader, needed=["libgreeting.so.1"], tags=[(21, 0)]))
    place = f"/subject{world}"
    options = ("--on", target, "--env", f"LD_LIBRARY_PATH=/no/where:{place}:/later", "--trace")
    out = runworthy("check", "found", *options).out
    head, _, rest = out.partition(f"✓ library libgreeting.so.1, needed by found: {place}/libgreeting.so.1  ")
    assert head
    found, considered, first, *others = rest.splitlines()
    assert found == "[LD_LIBRARY_PATH]"
    assert considered == "        paths considered before it, in this order:"
    assert first.startswith("         1. /no/where/libgreeting.so.1  n")
    assert not any("/later" in line for line in others)


@pytest.mark.parametrize("trace", [(), ("--trace",)])
def test_json(runworthy: Run, trace: tuple[str, ...]) -> None:
    options = ("--on", "ubuntu:20.04,alpine:3.20,debian:12", "--format", "json", *trace)
    ended = runworthy("check", "app", "server", "client", "notes.txt", "libgreeting.so.1", *options)
    document = validate(ended.out)
    assert document["summary"]["cells"] == 15
    needs = [need for result in document["results"] for need in result["needs"]]
    assert any(need["answer"] == "met" for need in needs) == bool(trace)


def test_json_is_the_same_each_time(runworthy: Run) -> None:
    check = ("check", "app", "server", "--on", "ubuntu:20.04,debian:12", "--format", "json", "--trace")
    first, second = (runworthy(*check, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first == second


@pytest.mark.parametrize("form", ["text", "json"])
def test_output_file(runworthy: Run, world: Path, form: str) -> None:
    check = ("check", "app", "--on", "ubuntu:20.04", "--format", form)
    ended = runworthy(*check, "-o", "report")
    assert (ended.code, ended.out, ended.err) == (1, "", "")
    assert (world / "report").read_text("utf-8") == runworthy(*check).out


def test_colour(runworthy: Run) -> None:
    check = ("check", "app", "--on", "ubuntu:20.04")
    plain = runworthy(*check).out
    assert "\x1b" not in plain
    assert "\x1b" in runworthy(*check, "--color", "always").out
    assert "\x1b" in runworthy(*check, FORCE_COLOR="1").out
    assert runworthy(*check, NO_COLOR="1", FORCE_COLOR="1").out == plain
    assert runworthy(*check, "--color", "never", FORCE_COLOR="1").out == plain
    assert "\x1b" in runworthy(*check, "--color", "always", NO_COLOR="1").out


def test_encoding_without_marks(runworthy: Run) -> None:
    ended = runworthy("check", "app", "--on", "ubuntu:20.04", "-q", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert ended.out == "app on ubuntu:20.04: x fails at version\n"


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux")
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"two\nlines", r"two\nlines"),
        (b"\x1b[2Jclear", r"\x1b[2Jclear"),
        (b"latin\xe9", r"latin\xe9"),
        ("\u202etxt.exe".encode(), r"\u202etxt.exe"),
        (b"-q", "./-q"),
        ("中文".encode(), "中文"),
        (b"a b", "a b"),
    ],
    ids=["newline", "escape", "latin-1", "right-to-left", "option", "chinese", "space"],
)
def test_odd_names(runworthy: Run, world: Path, name: bytes, shown: str) -> None:
    shutil.copy(world / "app", world / os.fsdecode(name))
    asked = b"./" + name if name.startswith(b"-") else name
    ended = runworthy("check", asked, "--on", "ubuntu:20.04")
    assert ended.code == 1
    assert f"✗ {shown} does not run on ubuntu:20.04" in ended.out
    assert all(letter == "\n" or letter.isprintable() for letter in ended.out)
    document = validate(runworthy("check", asked, "--on", "ubuntu:20.04", "--format", "json").out)
    assert document["results"][0]["subject"].encode()


def test_hostile_names_inside_a_file(runworthy: Run, world: Path) -> None:
    name = "lib\x1b]0;owned\x07.so"
    path = world / "hostile"
    path.write_bytes(
        elf(
            interpreter=LOADER,
            needed=[name, "libc.so.6"],
            tags=[(21, 0)],
            runpath="/opt/\x1b[31m",
            imports=[Symbol("ev\nil", "V\r1", name, use="data")],
        )
    )
    for arguments in (
        ("check", "hostile", "--on", "debian:12", "--trace", "-v"),
        ("check", "hostile", "--on", "ubuntu:22.04"),
        ("inspect", "hostile", "--symbols"),
    ):
        ended = runworthy(*arguments)
        assert r"lib\x1b]0;owned\x07.so" in ended.out
        assert all(letter == "\n" or letter.isprintable() for letter in ended.out)


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs are of Unix")
def test_what_is_no_file(runworthy: Run, world: Path) -> None:
    os.mkfifo(world / "fifo")
    os.symlink("loop", world / "loop")
    ended = runworthy("check", "fifo", "loop", "empty", "app", "--on", "ubuntu:22.04", "-q")
    assert ended.code == 1
    told = [line.partition(" on ") for line in ended.out.splitlines()]
    assert [f"{name}: {rest.partition(': ')[2]}" for name, _, rest in told] == [
        "fifo: ? unknown",
        "loop: ? unknown",
        "empty: ✗ fails at exec",
        "app: ✓ runs",
    ]


def test_host_is_the_default(runworthy: Run) -> None:
    ended = runworthy("check", sys.executable, "-q")
    assert ended.code == 0
    assert ended.out == f"{sys.executable} on host: ✓ runs\n"
