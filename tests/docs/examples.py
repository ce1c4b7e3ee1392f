"""The examples of the documentation: fenced ``console`` blocks, commands after ``$`` and what they print.

A line of three dots stands for any lines. ``python -m tests.docs.examples`` writes the outputs anew.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.world import make

__all__ = ["CHECKOUT", "Example", "Shell", "examples", "matches", "pages"]

CHECKOUT = Path(__file__).parent.parent.parent
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY = "..."


class Example(NamedTuple):
    """A command and the lines that it prints."""

    command: str
    output: list[str]


class Shell:
    """Runs commands one after the other in a directory with the files of ``tests/world.py``; $? is the last code."""

    def __init__(self, directory: Path) -> None:
        self._work = make(directory)
        programs = directory / ".programs"
        programs.mkdir()
        shim = programs / "runworthy"
        shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m runworthy "$@"\n')
        shim.chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
        self._environment = {**os.environ, "PATH": path, "PYTHONPATH": str(CHECKOUT / "src"), "PYTHONUTF8": "1"}
        self._code = 0

    def run(self, command: str) -> list[str]:
        """Return the lines on both streams."""
        done = subprocess.run(
            ["sh", "-c", f"(exit {self._code})\n{command}"],
            cwd=self._work,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        self._code = done.returncode
        return done.stdout.decode().splitlines()


def pages() -> list[Path]:
    """Every page that people read."""
    return sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])


def examples(page: Path) -> list[list[Example]]:
    """The examples of each block of a page."""
    return [list(_examples(block)) for block in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def _examples(block: str) -> Iterator[Example]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *output = part.rstrip("\n").split("\n")
        while command.endswith("\\"):
            command = command[:-1] + output.pop(0).lstrip("> ")
        yield Example(command, _stripped(output))


def _stripped(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def matches(expected: list[str], output: list[str]) -> bool:
    """Whether the output is what is expected, any lines standing for three dots."""
    pattern = "".join(r"(?:.*\n)*?" if line == ANY else re.escape(f"{line}\n") for line in expected)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in output)) is not None


def refreshed(text: str, run: Callable[[str], list[str]]) -> str:
    """Return a page with the outputs that no longer match written anew."""

    def block(found: re.Match[str]) -> str:
        shown = []
        for example in _examples(found[1]):
            output = run(example.command)
            if any("internal error" in line for line in output):
                raise RuntimeError("\n".join([f"$ {example.command}", *output]))  # a defect is no example
            kept = example.output if matches(example.output, output) else output
            shown.append("\n".join([f"$ {example.command}", *kept]))
        return "```console\n" + "\n".join(shown) + "\n```"

    return _BLOCK.sub(block, text)


def main() -> None:
    for page in pages():
        with tempfile.TemporaryDirectory() as directory:
            text = page.read_text(encoding="utf-8")
            page.write_text(refreshed(text, Shell(Path(directory)).run), encoding="utf-8")


if __name__ == "__main__":
    main()
