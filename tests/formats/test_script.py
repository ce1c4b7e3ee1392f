"""The ``#!`` line: rows of what the kernel was seen to do, and the kernel itself asked about lines made at random."""

from __future__ import annotations

import errno
import os
import random
import subprocess
from pathlib import Path

import pytest

from runworthy.formats.script import read_script_line

# Head, interpreter, argument; None where the kernel does not take the line (ENOEXEC).
ROWS: tuple[tuple[bytes, str | None, str | None], ...] = (
    (b"#!/bin/sh\n", "/bin/sh", None),
    (b"#!/bin/sh", "/bin/sh", None),
    (b"#! \t/bin/sh -e -u  \nls\n", "/bin/sh", "-e -u"),
    (b"#!/usr/bin/env python3 -u\n", "/usr/bin/env", "python3 -u"),
    (b"#!/bin/sh\r\n", "/bin/sh\r", None),
    (b"#!/bin/sh -e\r\n", "/bin/sh", "-e\r"),
    (b"#!", "", None),
    (b"#!\n", None, None),
    (b"#!  \t\n", None, None),
    (b"#!" + b" " * 300, None, None),
    (b"#!bin/tool\n", "bin/tool", None),
    (b"#!" + b"/" * 253 + b"\n", "/" * 253, None),
    (b"#!" + b"/" * 254 + b"\n", None, None),
    (b"#!/bin/sh\0-e\n", "/bin/sh", None),
    (b"#!/bin/sh  ", "/bin/sh", ""),
    (b"#!/bin/sh " + b"x" * 300 + b"\n", "/bin/sh", "x" * 245),
    (b"#!/bin/\xff\n", "/bin/\udcff", None),
)


@pytest.mark.parametrize(("head", "interpreter", "argument"), ROWS)
def test_what_the_kernel_cuts_out(head: bytes, interpreter: str | None, argument: str | None) -> None:
    line = read_script_line(head)
    assert line is not None
    assert (line.interpreter, line.argument) == (interpreter or "", argument)
    assert line.refused == ("ENOEXEC" if interpreter is None else "")


@pytest.mark.parametrize("head", [b"", b"#", b"# !/bin/sh\n", b"\xef\xbb\xbf#!/bin/sh\n", b"\n#!/bin/sh\n"])
def test_what_is_no_script(head: bytes) -> None:
    assert read_script_line(head) is None


def test_what_is_cut_and_what_ends_with_a_carriage_return() -> None:
    cut = {size: read_script_line(b"#!/bin/sh ".ljust(size, b"x")) for size in (255, 256, 300)}
    assert [line.cut for line in cut.values() if line] == [False, True, True]
    ends = [read_script_line(head) for head in (b"#!/a\r\n", b"#!/a b\r\n", b"#!/a\r b\n", b"#!/a\n\r\n")]
    assert [line.carriage_return for line in ends if line] == [True, True, False, False]


_ECHO = r"""
#include <stdio.h>
int main(int argc, char **argv) {
  for (int i = 0; i < argc; ++i) fwrite(argv[i], 1, __builtin_strlen(argv[i]) + 1, stdout);
  return 0;
}
"""
_PIECES = (b" ", b"\t", b"i", b"./i", b"\r", b"\0", b"\n", b"-x", b"a b", b"  ", b"\xff")


def _made(chance: random.Random) -> bytes:
    """Return the begin of a script: mostly one that could run, often as long as the kernel's buffer."""
    start = chance.choice((b"", b"", b" ", b"\t ")) + chance.choice((b"i", b"./i", b".///i", b"", b"nowhere"))
    rest = b"".join(chance.choices(_PIECES, k=chance.randrange(8)))
    if chance.random() < 0.5:
        filled = chance.choice((b"y", b" ", b"./")) * chance.randrange(260)
        start, rest = chance.choice(((start, filled + rest), (b" " * chance.randrange(257) + start, rest)))
    head = b"#!" + start + chance.choice((b"", b" ")) + rest
    if chance.random() < 0.5:
        head = head[: chance.randrange(250, 260)]
    return head + chance.choice((b"", b"\n", b"\nls\n"))


@pytest.mark.judge
def test_the_kernel_says_the_same(tmp_path: Path) -> None:
    """Every argument that the interpreter gets, or the error, is the one that is told."""
    (tmp_path / "echo.c").write_text(_ECHO)
    subprocess.run(["gcc", "-O", "-o", tmp_path / "i", tmp_path / "echo.c"], check=True)
    chance = random.Random(256)  # noqa: S311 - the same lines each time
    script = tmp_path / "script"
    ran = 0
    for number in range(600):
        head = _made(chance)
        script.write_bytes(head)
        script.chmod(0o755)
        told = _told(head)
        try:
            done = subprocess.run(["./script", "one"], cwd=tmp_path, capture_output=True, check=True)
            seen: object = tuple(done.stdout.split(b"\0")[:-1])
            ran += 1
        except OSError as error:
            seen = errno.errorcode[error.errno or 0]
        assert seen == told, (number, head)
    assert ran > 100


def _told(head: bytes) -> object:
    """Return the argv that the interpreter gets, or the errno's name."""
    line = read_script_line(head)
    if line is None or line.refused:
        return "ENOEXEC"
    interpreter = os.fsencode(line.interpreter)
    if not interpreter:
        return "EACCES"
    names = [part for part in interpreter.split(b"/") if part not in (b"", b".")]
    if interpreter.startswith(b"/") or names != [b"i"]:
        return "EACCES" if not names else "ENOTDIR" if names[0] == b"i" else "ENOENT"
    if interpreter.endswith(b"/"):
        return "ENOTDIR"
    argument = () if line.argument is None else (os.fsencode(line.argument),)
    return (interpreter, *argument, b"./script", b"one")
