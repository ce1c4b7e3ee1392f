"""Promises of the project as a whole: a fast start, no dependencies, a complete wheel, nothing of one machine."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import runworthy

CHECKOUT = Path(__file__).parent.parent
PACKAGE = CHECKOUT / "src" / "runworthy"
PYPROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))

# What no start may pay for; `inspect` is not here, for `dataclasses` brings it.
HEAVY = frozenset(
    {
        "asyncio",
        "email",
        "http",
        "importlib.metadata",
        "importlib.resources",
        "logging",
        "lzma",
        "subprocess",
        "tarfile",
        "typing_extensions",
        "urllib.request",
        "zipfile",
    }
)
# What Windows lacks.
UNIX_ONLY = frozenset({"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios"})

OURS = ("src", "tests", "scripts", "bench", "docs", "man", ".ci")
# Addresses that hold on one network only, and paths that exist on one machine only.
LOCAL = re.compile(r"https?://[^ ]*(?:mirror|proxy|registry|artifactory)|(?<![\w.])/[w]ork/|/[r]oot/\.", re.IGNORECASE)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def files() -> Iterator[Path]:
    """Every file of the checkout that people wrote; no git is needed to know them."""
    yield from (path for path in CHECKOUT.iterdir() if path.is_file())
    for top in OURS:
        yield from (path for path in (CHECKOUT / top).rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def modules() -> dict[str, ast.Module]:
    found = {str(path.relative_to(CHECKOUT)): ast.parse(path.read_bytes()) for path in PACKAGE.rglob("*.py")}
    assert "src/runworthy/__init__.py" in found
    return found


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    """The first parts of the names that are imported."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def modules_loaded_by(statements: str) -> set[str]:
    """What a fresh interpreter loads for the statements, beyond what it has loaded anyway."""
    script = f"import sys; before = set(sys.modules)\n{statements}\nprint(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_is_light() -> None:
    loaded = modules_loaded_by("import runworthy")
    assert "runworthy" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    "arguments", [["--version"], ["check", sys.executable, "--on", "alpine:3.20"]], ids=["version", "check"]
)
def test_start_is_light(arguments: list[str]) -> None:
    loaded = modules_loaded_by(
        f"from runworthy.cli import main\ntry: main({arguments!r})\nexcept SystemExit: pass\n"  # as --version ends
    )
    assert "runworthy.cli" in loaded
    assert not loaded & HEAVY


@pytest.mark.slow
def test_imports_the_standard_library_only() -> None:
    assert PYPROJECT["project"]["dependencies"] == []
    foreign = {
        name: found
        for name, tree in modules().items()
        if (found := imported(ast.walk(tree)) - sys.stdlib_module_names - {"runworthy"})
    }
    assert not foreign


@pytest.mark.slow
def test_no_module_needs_unix_to_be_imported() -> None:
    bound = {name: found for name, tree in modules().items() if (found := imported(iter(tree.body)) & UNIX_ONLY)}
    assert not bound


def test_every_rule_family_is_held_apart() -> None:
    (contract,) = (row for row in PYPROJECT["tool"]["importlinter"]["contracts"] if row["type"] == "independence")
    families = sorted(path.parent.name for path in PACKAGE.glob("rules/*/__init__.py"))
    assert contract["modules"] == [f"runworthy.rules.{family}" for family in families]


def test_nothing_of_one_machine() -> None:
    found = []
    for path in files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # not a text
        found += [f"{path.relative_to(CHECKOUT)}:{n}: {line}" for n, line in enumerate(lines, 1) if LOCAL.search(line)]
    assert not found


def test_links_between_pages_lead_somewhere() -> None:
    pages = [path for path in files() if path.suffix == ".md"]
    assert CHECKOUT / "CONTRIBUTING.md" in pages
    broken = [
        f"{page.relative_to(CHECKOUT)}: {link}"
        for page in pages
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert not broken


def test_changelog_has_this_version() -> None:
    changelog = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{runworthy.__version__}]" in changelog


def test_oldest_python_is_the_same_everywhere() -> None:
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    script = (CHECKOUT / "scripts" / "environment.py").read_text(encoding="utf-8")
    classifiers = re.findall(r"Python :: (3\.\d+)", "\n".join(PYPROJECT["project"]["classifiers"]))
    assert PYPROJECT["tool"]["mypy"]["python_version"] == oldest
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert f"OLDEST = ({oldest.replace('.', ', ')})" in script
    assert classifiers[0] == oldest


def test_make_help_names_every_target() -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: help (.+)$", makefile, re.MULTILINE)
    assert phony
    assert re.findall(r"@echo ['\"]make (\w+)", makefile) == phony[1].split()


def test_wheel_is_complete(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    written = {path.relative_to(PACKAGE.parent).as_posix() for path in files() if path.is_relative_to(PACKAGE)}
    information = f"runworthy-{runworthy.__version__}.dist-info"
    assert {name for name in names if name.startswith("runworthy/")} == written
    assert "runworthy/py.typed" in names
    assert {f"{information}/entry_points.txt", f"{information}/licenses/LICENSE"} <= names
    assert f"runworthy-{runworthy.__version__}.data/data/share/man/man1/runworthy.1" in names
