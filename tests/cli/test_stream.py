"""`runworthy snapshot -` and `--script`: a machine without Python, as people meet it."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.elfwriter import elf
from tests.formats.packages import tar

ROOT = {
    "etc/os-release": b"ID=small\n",
    "lib64/ld-linux-x86-64.so.2": elf(soname="ld-linux-x86-64.so.2", defines=["GLIBC_2.2.5", "GLIBC_2.35"]),
    "usr/lib/libgreeting.so.1": elf(soname="libgreeting.so.1", exports=["greeting"]),
}


@pytest.fixture
def root(world: Path) -> Path:
    for path, data in ROOT.items():
        at = world / "root" / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(data)
        at.chmod(0o755)
    return world / "root"


def test_a_tar_stream_becomes_a_target(runworthy: Run, world: Path, root: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(root, arcname=".")
    ended = runworthy("snapshot", "-", "-o", "it.runworthy", stdin=packed.getvalue())
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("it.runworthy: ")
    assert "8 entries, 2 ELF files" in ended.out
    _, direct, _ = runworthy("check", "server", "--on", "rootfs:root")
    _, out, _ = runworthy("check", "server", "--on", "./it.runworthy")
    assert out.replace("./it.runworthy", "rootfs:root") == direct
    assert "it fails at load" in out
    assert (world / "it.runworthy").stat().st_size < 3000


def test_what_the_script_says_becomes_a_target(runworthy: Run, world: Path, root: Path) -> None:
    script = runworthy("snapshot", "--script")
    assert script.out.startswith("#!/bin/sh\n")
    (root / "srv").mkdir()
    (root / "usr/lib/odd\nname").write_bytes(b"")
    command = ["sh", "-s", "--", "root", "srv"]
    done = subprocess.run(command, input=script.out.encode(), cwd=world, capture_output=True, check=True)
    assert b"collector: done" in done.stderr
    ended = runworthy("snapshot", "-", "-o", "it.runworthy", stdin=done.stdout)
    assert (ended.code, ended.err) == (0, "")
    assert "nothing is known of /srv" in ended.out
    _, direct, _ = runworthy("check", "server", "--on", "rootfs:root")
    _, out, _ = runworthy("check", "server", "--on", "./it.runworthy")
    assert out.replace("./it.runworthy", "rootfs:root") == direct


def test_what_was_not_sent_is_unknown(runworthy: Run, world: Path, root: Path) -> None:
    """A library under a name that no library has is not sent. It is there, so that nobody may call it absent."""
    (root / "usr/lib/odd").write_bytes(elf(soname="odd", exports=["odd"]))
    (world / "program").write_bytes(elf(interpreter="/lib64/ld-linux-x86-64.so.2", needed=["odd"]))
    (world / "program").chmod(0o755)
    script = runworthy("snapshot", "--script").out
    stream = subprocess.run(["sh", "-s", "--", root], input=script.encode(), capture_output=True, check=True).stdout
    assert runworthy("snapshot", "-", "-o", "it.runworthy", stdin=stream).code == 0
    code, out, _ = runworthy("check", "program", "--on", "./it.runworthy", "--until", "load")
    assert code == 4
    assert "/usr/lib/odd lies where" in out
    assert runworthy("check", "program", "--on", "rootfs:root", "--until", "load").code == 0


@pytest.mark.parametrize("stdin", [b"", b"tar: not found\n", tar(ROOT, cut=True), tar({"../x": b""}), tar({"x": b""})])
def test_a_stream_that_is_refused_leaves_nothing(runworthy: Run, world: Path, stdin: bytes) -> None:
    before = sorted(os.listdir(world))
    code, out, err = runworthy("snapshot", "-", "-o", "it.runworthy", stdin=stdin)
    assert (code, out) == (2, "")
    assert err.startswith("error: the stream ")
    assert "hint: " in err
    assert sorted(os.listdir(world)) == before


@pytest.mark.parametrize(
    "arguments", [(), ("host",), ("-",), ("-o", "x"), ("--script", "host"), ("--script", "--exclude", "/x")]
)
def test_what_is_not_understood(runworthy: Run, arguments: tuple[str, ...]) -> None:
    ended = runworthy("snapshot", *arguments, stdin=b"")
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert "hint: " in ended.err
