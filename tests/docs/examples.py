"""The examples of the documentation: fenced blocks with what is written and what is printed then.

``console`` blocks hold commands after ``$``, ``python`` blocks statements after ``>>>``, as an interpreter shows them.
A line of three dots stands for any lines. ``python -m tests.docs.examples`` writes the outputs anew.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from runworthy.cli.environment import VARIABLES
from tests.world import make

__all__ = [
    "CHECKOUT",
    "Block",
    "Example",
    "Interpreter",
    "Shell",
    "examples",
    "matches",
    "pages",
    "runners",
    "with_variables",
]

CHECKOUT = Path(__file__).parent.parent.parent
_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIABLES = re.compile(r"(<!-- variables:begin -->\n).*?(<!-- variables:end -->)", re.DOTALL)
ANY = "..."


class Example(NamedTuple):
    """A command or a statement, and the lines that it prints."""

    command: str
    output: list[str]


class Block(NamedTuple):
    """The examples of a fenced block. ``kind`` says what they are written in."""

    kind: str
    examples: list[Example]


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


class Interpreter:
    """Runs Python statements one after the other, in the directory that it is in; names stay known."""

    def __init__(self) -> None:
        self._names: dict[str, object] = {"__name__": "__main__"}

    def run(self, statement: str) -> list[str]:
        """Return the lines that are printed. What is raised comes out of it."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(f"{statement}\n", "<example>", "single"), self._names)  # noqa: S102 - our own documentation
        return printed.getvalue().splitlines()


def runners(directory: Path) -> Mapping[str, Callable[[str], list[str]]]:
    """Return what runs the examples of each kind of block."""
    return {"console": Shell(directory).run, "python": Interpreter().run}


def pages() -> list[Path]:
    """Every page that people read."""
    return sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])


def examples(page: Path) -> list[Block]:
    """The examples of each block of a page."""
    return [_block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def _block(kind: str, text: str) -> Block:
    return Block(kind, list(_commands(text) if kind == "console" else _statements(text)))


def _commands(block: str) -> Iterator[Example]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *output = part.rstrip("\n").split("\n")
        while command.endswith("\\"):
            command = command[:-1] + output.pop(0).lstrip("> ")
        yield Example(command, _stripped(output))


def _statements(block: str) -> Iterator[Example]:
    for found in doctest.DocTestParser().get_examples(block):
        yield Example(found.source.rstrip("\n"), _stripped(found.want.splitlines()))


def _stripped(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def matches(expected: list[str], output: list[str]) -> bool:
    """Whether the output is what is expected, any lines standing for three dots."""
    pattern = "".join(r"(?:.*\n)*?" if line == ANY else re.escape(f"{line}\n") for line in expected)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in output)) is not None


def refreshed(text: str, run: Mapping[str, Callable[[str], list[str]]]) -> str:
    """Return a page with the outputs that no longer match written anew."""

    def block(found: re.Match[str]) -> str:
        kind, examples = _block(*found.groups())
        shown = []
        for example in examples:
            output = run[kind](example.command)
            if any("internal error" in line for line in output):
                raise RuntimeError("\n".join([f"$ {example.command}", *output]))  # a defect is no example
            kept = example.output if matches(example.output, output) else output
            shown.append("\n".join([_prompted(kind, example.command), *kept]))
        return f"```{kind}\n" + "\n".join(shown) + "\n```" if examples else found[0]

    return _BLOCK.sub(block, text)


def _prompted(kind: str, command: str) -> str:
    if kind == "console":
        return f"$ {command}"
    return ">>> " + command.replace("\n", "\n... ").replace("\n... \n", "\n...\n")


def with_variables(text: str) -> str:
    """Return a page with the table of variables, where it has a place for it, as the command line knows them."""
    rows = [f"| `{row.name}` | {f'`{row.option}`' if row.option else ''} | {row.meaning} |" for row in VARIABLES]
    table = "\n".join(["| variable | option | meaning |", "|---|---|---|", *rows])
    return _VARIABLES.sub(lambda found: f"{found[1]}{table}\n{found[2]}", text)


def main() -> None:
    for page in pages():
        with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
            os.environ["XDG_STATE_HOME"] = os.path.join(directory, ".state")  # the journal of repairs
            text = with_variables(page.read_text(encoding="utf-8"))
            page.write_text(refreshed(text, runners(Path(directory))), encoding="utf-8")


if __name__ == "__main__":
    main()
