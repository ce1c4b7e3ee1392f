"""Make a private environment with runworthy in it.

    python3 scripts/environment.py DIRECTORY            installs the package, as a user gets it
    python3 scripts/environment.py DIRECTORY GROUP...   installs the checkout itself and dependency groups

A directory that is an environment already is kept and only brought up to date.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
CHECKOUT = Path(__file__).resolve().parent.parent


class NoEnvironmentError(Exception):
    """No environment; the message says what is missing and what brings it."""


def python_in(directory: Path) -> Path:
    return directory / "Scripts" / "python.exe" if sys.platform == "win32" else directory / "bin" / "python"


def require_python() -> None:
    """Stop, saying so, where this Python is too old."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"error: this is Python {sys.version.split()[0]}, runworthy needs 3.11 or newer\n"
            "help: `make PYTHON=python3.12 ...` chooses another one"
        )


def create(directory: Path) -> None:
    """Make an environment that has pip."""
    python = python_in(directory)
    if python.exists() and _runs(python, "-m", "pip", "--version"):
        return
    if not any(_runs(Path(sys.executable), "-m", tool, "--clear", str(directory)) for tool in ("venv", "virtualenv")):
        this = f"python{sys.version_info.major}.{sys.version_info.minor}"
        raise NoEnvironmentError(
            f"{sys.executable} cannot make an environment with pip in it (no ensurepip)\n"
            f"help: on Debian and Ubuntu `apt-get install python3-venv` brings it (or {this}-venv), "
            "elsewhere `pip install virtualenv`"
        )


def install(directory: Path, groups: list[str]) -> None:
    """Install the package; with groups, the checkout itself and what the groups list."""
    what = [str(CHECKOUT)]
    if groups:
        what = ["--editable", *what, *(line for group in groups for line in requirements(_declared_groups(), group))]
    pip = [str(python_in(directory)), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    if subprocess.run([*pip, *what], check=False).returncode:
        raise NoEnvironmentError(f"pip could not install into {directory}; what it said stands above")


def requirements(groups: dict[str, list[str | dict[str, str]]], name: str) -> list[str]:
    """A dependency group (PEP 735), written out: the pip of an older Python does not know them."""
    found = []
    for item in groups[name]:
        found.extend([item] if isinstance(item, str) else requirements(groups, item["include-group"]))
    return found


def _declared_groups() -> dict[str, list[str | dict[str, str]]]:
    import tomllib

    groups: dict[str, list[str | dict[str, str]]]
    groups = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    return groups


def _runs(python: Path, *arguments: str) -> bool:
    return subprocess.run([str(python), *arguments], check=False, capture_output=True).returncode == 0


def main() -> int:
    require_python()
    directory, *groups = sys.argv[1:]
    try:
        create(Path(directory))
        install(Path(directory), groups)
    except NoEnvironmentError as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
