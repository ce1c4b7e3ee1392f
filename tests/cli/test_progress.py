"""Progress is for people who wait at a terminal, and for nobody else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import SOURCE, Run

PROGRAM = """
import sys
from runworthy.cli import progress
progress._FIRST_AFTER = progress._EVERY = 0.0
from runworthy.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of Unix")
@pytest.mark.parametrize(
    ("term", "more", "shown"), [("xterm", (), True), ("dumb", (), False), ("xterm", ("-q",), False)]
)
def test_on_a_terminal(world: Path, term: str, more: tuple[str, ...], *, shown: bool) -> None:
    ours, theirs = os.openpty()
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1", "TERM": term}
    command = [sys.executable, "-c", PROGRAM, "check", ".", "--on", "ubuntu:22.04", *more]
    with subprocess.Popen(command, cwd=world, env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
        assert process.stdout
        report = process.stdout.read().decode()
    os.close(theirs)
    told = b""
    try:
        while chunk := os.read(ours, 4096):
            told += chunk
    except OSError:  # what Linux answers when the other side is closed
        pass
    os.close(ours)
    assert "\x1b" not in report
    assert bool(told) == shown
    if shown:
        lines = told.decode().split("\r\x1b[K")
        assert lines[0] == lines[-1] == ""
        assert lines[1].startswith("looked at ")
        assert re.fullmatch(r"judged ([1-9]\d*) of \1", lines[-2])


def test_nowhere_else(runworthy: Run) -> None:
    assert runworthy("check", ".", "--on", "ubuntu:22.04", TERM="xterm").err == ""
