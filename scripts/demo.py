"""`make demo`: install runworthy into a private environment and let it judge real files of this machine.

That a check reports failures is what there is to see; the demo itself fails only when a step cannot be shown.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import environment

ENVIRONMENT = environment.CHECKOUT / ".demo-venv"
ELSEWHERE = ("alpine:3.20", "debian:11", "ubuntu:20.04", "rhel:9")
MEANING = {0: "everything runs", 1: "something fails", 4: "cannot tell"}

LIBRARY = 'const char *greeting(void) { return "hello"; }\n'
PROGRAM = "#include <stdio.h>\nconst char *greeting(void);\nint main(void) { return puts(greeting()) < 0; }\n"


class StepFailedError(Exception):
    """A step of the demo could not be shown."""


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def installed() -> list[str]:
    """The command that starts runworthy: out of a private environment, else out of the checkout."""
    try:
        environment.create(ENVIRONMENT)
        environment.install(ENVIRONMENT, [])
    except environment.NoEnvironmentError as failure:
        print(f"note: {failure}\nnote: runworthy needs nothing but Python, so this goes on from the checkout")
        os.environ["PYTHONPATH"] = str(environment.CHECKOUT / "src")
        return [sys.executable, "-c", "import sys; from runworthy.cli import main; sys.exit(main())"]
    return [str(environment.python_in(ENVIRONMENT).with_name("runworthy"))]


def show(command: list[str], directory: Path) -> int:
    """Run a command, both streams in the order in which they come, and return its exit code."""
    return subprocess.run(command, cwd=directory, check=False, stderr=subprocess.STDOUT).returncode


def check(command: list[str], *arguments: str, directory: Path) -> None:
    """Show one check and what its exit code means."""
    print("$ runworthy " + shlex.join(["check", *arguments]), flush=True)
    code = show([*command, "check", *arguments], directory)
    if code not in MEANING:
        raise StepFailedError(f"runworthy ended with {code}")
    print(f"(exit code {code}: {MEANING[code]})", flush=True)


def real_programs(command: list[str]) -> None:
    """Judge programs that every machine has where they were never built for."""
    programs = [os.path.realpath(path) for path in (shutil.which("ls"), sys.executable) if path]
    say("Two programs of this machine, four systems that they were not built for")
    targets = [word for target in ELSEWHERE for word in ("--on", target)]
    check(command, *programs, *targets, directory=Path.cwd())


def missing_library(command: list[str], work: Path) -> None:
    """Build a program, take its library away, and ask the system and runworthy about it."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        say("No C compiler here, so the program with a missing library is left out (`apt-get install gcc libc6-dev`)")
        return
    say("A program that has lost a library: first what this system says, then why")
    build(compiler, work)
    print("$ ./hello", flush=True)
    show(["./hello"], work)
    check(command, "hello", directory=work)
    say("The same with the library given: is that all it lacks?")
    check(command, "hello", "--with", "elsewhere/libgreeting.so", directory=work)


def build(compiler: str, work: Path) -> None:
    (work / "greeting.c").write_text(LIBRARY, encoding="ascii")
    (work / "hello.c").write_text(PROGRAM, encoding="ascii")
    (work / "elsewhere").mkdir()
    for line in (
        [compiler, "-shared", "-fPIC", "-o", "elsewhere/libgreeting.so", "greeting.c"],
        [compiler, "-o", "hello", "hello.c", "-Lelsewhere", "-lgreeting"],
    ):
        subprocess.run(line, cwd=work, check=True)


def main() -> int:
    environment.require_python()
    started = time.monotonic()
    say(f"Installing runworthy into {ENVIRONMENT.name}")
    command = installed()
    try:
        subprocess.run([*command, "--version"], check=True)
        real_programs(command)
        with tempfile.TemporaryDirectory() as work:
            missing_library(command, Path(work))
    except (StepFailedError, subprocess.CalledProcessError) as failure:
        print(f"error: the demo stopped: {failure}", file=sys.stderr)
        return 1
    say(f"Done in {time.monotonic() - started:.0f} s. `{shlex.join(command)} check FILE --on TARGET` judges your files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
