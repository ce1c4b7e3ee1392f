"""The command line as people meet it: a process with two streams and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.world import make

SOURCE = Path(__file__).parent.parent.parent / "src"


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture
def runworthy(world: Path) -> Run:
    """Run the command in a directory that holds the files of ``tests/world.py``."""

    def run(*arguments: str | bytes, stdin: bytes | None = None, cwd: Path = world, **environment: str) -> Ended:
        held = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1", **environment}
        done = subprocess.run(
            [sys.executable, "-m", "runworthy", *arguments],
            cwd=cwd,
            env=held,
            input=stdin,
            capture_output=True,
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
