"""One run, of real programs: what they take is what they are known to take, and nothing of them stays."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runworthy.measuring import supervisor
from runworthy.measuring.runs import NotStartedError, Runner
from runworthy.model.errors import RunworthyError, UsageError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

SHELL = "/bin/sh"
# Burns CPU time until it has taken as much as it says (seconds): what it takes does not hang on the machine.
BURN = "import time\nwhile time.process_time() < {}: pass"


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(timeout=10) as held:
        yield held


def python(code: str) -> str:
    return shlex.join([sys.executable, "-I", "-S", "-c", code])


def living(mark: str) -> list[str]:
    """Processes whose command line holds the mark, and that have not ended."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if mark in line:
                found.append(line)
    return found


def test_time_is_that_of_the_whole_run(runner: Runner) -> None:
    run = runner.run(["/bin/sleep", "0.2"])
    assert 0.2 <= run.time < 5
    assert run.cpu < 0.1
    assert (run.status, run.left, run.first_output) == (0, 0, None)


@pytest.mark.parametrize(
    "script",
    [
        "exec {burn}",  # the process itself
        "{burn}; :",  # its child
        "({burn}; :) | cat",  # a child of its child
        # one that has lost its parent and made a session of its own, awaited through a pipe
        "mkfifo {fifo}; (setsid {burn} >{fifo} 2>&1 &); cat {fifo}",
    ],
)
def test_cpu_time_of_all_processes(script: str, runner: Runner, tmp_path: Path) -> None:
    burn = python(BURN.format(0.08))
    run = runner.run([SHELL, "-c", script.format(burn=burn, fifo=tmp_path / "fifo")])
    assert 0.07 < run.cpu < 0.6
    assert run.status == 0


def test_memory_of_the_largest_process(runner: Runner) -> None:
    size = 64 << 20
    held = python(f"x = b'a' * {size}")
    run = runner.run([SHELL, "-c", f"{held}; :"])
    assert size < run.memory < size + (24 << 20)
    assert not run.memory_is_bound


def test_a_small_memory_is_told_as_a_bound(runner: Runner) -> None:
    run = runner.run([SHELL, "-c", ":"])
    assert run.memory_is_bound
    assert run.memory < 24 << 20


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM)])
def test_status(script: str, status: int, runner: Runner) -> None:
    assert runner.run([SHELL, "-c", script]).status == status


def test_signals_are_as_a_program_expects_them(runner: Runner) -> None:
    """A program that writes where nobody reads ends: SIGPIPE is not ignored, as Python itself ignores it."""
    assert runner.run([SHELL, "-c", "kill -PIPE $$"]).status == -signal.SIGPIPE


def test_no_input_and_a_group_of_its_own(runner: Runner) -> None:
    assert runner.run([SHELL, "-c", "! read line && test -c /dev/stdin"]).status == 0
    own = python("import os; assert os.getpgrp() == os.getpid()")
    assert runner.run([SHELL, "-c", f"exec {own}"]).status == 0


def test_what_runs_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    mark = f"987.{os.getpid()}"
    script = f"trap '' TERM; sleep {mark} & setsid sleep {mark} & (setsid sleep {mark} &) ; sleep {mark}"
    other = subprocess.Popen(["sleep", f"{mark}1"], process_group=0)
    try:
        with Runner(timeout=0.2) as runner:
            run = runner.run([SHELL, "-c", script])
            assert (run.status, run.time) == (None, 0.2)
            assert [line for line in living(mark) if f"{mark}1" not in line] == []
        assert other.poll() is None  # what others started goes on
    finally:
        other.kill()
        other.wait()


def test_what_is_left_behind_is_ended(runner: Runner) -> None:
    mark = f"986.{os.getpid()}"
    run = runner.run([SHELL, "-c", f"setsid sleep {mark} & sleep {mark} & exit 0"])
    assert (run.status, run.left) == (0, 2)
    assert run.time < 5
    assert living(mark) == []


def test_first_output() -> None:
    with Runner(timeout=10, until_output=True) as runner:
        run = runner.run([SHELL, "-c", "sleep 0.1; echo one >&2; sleep 0.1; echo two"])
        assert run.first_output is not None
        assert 0.1 <= run.first_output <= run.time - 0.1
        assert runner.run([SHELL, "-c", ":"]).first_output is None
        much = runner.run([SHELL, "-c", "head -c 3000000 /dev/zero"])
        assert (much.status, much.left) == (0, 0)


def test_output_of_one_that_goes_on() -> None:
    with Runner(timeout=0.4, until_output=True) as runner:
        run = runner.run([SHELL, "-c", "echo ready; exec sleep 985"])
    assert run.status is None
    assert run.first_output is not None


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [(b"", 0o755, "ENOEXEC: "), (b"#!/bin/sh\n", 0o644, "EACCES: "), (b"#!/no/where\n", 0o755, "ENOENT: ")],
)
def test_what_does_not_start(content: bytes, mode: int, problem: str, runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(NotStartedError, match=problem):
        runner.run([str(path)])
    assert runner.run(["/bin/true"]).status == 0


def test_words_of_any_bytes(runner: Runner) -> None:
    words = ["a b", "", "\udcff\n", "é"]
    script = 'test "$#" = 4 && test "$1" = "a b" && test -z "$2" && test ${#4} -le 2'
    assert runner.run([SHELL, "-c", script, "sh", *words]).status == 0


def test_nothing_outlives_whoever_asks() -> None:
    """A process that measures is killed; the program ends, too."""
    mark = f"984.{os.getpid()}"
    code = f"from runworthy.measuring.runs import Runner\nwith Runner(timeout=60) as r: r.run(['/bin/sleep', '{mark}'])"
    asking = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 10
    while not [line for line in living(mark) if "import" not in line] and time.monotonic() < until:
        time.sleep(0.01)
    assert living(mark)
    asking.kill()
    asking.wait()
    while living(mark) and time.monotonic() < until:
        time.sleep(0.01)
    assert living(mark) == []


def test_a_command_that_came_in_part_is_not_run(tmp_path: Path) -> None:
    """Whoever asks may be killed while it writes: `rm -rf a/b` would then be another command."""
    made = tmp_path / "made"
    words = b"\0".join((b"/bin/touch", os.fsencode(made)))
    for size, there in ((len(words) + 2, False), (len(words), True)):
        with subprocess.Popen(supervisor.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asked:
            assert asked.stdin
            assert asked.stdout
            asked.stdin.write(b"10 0 0 %d\n" % size + words)
            asked.stdin.flush()
            if there:
                assert asked.stdout.readline()
            asked.stdin.close()
        assert made.exists() is there


def test_a_word_with_a_nul_is_refused(runner: Runner) -> None:
    with pytest.raises(UsageError, match="holds a NUL"):
        runner.run(["/bin/echo", "a\0b"])


def test_what_is_read_after_the_end_is_bounded() -> None:
    """A process that is left behind may write faster than anybody reads."""
    endless = os.open("/dev/zero", os.O_RDONLY)
    try:
        assert len(supervisor._rest(endless)) == 1 << 20  # noqa: SLF001 - no program keeps a pipe full for sure
    finally:
        os.close(endless)


def test_a_runner_is_entered_first() -> None:
    with pytest.raises(RunworthyError, match="was ended"):
        Runner(timeout=1).run(["/bin/true"])
