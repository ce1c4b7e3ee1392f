"""`runworthy fix`: what is proposed, what is carried out, what is left alone, and the exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.report.test_document import validate

SCHEMA = "runworthy.fix-1.json"


@pytest.fixture
def script(world: Path) -> Path:
    path = world / "job"
    path.write_bytes(b"#!/bin/sh\r\necho done\r\n")
    path.chmod(0o755)
    return path


def test_nothing_is_changed_unless_it_is_told_to(runworthy: Run, script: Path) -> None:
    before = script.read_bytes()
    ended = runworthy("fix", "job")
    assert ended.code == 1
    assert ended.out.splitlines()[:2] == [
        "job on host: ✗ fails at exec",
        "  error[RW116]: `job` is a script whose `#!` line makes the kernel look for `/bin/sh\\r`",
    ]
    assert "1. take the carriage returns off the lines of `job`, as `dos2unix` does  (safe, proved)" in ended.out
    assert "-#!/bin/sh\\r" in ended.out
    assert "+#!/bin/sh" in ended.out
    assert script.read_bytes() == before


def test_applied_and_taken_back(runworthy: Run, script: Path) -> None:
    before, status = script.read_bytes(), script.stat()
    ended = runworthy("fix", "job", "--apply", "-q")
    assert ended.code == 0
    assert "it runs now; `runworthy undo " in ended.out
    assert script.read_bytes() == b"#!/bin/sh\necho done\n"
    assert runworthy("fix", "job").code == 0
    assert runworthy("undo").code == 0
    assert script.read_bytes() == before
    assert (script.stat().st_mtime_ns, script.stat().st_ino, script.stat().st_mode) == (
        status.st_mtime_ns,
        status.st_ino,
        status.st_mode,
    )


def test_copies_in_a_directory_are_changed_one_by_one(runworthy: Run, world: Path) -> None:
    tree = world / "copies"
    tree.mkdir()
    for name in "ab":
        (tree / name).write_bytes((world / "app").read_bytes())
        (tree / name).chmod(0o644)
    (tree / "c").symlink_to("a")
    assert runworthy("fix", "copies", "--apply", "-q").code == 0
    assert [(tree / name).stat().st_mode & 0o777 for name in "ab"] == [0o755, 0o755]
    assert (tree / "c").is_symlink()
    assert runworthy("undo").code == 0
    assert [(tree / name).stat().st_mode & 0o777 for name in "ab"] == [0o644, 0o644]


def test_a_copy_is_written_and_the_file_left_alone(runworthy: Run, script: Path, tmp_path: Path) -> None:
    before = script.read_bytes()
    output = tmp_path / "fixed"
    ended = runworthy("fix", "job", "--apply", "--output", str(output))
    assert ended.code == 0
    assert script.read_bytes() == before
    assert (output / "job").read_bytes() == b"#!/bin/sh\necho done\n"
    assert os.access(output / "job", os.X_OK)


@pytest.mark.parametrize(("command", "kept"), [("./job >/dev/null", True), ("exit 3", False)])
def test_the_word_of_a_test_counts(runworthy: Run, script: Path, command: str, *, kept: bool) -> None:
    before = script.read_bytes()
    ended = runworthy("fix", "job", "--apply", "--then", f"cd {script.parent} && {command}")
    assert (ended.code == 0) is kept
    assert (script.read_bytes() != before) is kept
    assert ("exit status 3" in ended.out) is not kept


def test_a_dockerfile_is_changed_in_place_of_a_root(runworthy: Run, world: Path) -> None:
    dockerfile = world / "Dockerfile"
    dockerfile.write_text("# syntax=docker/dockerfile:1\nFROM alpine:3.20\nCOPY app /app\n", encoding="utf-8")
    ended = runworthy("fix", "app", "--dockerfile", "Dockerfile", "--apply")
    assert ended.out.splitlines()[0] == "app on alpine:3.20: ✗ fails at exec"
    assert "-FROM alpine:3.20" in ended.out
    assert ended.code == 0
    told = dockerfile.read_text(encoding="utf-8").splitlines()
    assert told[0] == "# syntax=docker/dockerfile:1"
    assert told[1].startswith("FROM debian:")
    assert told[2] == "COPY app /app"
    assert runworthy("fix", "app", "--dockerfile", "Dockerfile").code == 0


def test_the_document_is_as_its_schema_says(runworthy: Run, script: Path) -> None:
    del script
    document = validate(
        runworthy("fix", "job", "app", "--on", "alpine:3.20", "--on", "host", "--format", "json").out, SCHEMA
    )
    assert {plan["target"].split("/")[0] for plan in document["plans"]} == {"alpine:3.20", "host"}
    for plan in document["plans"]:
        assert [one["number"] for one in plan["remedies"]] == list(range(1, len(plan["remedies"]) + 1))
        proved = [one["remedy"]["proved"] for one in plan["remedies"]]
        assert proved == sorted(proved, reverse=True)
    document = validate(runworthy("fix", "job", "--apply", "--format", "json").out, SCHEMA)
    (repair,) = document["repairs"]
    assert (repair["kept"], repair["runs"], repair["why"]) == (True, True, "")
    entries = json.loads(runworthy("history", "--format", "json").out)["entries"]
    assert repair["entry"] in [entry["id"] for entry in entries]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("app", "--on", "debian:12"), 0),
        (("app", "--on", "alpine:3.20"), 1),
        (("nothing-there",), 3),
        (("app", "--choose", "99", "--on", "alpine:3.20"), 2),
        (("app", "--dockerfile", "nothing-there"), 2),
    ],
)
def test_exit_codes(runworthy: Run, arguments: tuple[str, ...], code: int) -> None:
    assert runworthy("fix", *arguments).code == code


def test_an_empty_directory_is_no_subject(runworthy: Run, world: Path) -> None:
    (world / "nothing").mkdir()
    run = runworthy("fix", "nothing")
    assert run.code == 3
    assert "no ELF program or library in it" in run.err


@pytest.mark.parametrize("option", ["--build", "--packages"])
def test_what_is_to_help_has_to_be_there(runworthy: Run, script: Path, option: str) -> None:
    run = runworthy("fix", script.name, option, "nosuch")
    assert run.code == 2
    assert f"error: {option} nosuch: No such file or directory" in run.err


BOX = ("llamafile", "--on", "./winebox", "--at-boot")


def unsafe(runworthy: Run) -> str:
    """Return the number of the first proposal for an APE in a root with Wine that is proved and not safe."""
    (plan,) = json.loads(runworthy("fix", *BOX, "--format", "json").out)["plans"]
    held = [one for one in plan["remedies"] if one["remedy"]["applicability"] == "unsafe" and one["remedy"]["proved"]]
    return str(held[0]["number"])


def test_what_is_unsafe_is_not_done_unless_it_is_allowed(runworthy: Run, world: Path) -> None:
    before = sorted(os.listdir(world))
    ended = runworthy("fix", *BOX, "--choose", unsafe(runworthy))
    assert ended.code == 1
    assert "it is unsafe, and --unsafe is not given" in ended.out
    assert sorted(os.listdir(world)) == before


def test_an_ape_becomes_a_copy_that_nobody_else_takes(runworthy: Run, world: Path) -> None:
    ended = runworthy("fix", *BOX, "--apply")
    assert ended.code == 0
    assert (world / "llamafile.elf").read_bytes()[:4] == b"\x7fELF"
    assert runworthy("check", "llamafile.elf", "--on", "./winebox", "--at-boot").code == 0


def test_a_handler_is_registered_for_a_root_that_does_not_run(runworthy: Run, world: Path) -> None:
    box = world / "winebox"
    before = sorted(str(path.relative_to(box)) for path in box.rglob("*"))
    assert runworthy("check", *BOX).code == 1
    ended = runworthy("fix", *BOX, "--choose", unsafe(runworthy), "--unsafe")
    assert "it runs now" in ended.out
    assert ended.code == 0
    assert (box / "etc/binfmt.d/zz-ape.conf").exists()
    assert runworthy("check", *BOX).code == 0
    assert runworthy("undo").code == 0
    assert sorted(str(path.relative_to(box)) for path in box.rglob("*")) == before
