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
progress._FIRST_AFTER = progress._EVERY = 1e-9
from runworthy.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


def _on_terminal(where: Path, *words: str, term: str = "xterm") -> tuple[str, list[str]]:
    """Return the report, and what a terminal was shown beside it, erased each time."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1", "TERM": term}
    command = [sys.executable, "-c", PROGRAM, *words]
    with subprocess.Popen(command, cwd=where, env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
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
    return report, told.decode().split("\r\x1b[K") if told else []


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of Unix")
@pytest.mark.parametrize(
    ("term", "more", "shown"), [("xterm", (), True), ("dumb", (), False), ("xterm", ("-q",), False)]
)
def test_on_a_terminal(world: Path, term: str, more: tuple[str, ...], *, shown: bool) -> None:
    report, lines = _on_terminal(world, "check", ".", "--on", "ubuntu:22.04", *more, term=term)
    assert "\x1b" not in report
    assert bool(lines) == shown
    if shown:
        assert lines[0] == lines[-1] == ""
        assert lines[1].startswith("looked at ")
        assert re.fullmatch(r"judged ([1-9]\d*) of \1", lines[-2])


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of Unix")
def test_each_part_of_a_search_for_copies(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(bytes(1 << 17))
    _, lines = _on_terminal(tmp_path, "dedupe", ".", "--no-caches", "--no-index")
    parts = (
        r"looked at 2 files, 2 of a size to compare",
        r"compared 256.0 KiB of 256.0 KiB, \d.* a second",
        r"asked about 0 of 1 sets of equal files",
    )
    assert [part for part in parts if any(re.fullmatch(part, line) for line in lines)] == list(parts)


def test_nowhere_else(runworthy: Run) -> None:
    assert runworthy("check", ".", "--on", "ubuntu:22.04", TERM="xterm").err == ""
