"""Directories as subjects, from the command line."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.elfwriter import elf
from tests.report.test_document import validate
from tests.report.test_text import text

VIEWER = (
    "viewer/bin/viewer",
    "viewer/lib/libview.so",
    "viewer/plugins/gif.so",
    "viewer/plugins/jpeg.so",
    "viewer/plugins/png.so",
)


@pytest.mark.skipif(os.name != "posix", reason="a directory in use can be removed")
@pytest.mark.parametrize("name", ["viewer", "viewer/bin/viewer"])
def test_whole_paths_mean_the_same_where_the_working_directory_is_gone(
    runworthy: Run, world: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = runworthy("check", str(world / name), "--on", "debian:12")
    (world / "gone").mkdir()
    monkeypatch.chdir(world / "gone")
    (world / "gone").rmdir()
    assert runworthy("check", str(world / name), "--on", "debian:12") == before


def test_one_cause_with_all_files_under_it(runworthy: Run) -> None:
    ended = runworthy("check", "viewer", "--on", "debian:12")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out == text("""
        viewer: 5 programs and libraries in 7 files
          debian:12  ✗ 5 fail  glibc 2.36

        error[RW202]: `libGL.so.1` is not found: 5 files
          --> viewer/lib/libview.so
           | viewer/bin/viewer
           | viewer/lib/libview.so
           | viewer/plugins/gif.so
           | viewer/plugins/jpeg.so
           | viewer/plugins/png.so
        help: install `libgl1`  (manual)

        checked 5 subjects on 1 target: 5 fail; 5 errors
        debian:12 taken as x86_64, like the subjects; NAME/ARCH or --platform says otherwise
        explain with `runworthy explain RW202`
        """)


def test_json(runworthy: Run) -> None:
    ended = runworthy("check", "viewer", "--on", "debian:12,debian:11", "--format", "json")
    document = validate(ended.out)
    assert [(cell["subject"], cell["target"]) for cell in document["results"]] == [
        (name, target) for name in VIEWER for target in ("debian:12", "debian:11")
    ]
    assert document["results"][2]["also"] == ["viewer/lib/libview.so.2"]
    assert document["results"][0]["path"].endswith("/viewer/bin/viewer")
    causes = document["summary"]["causes"]
    first = {**causes[0]}
    assert first.pop("subjects") == list(VIEWER)
    assert first == {
        "code": "RW202",
        "name": "missing-library",
        "severity": "error",
        "message": "`libGL.so.1` is not found",
        "items": [],
        "target": "debian:12",
    }
    assert [cause["target"] for cause in causes if cause["code"] == "RW301"] == ["debian:11"]
    assert document["summary"]["trees"] == [{"name": "viewer", "files": 7, "subjects": 5, "passed_over": {}}]


def test_the_same_as_file_by_file(runworthy: Run) -> None:
    """A directory is judged as its files are: the same verdicts, findings and paths."""
    options = ("--on", "debian:11,alpine:3.20", "--format", "json")
    whole = json.loads(runworthy("check", "viewer", *options).out)["results"]
    named = json.loads(runworthy("check", *VIEWER, *options).out)["results"]
    assert [{**cell, "also": []} for cell in whole] == named


def test_at_places_the_directory(runworthy: Run) -> None:
    place = ("--at", "/opt/other", "--assume-present", "libGL.so.1", "--on", "debian:12", "--format", "json")
    ended = runworthy("check", "viewer", *place)
    paths = [cell["path"] for cell in json.loads(ended.out)["results"]]
    assert paths == [name.replace("viewer/", "/opt/other/", 1) for name in VIEWER]
    assert ended.code == 0, "the bundled library is found from there"
    assert runworthy("check", "viewer", "app", "--at", "/opt/other").code == 2


def test_a_missing_library_that_is_brought(runworthy: Run, world: Path) -> None:
    (world / "libGL.so.1").write_bytes(elf(soname="libGL.so.1", exports=["glFlush"]))
    ended = runworthy("check", "viewer", "--on", "debian:12", "--with", "libGL.so.1")
    assert ended.code == 0
    assert ended.out.splitlines()[1] == "  debian:12  ✓ 5 run  glibc 2.36"


def test_siblings_are_found_only_where_the_loader_looks(runworthy: Run, world: Path) -> None:
    """`server` needs a library beside it and has no search path: alone or in a directory, it is not found."""
    (world / "dist").mkdir()
    for name in ("server", "libgreeting.so.1"):
        shutil.copy(world / name, world / "dist" / name)
    ended = runworthy("check", "dist", "--on", "debian:12", "-q")
    assert ended.out.splitlines() == [
        "dist/libgreeting.so.1 on debian:12: ✓ runs",
        "dist/server on debian:12: ✗ fails at load",
    ]


def test_with_files_beside(runworthy: Run) -> None:
    ended = runworthy("check", "viewer", "app", "viewer/bin/viewer", "--on", "debian:12")
    assert ended.out.splitlines()[:3] == [
        "viewer: 5 programs and libraries in 7 files",
        "and 1 file named alone",
        "  debian:12  ✗ 5 fail  ✓ 1 run  glibc 2.36",
    ]


def test_without_a_subject(runworthy: Run, world: Path) -> None:
    (world / "papers").mkdir()
    (world / "papers" / "a.o").write_bytes(elf(kind=1))
    (world / "papers" / "b").write_text("text")
    said = "error: papers: no ELF program or library in it, 2 files looked at, 1 relocatable object passed over\n"
    assert runworthy("check", "papers", "--on", "debian:12") == (3, "", said)
    ended = runworthy("check", "papers", "app", "--on", "debian:12", "-q")
    assert ended == (0, "app on debian:12: ✓ runs\n", said)


@pytest.mark.skipif(sys.platform == "win32", reason="links of Unix")
def test_links_that_lead_out_are_told_where_nothing_else_is(runworthy: Run, world: Path) -> None:
    (world / "bin").mkdir()
    (world / "bin" / "app").symlink_to("../app")
    ended = runworthy("check", "bin", "--on", "debian:12")
    assert ended.code == 3
    assert ended.err.endswith(", 0 files looked at, 1 symbolic link not followed\n")


def test_a_root_needs_a_target(runworthy: Run, world: Path) -> None:
    (world / "system" / "etc").mkdir(parents=True)
    (world / "system" / "etc" / "os-release").touch()
    ended = runworthy("check", "system")
    assert ended.code == 2
    assert ended.err == (
        "error: system is the root of a system, and no target is named\n"
        "hint: `--on ./system` judges it in itself, `--on host` on this machine\n"
    )
    assert runworthy("check", "system", "--on", "./system").code == 3


def test_a_root_in_itself_keeps_its_paths(runworthy: Run, world: Path) -> None:
    root = world / "system"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "os-release").touch()
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "usr" / "lib" / "libx.so").write_bytes(elf(soname="libx.so"))
    ended = runworthy("check", "system", "--on", "./system", "--format", "json")
    assert [cell["path"] for cell in json.loads(ended.out)["results"]] == ["/usr/lib/libx.so"]


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs and links of Unix")
def test_odd_things_do_no_harm(runworthy: Run, world: Path) -> None:
    os.mkfifo(world / "viewer" / "fifo")
    (world / "viewer" / "loop").symlink_to(".")
    (world / "viewer" / "cut").write_bytes(b"\x7fELF")
    ended = runworthy("check", "viewer", "--on", "debian:12", "-q")
    assert ended.code == 1
    assert ended.out.splitlines()[1] == "viewer/cut on debian:12: ? unknown"
    assert len(ended.out.splitlines()) == 6


def test_trace_of_a_directory(runworthy: Run) -> None:
    out = runworthy("check", "viewer", "--on", "debian:12", "--trace").out
    assert out.count("trace: ") == 3
