"""A full disk, a reader that went away, too little memory: one plain sentence, and nothing about this program."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runworthy.cli import refusal
from runworthy.library import history
from tests.cli.conftest import SOURCE, Run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full and the limits are those of Linux")

APP = ("app", "--on", "ubuntu:22.04")
_DEDUPE = ("dedupe", "envs", "--no-index", "--no-caches")
REPORTS = [
    ("check", *APP, "--format", "json"),
    *((*_DEDUPE, "--format", form) for form in ("text", "html")),
    ("history",),
    ("man",),
    ("snapshot", "rootfs:root", "-o", "-"),
    ("dedupe", "--help"),
    ("--version",),
]
FULL = "error: the standard output cannot be written: No space left on device\n"


@pytest.fixture(autouse=True)
def _envs(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(world / "state"))
    for name in ("envs/a/x.bin", "envs/b/x.bin"):
        (world / name).parent.mkdir(parents=True)
        (world / name).write_bytes(b"a library" * 20_000)
    (world / "root/etc").mkdir(parents=True)
    (world / "root/etc/os-release").write_text("ID=small\n")
    for number in range(300):
        (world / f"root/etc/{number}").write_bytes(os.urandom(2000))


def ended(world: Path, arguments: tuple[str, ...], stdout: int) -> tuple[int, str]:
    words = [sys.executable, "-m", "runworthy", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(words, cwd=world, env=environment, stdout=stdout, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("arguments", REPORTS, ids=" ".join)
def test_nothing_can_be_written(world: Path, arguments: tuple[str, ...]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert ended(world, arguments, full) == (2, FULL)
    finally:
        os.close(full)


@pytest.mark.parametrize("arguments", REPORTS, ids=" ".join)
def test_nobody_reads_it(world: Path, arguments: tuple[str, ...]) -> None:
    """It ends as it would have, and says nothing."""
    read, write = os.pipe()
    os.close(read)
    try:
        code, err = ended(world, arguments, write)
    finally:
        os.close(write)
    assert (code, err) == (ended(world, arguments, subprocess.DEVNULL)[0], "")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("command", [("check", *APP), _DEDUPE], ids=["c", "d"])
def test_no_room_for_the_file(runworthy: Run, command: tuple[str, ...], form: str) -> None:
    done = runworthy(*command, "--format", form, "-o", "/dev/full")
    assert done == (2, "", "error: cannot write /dev/full: No space left on device\n")


def test_what_was_done_is_told_where_the_report_cannot_be(world: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        words = (*_DEDUPE, "--how", "hardlink", "--apply")
        code, err = ended(world, words, full)
        assert code == 2
        (entry,) = history()
        assert err == f"{FULL}note: files were shared: `runworthy undo {entry.id}` takes it back\n"
        assert (world / "envs/a/x.bin").samefile(world / "envs/b/x.bin")
        assert ended(world, ("undo",), full) == (2, f"{FULL}note: {entry.id} is undone\n")
    finally:
        os.close(full)
    assert not (world / "envs/a/x.bin").samefile(world / "envs/b/x.bin")


LIMITED = """\
import resource, sys
from runworthy.cli import main
import runworthy.cli.parser, runworthy.cli.dedupe, runworthy.library.storage
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("more", [1 << 17, 2 << 20, 3 << 20, 6 << 20])
def test_too_little_memory(world: Path, more: int) -> None:
    """Wherever it ends: nothing is said of this program, and what was begun is at its end."""
    command = (*_DEDUPE, "--how", "hardlink", "--apply")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(more), *command],
        cwd=world,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        check=False,
    )
    assert b"internal" not in done.stderr
    assert b"Traceback" not in done.stderr
    if done.returncode:
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.startswith(b"error: ")
    assert more > 1 << 17 or done.stderr == b"error: there is too little memory for this\n"
    assert all(entry.state in ("applied", "rolled-back") for entry in history())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "", "/a/x"), "there is no room left where something has to be written: /a/x"),
        (OSError(errno.EROFS, "", "a\nx"), "something has to be written where nothing can be: 'a\\nx'"),
        (OSError(errno.EMFILE, ""), "too many files are open at once (ulimit -n)"),
        (BlockingIOError(errno.EAGAIN, ""), "no more processes or threads can be started (ulimit -u)"),
        (RuntimeError("can't start new thread"), "no more processes or threads can be started (ulimit -u)"),
        (ImportError("a.so: failed to map segment from shared object"), "there is too little memory for this"),
        (ImportError("a.so: failed to map segment from shared object: Operation not permitted"), ""),
        (SystemError("compile returned NULL without setting an exception"), "there is too little memory for this"),
        (SystemError("bad call"), ""),
        (OSError(errno.EBADF, ""), ""),
        (OSError("no number"), ""),
        (RuntimeError("a mistake"), ""),
        (ValueError(), ""),
    ],
)
def test_what_the_system_refuses(error: Exception, told: str) -> None:
    assert refusal(error) == told


def test_too_few_files_may_be_open(world: Path) -> None:
    script = "import resource, sys; from runworthy.cli import main; import runworthy.cli.parser, runworthy.library\n"
    script += "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)); sys.exit(main(['check', 'app']))"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", script], cwd=world, env=environment, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: too many files are open at once (ulimit -n): ")
