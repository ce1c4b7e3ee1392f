"""What callers make of what execve says: the model against the shells and programs of Debian, file by file."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from runworthy.simulate.execve.callers import CALLERS, CallerOutcome, members, outcome
from tests.differential.execution import World
from tests.differential.programs import program
from tests.judges.kernel import Executed, requires_kernel

pytestmark = pytest.mark.judge

_NODE = """
const run = require("child_process").spawnSync(process.argv[1], ["one"]);
process.stdout.write(run.stdout || ""); process.stderr.write(run.error ? String(run.error) : run.stderr);
process.exitCode = run.error ? 199 : run.status;
"""
_PERL = "$r = system {$ARGV[0]} @ARGV; if ($r == -1) {print STDERR $!; exit 199} exit($r >> 8)"
_PYTHON = """
import subprocess, sys
try: sys.exit(subprocess.run([sys.argv[1], "one"]).returncode)
except OSError as error: print(error, file=sys.stderr); sys.exit(199)
"""
# Caller -> how it is started; the path of the file comes behind, and FILE in the text stands for it.
COMMANDS = {
    "bash": ("bash", "-c", "FILE one; exit $?"),
    "dash": ("dash", "-c", "FILE one; exit $?"),
    "sh": ("dash", "-c", "FILE one; exit $?"),
    "zsh": ("zsh", "-fc", "FILE one; exit $?"),
    "fish": ("fish", "--no-config", "-c", "FILE one; exit $status"),
    "mksh": ("mksh", "-c", "FILE one; exit $?"),
    "tcsh": ("tcsh", "-fc", "FILE one; exit $status"),
    "busybox": ("busybox", "sh", "-c", "FILE one; exit $?"),
    "env": ("env", "FILE", "one"),
    "node": ("node", "-e", _NODE, "FILE"),
    "perl": ("perl", "-e", _PERL, "FILE", "one"),
    "python": (sys.executable, "-c", _PYTHON, "FILE"),
}
OPTIONAL = frozenset(("node",))  # where Debian's own is not what people have
_CANNOT_BE_ASKED = {"execvp", "direct", "go", "runc", "systemd"}

FILES: dict[str, tuple[bytes, int]] = {
    "text": (b"echo ran $1\n", 0o755),
    "no newline": (b"echo ran $1", 0o755),
    "comment": (b"# words\necho ran $1\n", 0o755),
    "empty": (b"", 0o755),
    "NUL": (b"\0", 0o755),
    "one byte": (b":", 0o755),
    "four bytes": (b"MZ\n\n", 0o755),
    "arm64": (program("x", machine=183), 0o755),
    "PE": (b"MZ\x90\0\3\0" + b"\0" * 100, 0o755),
    "APE": (b"MZqFpD='\n\n\0\0' <<'x'\nx\necho ran $1\nexit\n", 0o755),
    "NUL after a line": (b"echo ran $1\nexit\n\0\0\n", 0o755),
    "NUL at 100": (b"echo ran $1 " + b" " * 88 + b"\0\nexit\n", 0o755),
    "NUL at 130": (b"echo ran $1 " + b" " * 118 + b"\0\nexit\n", 0o755),
    "NUL at 300": (b"echo ran $1 " + b" " * 288 + b"\0\nexit\n", 0o755),
    "NUL after a line of capitals": (b"X=\nX=\n\0\necho ran $1\n", 0o755),
    "BOM": (b"\xef\xbb\xbf#!/bin/sh\necho ran $1\n", 0o755),
    "interpreter missing": (b"#!/nope\n", 0o755),
    "interpreter is text": (b"#!FILES/text\necho ran $1\n", 0o755),
    "interpreter is a directory": (b"#!/tmp\n", 0o755),
    "CRLF": (b"#!/bin/sh\r\n", 0o755),
    "empty #! line": (b"#!\necho ran $1\n", 0o755),
    "blank #! line": (b"#!  \necho ran $1\n", 0o755),
    "near ELF": (b"\x7fELFecho\n", 0o755),
    "ELF without loader": (program("x", interpreter=b"/lib/nope.so\0"), 0o755),
    "ELF with a loader that is none": (program("x", interpreter=b"/etc/passwd\0"), 0o755),
    "latin": (b"echo ran $1 \xe9\xff\n", 0o755),
    "control characters": (b"echo ran $1 \x01\x02\n", 0o755),
    "escape": (b"echo ran $1 \x1b\x0e\n", 0o755),
    "gzip": (b"\x1f\x8b\x08\0" + b"x" * 50, 0o755),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 0o755),
    "zip": (b"PK\3\4\n\0\0\0" + b"a" * 40, 0o755),
    "xz": (b"\xfd7zXZ\0" + b"\0" * 40, 0o755),
    "Mach-O": (b"\xcf\xfa\xed\xfe\x07\0\0\x01" + b"\0" * 60, 0o755),
    "not executable": (b"echo ran $1\n", 0o644),
}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with requires_kernel() as kernel:
        yield World(kernel)


def _ask(world: World, caller: str, path: Path) -> Executed:
    command = [word.replace("FILE", str(path)) for word in COMMANDS[caller]]
    program_path = shutil.which(command[0])
    if program_path is None:
        pytest.skip(f"{command[0]} is not installed (tests/judges/setup.sh tools)")
    env = {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8" if caller == "fish" else "C",
        "TERM": "dumb",
    }
    return world.kernel.execute(program_path, command, env=env)


def _predict(world: World, caller: str, path: Path) -> CallerOutcome:
    head = path.read_bytes()[:256] if path.is_file() else (b"" if path.exists() else None)
    size = path.stat().st_size if path.exists() else 0
    return outcome(caller, world.predict(path, [str(path), "one"]), str(path), head, size)


def _same(world: World, caller: str, path: Path) -> CallerOutcome:
    """Hold what is told against what the caller does; what a shell makes of a script is asked of that shell."""
    predicted, real = _predict(world, caller, path), _ask(world, caller, path)
    told = f"{caller}: {predicted}\n{real}"
    if predicted.how == "refuses":
        assert real.rc == (199 if predicted.status is None else predicted.status), told
        assert predicted.message in real.stderr, told
        assert not real.stdout, told
    elif predicted.how == "script":
        words: Sequence[str] = ["busybox", "sh"] if predicted.shell == "busybox" else [predicted.shell]
        read = world.kernel.execute(words[0], [*words, str(path), "one"], search=True)
        assert (real.rc, real.stdout) == (read.rc, read.stdout), (told, read)
        assert len(real.stderr.splitlines()) == len(read.stderr.splitlines()), (told, read)
    else:
        assert predicted.how == ("unknown" if "looks for" in predicted.message else "runs"), told
    return predicted


def _callers() -> list[str]:
    return [caller for caller, command in COMMANDS.items() if caller not in OPTIONAL or shutil.which(command[0])]


@pytest.mark.parametrize("caller", _callers())
def test_callers(world: World, caller: str) -> None:
    """Every file of the table: read as a script by the shell that is told, or refused in the words that are told."""
    world.put("text", b"nothing")
    hows = set()
    for name, (data, mode) in FILES.items():
        path = world.put("subject", data.replace(b"FILES", bytes(world.kernel.files)), mode)
        hows.add((name, _same(world, caller, path).how))
    _same(world, caller, world.kernel.files / "missing")
    _same(world, caller, world.kernel.files)
    assert ("ELF without loader", "refuses") in hows
    assert ("text", "refuses" if CALLERS[caller].text is None else "script") in hows


@pytest.mark.slow
@pytest.mark.parametrize("caller", [caller for caller in _callers() if caller not in ("fish", "node", "python")])
def test_callers_at_random(world: World, caller: str) -> None:
    """Random beginnings of files, most of them near what a caller looks for."""
    chance = random.Random(caller)  # noqa: S311 - the same examples every time
    pieces = [
        b"MZ",
        b"\x7fELF",
        b"#!",
        b"#",
        b"\0",
        b"\n",
        b"echo ran",
        b"$X",
        b"X=",
        b" ",
        b"\x01",
        b"\x1b",
        b"\x7f",
        b"\xef\xbb\xbf",
        b":",
        b"\t",
    ]
    for _ in range(120):
        data = b"".join(chance.choice(pieces) for _ in range(chance.choice([1, 2, 3, 6]))) + b"\n:" * chance.choice(
            [0, 1]
        )
        _same(world, caller, world.put("subject", data))


def test_callers_that_are_not_asked(world: World) -> None:
    """Those that cannot be started here say their own words of the kernel's errno, and read nothing as a script."""
    path = world.put("subject", b"echo\n")
    for caller in _CANNOT_BE_ASKED:
        predicted = _predict(world, caller, path)
        assert predicted.how == ("script" if caller == "execvp" else "refuses")
        assert caller == "execvp" or "xec format error" in predicted.message
    assert set(CALLERS) == set(COMMANDS) | _CANNOT_BE_ASKED
    done = world.predict(path)
    for caller in ("env", "node", "perl", "execvp"):
        assert outcome(caller, done, str(path), b"echo\n", 5, libc="musl").how == "refuses"


def test_execvp_of_musl(world: World, tmp_path: Path) -> None:
    """The execvp of glibc falls back to /bin/sh, that of musl does not."""
    source = tmp_path / "start.c"
    source.write_text(
        "#include <unistd.h>\n#include <stdio.h>\n"
        "int main(int n, char **a) {execvp(a[1], a + 1); perror(a[1]); return 199;}\n"
    )
    path = world.put("subject", b"echo ran $1\n")
    for compiler, libc in (("gcc", "glibc"), ("musl-gcc", "musl")):
        if shutil.which(compiler) is None:
            pytest.skip(f"{compiler} is not installed (tests/judges/setup.sh tools)")
        start = world.kernel.files / f"start-{libc}"
        built = world.kernel.execute(compiler, [compiler, "-o", str(start), str(source)], search=True)
        assert built.rc == 0, built
        real = world.kernel.execute(start, ["start", str(path), "one"])
        predicted = outcome("execvp", world.predict(path), str(path), path.read_bytes(), 11, libc=libc)
        assert (real.rc, real.stdout) == ((0, "ran one\n") if predicted.how == "script" else (199, ""))
        assert predicted.message in real.stderr


def test_shells_of_a_root(world: World) -> None:
    """Which shells a root has is told by where /bin/sh and /bin/bash lead."""
    (world.kernel.files / "bin").mkdir()
    target = world.target(world.handlers(), str(world.kernel.files))
    assert members("shell", target) == ()
    world.put("bin/busybox", b"")
    (world.kernel.files / "bin" / "sh").symlink_to("busybox")
    target = world.target(world.handlers(), str(world.kernel.files))
    assert members("shell", target) == ("busybox",)
    world.put("bin/bash", b"")
    (world.kernel.files / "bin" / "sh").unlink()
    (world.kernel.files / "bin" / "sh").symlink_to("bash")
    target = world.target(world.handlers(), str(world.kernel.files))
    assert members("shell", target) == ("bash",)
    assert members("systemd", target) == ("systemd",)
