"""A fresh environment with runworthy in it, and the tools that do a part of its work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Bench", "fresh", "prepare"]

CHECKOUT = Path(__file__).resolve().parent.parent
FROM_PYPI = ("auditwheel", "elfdeps")
WHEELS = ("numpy==2.2.6", "scipy==1.15.3", "pyarrow==20.0.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where things are: a directory to work in, a Python that has runworthy and the peers, wheels as files."""

    scratch: Path
    python: str
    environment: dict[str, str]
    wheels: tuple[Path, ...]

    @property
    def cache(self) -> Path:
        """The directory of runworthy's cache."""
        return self.scratch / "cache"

    def tool(self, name: str) -> str | None:
        """Return the path of a peer: out of the environment, else as the system has it."""
        own = Path(self.python).parent / name
        return str(own) if own.exists() else shutil.which(name)

    def runworthy(self, *arguments: str) -> list[str]:
        """Return the command line of runworthy."""
        return [self.python, "-m", "runworthy", *arguments]


def prepare(scratch: Path) -> Bench:
    """Make the environment. What cannot be had is missing from the rows that need it, and they say so."""
    python, environment = fresh(scratch)
    pip = [*_pip(python), "install", "--quiet"]
    for peer in FROM_PYPI:
        if subprocess.run([*pip, peer], check=False, env=environment).returncode:
            _say(f"{peer} cannot be installed; rows that need it stay empty")
    wheels = tuple(_wheel(scratch, python, environment, requirement) for requirement in WHEELS)
    return Bench(
        scratch=scratch, python=python, environment=environment, wheels=tuple(wheel for wheel in wheels if wheel)
    )


def fresh(scratch: Path) -> tuple[str, dict[str, str]]:
    """Make an environment with runworthy in it, and compiled bytecode; its Python, and what that is to run with."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "RUNWORTHY_"))}
    environment["RUNWORTHY_CACHE_DIR"] = str(scratch / "cache")
    _say("an environment of its own, with compiled bytecode")
    subprocess.run([sys.executable, "-m", "venv", scratch / "venv"], check=True, env=environment)
    python = str(scratch / "venv" / "bin" / "python")
    subprocess.run([*_pip(python), "install", "--quiet", str(CHECKOUT)], check=True, env=environment)
    return python, environment


def _pip(python: str) -> list[str]:
    return [python, "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _wheel(scratch: Path, python: str, environment: dict[str, str], requirement: str) -> Path | None:
    """Download the wheel of a requirement."""
    below = scratch / requirement.partition("=")[0]
    get = [
        python,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
    ]
    if subprocess.run([*get, "--dest", below, requirement], check=False, env=environment).returncode:
        _say(f"{requirement} cannot be downloaded")
        return None
    return next(below.glob("*.whl"))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
