"""Whose each file is, by us and by those who put it there: Python's own metadata, rattler, npm, pnpm, dpkg."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from runworthy.model.storage import Environment, EnvironmentKind
from runworthy.targets.storage.caches import caches_for
from runworthy.targets.storage.environments import environments_of
from runworthy.targets.storage.owners import Owners
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.walk import Selection, walk
from tests.judges.roots import requires_environment, requires_tool
from tests.storage import installers
from tests.storage.ground import Ground
from tests.storage.installers import LAYOUTS, SEED, Layout

pytestmark = pytest.mark.judge

Whose = Mapping[str, tuple[str, str]]
"""Name and version of the package of each file, empty for a file of none."""

# Every file that a distribution names, by the Python of the environment, and where it really is.
_DISTRIBUTIONS = """
import json, os
from importlib.metadata import distributions
print(json.dumps([[d.metadata["Name"], d.version, [os.path.realpath(p.locate()) for p in d.files or ()]]
                  for d in distributions()]))
"""

_PREFIX = """
import json, sys, pathlib
from rattler import PrefixRecord
records = [PrefixRecord.from_path(path) for path in sorted(pathlib.Path(sys.argv[1], "conda-meta").glob("*.json"))]
print(json.dumps([[r.name.source, str(r.version), [str(p) for p in r.files]] for r in records]))
"""


def output(*words: str, at: Path | None = None, code: int = 0) -> str:
    """What a command prints."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=at)
    assert done.returncode == code, done.stderr
    return done.stdout


def regular(top: Path) -> Iterator[str]:
    """The real paths of all regular files below a directory."""
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path) and os.path.isfile(path):
                yield os.path.realpath(path)


def environments(*tops: Path) -> tuple[Environment, ...]:
    """What we find below some directories."""
    return environments_of(walk(map(str, tops), Selection(min_size=1)), Places())


def whose(found: Iterable[Environment], paths: Iterable[str]) -> Whose:
    """Whose we say that files are."""
    owner = Owners(found).owner
    told = ((path, owner(path)) for path in paths)
    return {path: (one.package, one.version) for path, one in told}


def one_of(found: Iterable[Environment], kind: EnvironmentKind) -> Environment:
    """The only environment of a kind."""
    (one,) = [one for one in found if one.kind == kind]
    return one


def expected(paths: Iterable[str], told: Iterable[tuple[str, str, list[str]]]) -> Whose:
    """Whose files are, by what others tell of packages and their files."""
    by_path = {path: (name, version) for name, version, files in told for path in files}
    return {path: by_path.get(path, ("", "")) for path in paths}


# -- Python ----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["uv", "pip", "virtualenv"])
def test_small_environments(tmp_path: Path, by: Literal["uv", "pip", "virtualenv"]) -> None:
    made = installers.venv(tmp_path / "venv", installers.wheels(tmp_path), cache=tmp_path / "cache", by=by)
    check_venv(made)
    one = one_of(environments(made), "venv")
    assert one.installer == ("uv" if by == "uv" else "pip")
    assert bool(one.version) is (by != "pip")  # `venv --without-pip` has no pip to tell it


@pytest.mark.slow
@pytest.mark.parametrize("by", ["uv", "pip"])
def test_an_environment_of_science(tmp_path: Path, by: Literal["uv", "pip"]) -> None:
    check_venv(installers.science(tmp_path / "venv", cache=tmp_path / "cache", by=by))


@pytest.mark.parametrize("name", ["ansible", "auditwheel", "installers"])
def test_environments_that_are_used(name: str) -> None:
    check_venv(requires_environment(name))


def check_venv(made: Path) -> None:
    """Every file is of the distribution that the environment's own Python says."""
    paths = list(regular(made))
    told = json.loads(output(str(made / "bin/python"), "-I", "-B", "-c", _DISTRIBUTIONS))
    assert sum(len(files) for _, _, files in told) > 5
    assert whose(environments(made), paths) == expected(paths, told)


def test_the_cache_of_uv(ext4: Ground, tmp_path: Path) -> None:
    """A file of the cache is of the package whose file in an environment it is linked to."""
    cache = ext4.path / "uv"
    made = installers.venv(ext4.path / "venv", installers.wheels(tmp_path), cache=cache, mode="hardlink")
    check_linked(made, cache, {"UV_CACHE_DIR": str(cache)}, "uv-cache")


def check_linked(made: Path, cache: Path, variables: Mapping[str, str], kind: EnvironmentKind) -> None:
    """A cache is found by what an installer was told, and owns what is linked to an environment alike."""
    found = environments(made)
    (told,) = caches_for(found, variables)
    assert (told.kind, Path(told.path).is_relative_to(cache)) == (kind, True)
    inodes = {os.stat(path).st_ino: path for path in regular(made)}
    pairs = {path: inodes[os.stat(path).st_ino] for path in regular(cache) if os.stat(path).st_ino in inodes}
    assert pairs
    ours = whose((*found, told), [*pairs, *pairs.values()])
    assert all(ours[inside] != ("", "") for inside in pairs)
    assert {inside: ours[inside] for inside in pairs} == {inside: ours[other] for inside, other in pairs.items()}


# -- conda, pixi, magic ----------------------------------------------------------------------


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_prefixes(ext4: Ground, tmp_path: Path, layout: Layout) -> None:
    cache = ext4.path / "rattler"
    made = installers.conda(ext4.path / "p", installers.channel(tmp_path, SEED), cache=cache, layout=layout)
    python = str(requires_environment("installers") / "bin/python")
    records = json.loads(output(python, "-I", "-c", _PREFIX, str(made)))
    told = [(name, version, [f"{os.path.realpath(made)}/{path}" for path in files]) for name, version, files in records]
    paths = list(regular(made))
    found = environments(ext4.path / "p")
    assert whose(found, paths) == expected(paths, told)
    one = one_of(found, layout)
    assert (one.path, one.installer) == (os.path.realpath(made), "rattler" if layout == "conda" else layout)
    check_linked(made, cache, {}, "rattler-cache")


def test_what_the_records_of_conda_say_of_a_file(tmp_path: Path) -> None:
    made = installers.conda(tmp_path / "p", installers.channel(tmp_path, SEED), cache=tmp_path / "cache")
    owner = Owners(environments(made)).owner
    for path in regular(made / "lib"):
        told = owner(path)
        assert told.recorded == f"sha256:{digest(path)}"
        assert told.patched is ("libpython3" in path)
        assert told.link == ("copy" if told.patched else "hard")


def digest(path: str) -> str:
    """The SHA-256 of a file, by another."""
    return output("sha256sum", path).split()[0].removeprefix("\\")


# -- Node.js ---------------------------------------------------------------------------------


def test_node_modules_of_npm(tmp_path: Path) -> None:
    made = installers.npm(tmp_path / "p", installers.npm_packages(tmp_path), cache=tmp_path / "npm")
    check_npm(made)


@pytest.mark.parametrize("name", ["addons", "pnpm-10", "pnpm-12"])
def test_node_modules_that_are_used(name: str) -> None:
    check_npm(requires_environment(name) / "node_modules")


def check_npm(made: Path) -> None:
    """Every file is of the innermost package that holds it, as npm lists them."""
    requires_tool("npm", package="npm")
    words = ["npm", "query", "*", f"--prefix={made.parent}"]
    listed = json.loads(output(*words, at=made.parent))
    packages = {os.path.realpath(one["path"]): (one["name"], one["version"]) for one in listed if one.get("name")}
    check_node(made, packages)


def check_node(made: Path, packages: Mapping[str, tuple[str, str]]) -> None:
    packages = {path: told for path, told in packages.items() if "/node_modules/" in f"{path}/"}
    paths = list(regular(made))
    known = {path: innermost(path, packages) for path in paths}
    ours = whose(environments(made.parent), paths)
    assert {path: ours[path] for path in paths if known[path] != ("", "")} == {
        path: told for path, told in known.items() if told != ("", "")
    }
    assert sum(told != ("", "") for told in known.values()) > 5


def innermost(path: str, packages: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    while path != "/":
        path = os.path.dirname(path)
        if path in packages:
            return packages[path]
    return "", ""


@pytest.mark.parametrize("version", [10, 12])
@pytest.mark.parametrize("hoisted", [False, True])
def test_node_modules_of_pnpm(ext4: Ground, tmp_path: Path, version: Literal[10, 12], *, hoisted: bool) -> None:
    store = ext4.path / "store"
    packages = installers.npm_packages(tmp_path)
    made = installers.pnpm(ext4.path / "p", packages, store=store, method="hardlink", version=version, hoisted=hoisted)
    found = environments(ext4.path / "p")
    one = one_of(found, "node_modules")
    assert (one.installer, one.version.partition(".")[0]) == ("pnpm", str(version))
    owner = Owners(found).owner
    for path in regular(made):
        manifest = manifest_of(path)
        told = owner(path)
        if manifest:
            held = json.loads(Path(manifest).read_text(encoding="utf-8"))
            assert (told.package, told.version, told.manifest) == (held["name"], held["version"], manifest)
        else:
            assert told.package == ""
    check_store(made, store, found, version)


def manifest_of(path: str) -> str:
    """The package.json of the directory below the last node_modules on a path: none of these packages bundles any."""
    head, _, tail = path.rpartition("/node_modules/")
    parts = tail.split("/")
    own = parts[: 2 if parts[0].startswith("@") else 1]
    manifest = f"{head}/node_modules/{'/'.join(own)}/package.json"
    return manifest if os.path.isfile(manifest) else ""


def check_store(made: Path, store: Path, found: tuple[Environment, ...], version: int) -> None:
    """The store that the environment names is found without a variable; its files have the hashes of their names.

    One stored file is of both packages that have it. pnpm 12 has no names in its index for what came from no registry.
    """
    (told,) = caches_for(found, {})
    assert Path(told.path).is_relative_to(store)
    owner = Owners((*found, told)).owner
    linked: dict[int, set[str]] = {}
    for path in regular(made):
        linked.setdefault(os.stat(path).st_ino, set()).add(owner(path).package)
    pairs = [(path, linked[os.stat(path).st_ino]) for path in regular(store) if os.stat(path).st_ino in linked]
    assert pairs
    for path, names in pairs:
        assert owner(path).package in (names if version == 10 else {""})
        assert owner(path).recorded == f"sha512:{output('sha512sum', path).split()[0]}"


# -- systems ---------------------------------------------------------------------------------


def test_files_of_debian() -> None:
    """As `dpkg -S` says; a file that several packages have is of one of them."""
    requires_tool("dpkg", package="dpkg")
    top = Path("/usr/lib/x86_64-linux-gnu")
    paths = sorted(regular(top))[:4000]
    found = environments(top)
    assert one_of(found, "root").path == "/"
    ours = whose(found, paths)
    theirs = dpkg(paths)
    wrong = {path: (ours[path], theirs.get(path)) for path in paths if ours[path] not in theirs.get(path, [("", "")])}
    assert not wrong
    assert len(theirs) > len(paths) / 2


def dpkg(paths: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Whose files are by dpkg: also by the name that they had before directories of the root were merged."""
    asked = [*paths, *(path.removeprefix("/usr") for path in paths)]
    listed = subprocess.run(["dpkg", "-S", *asked], capture_output=True, text=True, check=False).stdout
    versions = dict(
        row.split("\t") for row in output("dpkg-query", "-W", "-f", "${binary:Package}\t${Version}\n").splitlines()
    )
    told: dict[str, list[tuple[str, str]]] = {}
    for line in listed.splitlines():
        names, _, path = line.partition(": ")
        if names.startswith(("diversion", "local diversion")):
            continue
        real = path if path.startswith("/usr") else f"/usr{path}"
        for name in names.split(", "):
            told.setdefault(real, []).append((name.partition(":")[0], versions[name]))
    return told


# -- how quick -------------------------------------------------------------------------------


def test_nothing_of_what_is_asked_takes_long(tmp_path: Path) -> None:
    """Time is a matter of the machine; what is read is not: each record once, however many files are asked about."""
    made = installers.venv(tmp_path / "venv", installers.wheels(tmp_path), cache=tmp_path / "cache")
    owner = Owners(environments(made)).owner
    paths = list(regular(made))
    before: Any = [owner(path) for path in paths]
    for record in made.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        record.write_text("", encoding="utf-8")
    assert [owner(path) for path in paths] == before
