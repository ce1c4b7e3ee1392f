"""`runworthy run`: the command is as it would be without it, and what is said of one that does not start is so."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="run needs Linux")
RUN = [sys.executable, "-m", "runworthy", "run"]
PATIENCE = 60


@pytest.fixture(autouse=True)
def hang_ups() -> Iterator[None]:
    """Let hang-ups have their effect: who starts the tests may have them ignored, as nohup does."""
    held = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, held)


def ran(*words: str | Path, **given: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - of subprocess.run
    return direct(*RUN, "--", *words, **given)


def direct(*words: str | Path, **given: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - of subprocess.run
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=PATIENCE, **given)


def compiled(path: Path, source: str, *options: str) -> Path:
    """Compile a C source into ``path``."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    subprocess.run([compiler, "-x", "c", "-", "-o", path, *options], input=source, text=True, check=True)
    return path


# -- as if it were not there ---------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 42, 126, 127, 255])
def test_the_exit_code_is_the_commands_own(code: int) -> None:
    done = ran("sh", "-c", f"echo out; echo err >&2; exit {code}")
    assert (done.returncode, done.stdout, done.stderr) == (code, "out\n", "err\n")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV", "SIGABRT", "SIGPIPE", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_who_waits_sees_the_signal_that_ended_the_command(name: str) -> None:
    number = getattr(signal, name)
    done = ran("sh", "-c", f"kill -{name[3:]} $$")
    assert (done.returncode, done.stdout, done.stderr) == (-number, "", "")


def test_the_command_has_the_descriptors_signals_environment_and_group_of_the_caller() -> None:
    script = (
        # Of the signals that are the C library's own, 32 and 33, posix_spawn of glibc leaves that they are ignored.
        "import os, sys; lines = [line.split(':') for line in open('/proc/self/status')];"
        "print([(name, int(bits, 16) & ~(3 << 31)) for name, bits in lines if name in ('SigBlk', 'SigIgn', 'SigPnd')]);"
        "print(sorted(os.listdir('/proc/self/fd')), os.getcwd(), os.getpgrp() == int(sys.argv[1]));"
        "print(open('/proc/self/environ').read().split(chr(0)))"
    )
    words = [sys.executable, "-c", script, str(os.getpgrp())]
    read, write = os.pipe()
    try:
        for own in ({"A": "1"}, {"A": "\udcff", "LC_CTYPE": "C.UTF-8"}, {"LC_ALL": "C", "PATH": os.environ["PATH"]}):
            env = {**own, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
            same = {"env": env, "pass_fds": [read], "cwd": "/usr"}
            assert ran(*words, **same).stdout == direct(*words, **same).stdout != ""
    finally:
        os.close(read)
        os.close(write)


def test_what_is_ignored_is_ignored_by_the_command_too() -> None:
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    words = ("sh", "-c", "kill -HUP $$; echo there")
    assert ran(*words, **ignoring).stdout == direct(*words, **ignoring).stdout == "there\n"


def test_a_caller_that_does_not_want_to_know_of_children_is_told_how_it_ended() -> None:
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)}
    assert ran("sh", "-c", "exit 5", **ignoring).returncode == 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"])
def test_a_signal_for_us_reaches_the_command_once(name: str) -> None:
    wait = "echo ready; i=0; while [ $i -lt 20 ]; do sleep 0.05; i=$((i+1)); done"
    script = f"n=0; trap 'n=$((n+1))' {name[3:]}; {wait}; exit $n"
    with subprocess.Popen([*RUN, "--", "sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, name))
        assert process.wait(PATIENCE) == 1


@pytest.mark.slow
def test_a_timer_that_was_set_before_ends_the_command() -> None:
    # execve(2) keeps a timer, and fork(2) does not.
    alarm = {"preexec_fn": lambda: signal.alarm(2)}
    started = time.monotonic()
    assert ran("sleep", "30", **alarm).returncode == -signal.SIGALRM
    assert time.monotonic() - started < 20


def test_where_the_command_stops_we_stop_and_go_on_together() -> None:
    with subprocess.Popen(
        [*RUN, "--", "sh", "-c", "kill -STOP $$; echo again; exit 3"], stdout=subprocess.PIPE
    ) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.wait(PATIENCE) == 3


@pytest.fixture
def terminal() -> Iterator[int]:
    """A shell with job control, in a terminal of its own."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    pid, master = pty.fork()
    if not pid:
        os.execve(bash, [bash, "--norc", "--noprofile", "-i"], {**os.environ, "PS1": "@ ", "TERM": "dumb"})
    yield master
    os.close(master)  # which hangs it up
    os.waitpid(pid, 0)


def _until(master: int, text: str) -> str:
    held = b""
    while text.encode() not in held:
        ready, _, _ = select.select([master], [], [], PATIENCE)
        assert ready, f"{text!r} does not come after {held!r}"
        held += os.read(master, 4096)
    return held.decode()


def _type(master: int, text: str) -> None:
    os.write(master, text.encode())


def test_a_shell_controls_the_job(terminal: int, tmp_path: Path) -> None:
    # What is printed is not what is typed, which the terminal shows as well.
    said = 'trap \'echo in"t"errupted; exit 9\' INT; echo go"ing"; read x; echo g"o"t $x'
    # It starts nothing of its own: a shell that waits in vfork(2) for a child that is stopped does not stop itself.
    (tmp_path / "program").write_text(f"{said}\nread y\nread z\n")
    command = f"{' '.join(RUN)} -- sh {tmp_path}/program"
    _until(terminal, "@ ")
    _type(terminal, f"{command}\n")
    _until(terminal, "going")
    _type(terminal, "word\n")
    _until(terminal, "got word")
    _type(terminal, "\x1a")
    _until(terminal, "Stopped")
    _type(terminal, "fg\n")
    _until(terminal, "program")  # the shell repeats the command
    time.sleep(0.3)
    _type(terminal, "\x03")
    seen = _until(terminal, "@ ")
    assert seen.count("interrupted") == 1
    _type(terminal, "echo =$?=\n")
    assert "=9=" in _until(terminal, "=9=")


def test_the_terminal_is_the_commands_own(terminal: int) -> None:
    _until(terminal, "@ ")
    _type(
        terminal,
        f"{RUN[0]} -m runworthy run -- sh -c 'tty <&0 | grep -c dev/pts; test -t 0 -a -t 1 -a -t 2; echo =$?='\n",
    )
    assert "=0=" in _until(terminal, "=0=")


# -- how it is found -------------------------------------------------------------------------------


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """A directory with what a shell may meet."""
    made = {
        "script": ("#!/bin/sh\necho script $0 $1\n", 0o755),
        "bare": ("echo bare $0 $1; exit 6\n", 0o755),
        "empty": ("", 0o755),
        "closed": ("#!/bin/sh\n", 0o644),
        "nobody": ("#!/no/such/interpreter\n", 0o755),
        "carriage": ("#!/bin/sh\r\n", 0o755),
        "binary": ("\0\0\0\0\n", 0o755),
    }
    for name, (text, mode) in made.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    (tmp_path / "directory").mkdir()
    (tmp_path / "round").symlink_to("round")
    return tmp_path


CASES = ("script", "bare", "empty", "closed", "nobody", "carriage", "binary", "directory", "round", "absent")


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["./", ""])
@pytest.mark.parametrize("name", CASES)
def test_it_is_found_and_refused_as_by_a_shell(found: Path, name: str, prefix: str) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    given = {"cwd": found, "env": {**os.environ, "PATH": f"/nowhere:{found}:{os.environ['PATH']}"}}
    ours, shells = ran(f"{prefix}{name}", "word", **given), direct(bash, "-c", f"{prefix}{name} word", **given)
    assert (ours.returncode, ours.stdout) == (shells.returncode, shells.stdout)
    assert bool(ours.stderr) == bool(shells.stderr)


def test_a_name_that_is_nowhere_is_not_found() -> None:
    done = ran("no-such-command")
    assert (done.returncode, done.stderr) == (127, "runworthy: no-such-command: not found\n")


# -- what is said of it ------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Programs that do not start, or that fail by themselves."""
    older, newer = tmp_path / "older", tmp_path / "newer"
    older.mkdir()
    newer.mkdir()
    compiled(newer / "libf.so", "int f(void) { return 0; } int g(void) { return 0; }", "-shared", "-fPIC")
    compiled(older / "libf.so", "int f(void) { return 0; }", "-shared", "-fPIC")
    linked = (f"-L{newer}", "-lf")
    source = """
        #include <stdio.h>
        int f(void), g(void);
        int main(int count, char **words) { puts("in"); fflush(stdout); return count > 1 ? g() : f(); }
    """
    compiled(tmp_path / "lazy", source, "-Wl,-z,lazy", *linked)
    compiled(tmp_path / "now", source, "-Wl,-z,now", *linked)
    compiled(tmp_path / "crash", "int main(void) { *(volatile int *)0 = 1; return 0; }")
    compiled(tmp_path / "illegal", "int main(void) { __builtin_trap(); }")
    compiled(tmp_path / "own", "int main(void) { return 127; }")
    return tmp_path


def at(broken: Path, libraries: str) -> dict[str, Any]:
    return {"cwd": broken, "env": {**os.environ, "LD_LIBRARY_PATH": str(broken / libraries)}}


@pytest.mark.slow
def test_a_missing_library_is_told_after_the_loader_has_spoken(broken: Path) -> None:
    done = ran("./now", **at(broken, "nowhere"))
    assert done.returncode == 127
    assert done.stderr.index("cannot open shared object file") < done.stderr.index("error[RW")
    assert "runworthy fix ./now" in done.stderr


def test_a_missing_symbol_is_told(broken: Path) -> None:
    done = ran("./now", **at(broken, "older"))
    assert (done.returncode, done.stdout) == (127, "")
    assert "undefined symbol: g" in done.stderr
    assert "`g`" in done.stderr.partition("runworthy:")[2]


def test_a_symbol_that_is_missed_later_is_told_as_well(broken: Path) -> None:
    done = ran("./lazy", "later", **at(broken, "older"))
    assert (done.returncode, done.stdout) == (127, "in\n")
    assert "`g`" in done.stderr.partition("runworthy:")[2]
    assert ran("./lazy", **at(broken, "older")).stderr == ""


def test_the_libraries_of_the_environment_are_those_of_the_command(broken: Path) -> None:
    done = ran("./now", **at(broken, "newer"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "in\n", "")


@pytest.mark.parametrize(("name", "code"), [("crash", -signal.SIGSEGV), ("own", 127), ("illegal", -signal.SIGILL)])
def test_nothing_is_said_of_what_is_the_programs_own(broken: Path, name: str, code: int) -> None:
    done = ran(f"./{name}", cwd=broken)
    if name == "illegal":
        assert done.returncode in (-signal.SIGILL, -signal.SIGTRAP)
    else:
        assert done.returncode == code
    assert (done.stdout, done.stderr) == ("", "")


def test_the_report_can_go_to_a_file(broken: Path) -> None:
    there = broken / "report.json"
    words = [*RUN, "--format", "json", "-o", str(there), "--", "./now"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=broken)
    assert (done.returncode, done.stdout) == (127, "")
    (result,) = json.loads(there.read_text())["results"]
    assert (result["verdict"], result["stage"]) == ("fails", "load")
    assert "error[" not in done.stderr


def test_nothing_is_executed_for_a_slip(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    for words in (["touch", str(touched)], ["--formt", "json", "--", "touch", str(touched)], ["--"], []):
        done = subprocess.run([*RUN, *words], capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert done.returncode == 2
        assert "hint:" in done.stderr
    assert not touched.exists()


def test_it_starts_the_command_before_it_imports_what_it_could_think_with() -> None:
    script = (
        "import sys; from runworthy.cli import main; main(['run', '--', 'true']);"
        "heavy = ('argparse', 'runworthy.', 'subprocess');"
        "print(*sorted(name for name in sys.modules if name.startswith(heavy)))"
    )
    done = direct(sys.executable, "-c", script)
    expected = ["cli", "cli.commands", "cli.run", "model", "model.errors", "running", "running.starting"]
    assert done.stdout.split() == [f"runworthy.{name}" for name in expected]
