"""The real loaders as judges: what a process has mapped, and the counter that each library keeps for itself."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path

import pytest

from runworthy.cli import main
from runworthy.engine import Engine, Wishes
from runworthy.engine.dedupe import Search, dedupe_of
from runworthy.engine.dedupe.clashing import clashes_of
from runworthy.engine.dedupe.loading import Loading
from runworthy.model.storage import Environment, Place
from runworthy.targets.names import TargetName
from tests.judges.roots import home, requires_tool
from tests.storage import ground, installers

pytestmark = pytest.mark.judge

_COMPILERS = {"glibc": ("gcc", "gcc"), "musl": ("musl-gcc", "musl-tools")}
# Opens what it is given, asks each for its counter, and says what it has mapped.
_DRIVER = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        void *held = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        if (!held) { printf("refused %s\n", dlerror()); continue; }
        int (*next)(void) = (int (*)(void))dlsym(held, "next");
        printf("counted %d\n", next ? next() : 0);
    }
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps)) if (strchr(line, '/')) printf("mapped %s", strchr(line, '/'));
    return 0;
}
"""
_COUNTER = "static int n; int next(void) { return ++n; }"
_VERSIONED = _COUNTER + " int other(void) { return 0; }"
_MODULE = "int next(void); int PyInit_%s(void) { return next(); }"


@dataclass(frozen=True)
class Process:
    """What a real process said."""

    counted: tuple[int, ...]
    mapped: frozenset[str]
    refused: tuple[str, ...]


class Site:
    """An environment whose interpreter is the driver, with compiled modules."""

    def __init__(self, top: Path, family: str) -> None:
        self.top = top
        self.compiler = str(requires_tool(_COMPILERS[family][0], package=_COMPILERS[family][1]))
        self.site = top / "lib/python3.12/site-packages"
        self.site.mkdir(parents=True)
        (top / "bin").mkdir()
        self._compile(_DRIVER, top / "bin/python", "-ldl")

    def library(self, name: str, soname: str = "", source: str = _COUNTER, *options: str) -> str:
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        named = [f"-Wl,-soname,{soname}"] if soname else []
        self._compile(source, path, "-shared", "-fPIC", *named, *options)
        return str(path)

    def module(self, name: str, library: str, *, rpath: str = "runpath", versions: str = "") -> str:
        """Compile a module that needs a library of the site by its file name, whatever its DT_SONAME is.

        ``versions`` is the version script of that library.
        """
        stem, base = name.rpartition("/")[2], os.path.basename(library)
        (self.top / "stubs").mkdir(exist_ok=True)
        script = [f"-Wl,--version-script={versions}", f"-Wl,-soname,{base}"] if versions else []
        self._compile(_VERSIONED, self.top / "stubs" / base, "-shared", "-fPIC", *script)
        there = os.path.relpath(os.path.dirname(library), os.path.dirname(f"{self.site}/{name}"))
        tags = "--enable-new-dtags" if rpath == "runpath" else "--disable-new-dtags"
        options = (f"-L{self.top}/stubs", f"-l:{base}", f"-Wl,{tags},-rpath,$ORIGIN/{there}")
        path = self.library(f"{name}.cpython-312-x86_64-linux-gnu.so", "", _MODULE % stem, *options)
        os.unlink(self.top / "stubs" / base)
        return path

    def program(self, name: str, library: str) -> str:
        """Compile the driver as a program that needs a library of the environment, by $ORIGIN."""
        path = self.top / "bin" / name
        directory, base = os.path.split(library)
        there = os.path.relpath(directory, path.parent)
        found = (f"-L{directory}", f"-l:{base}", f"-Wl,--enable-new-dtags,-rpath,$ORIGIN/{there}")
        self._compile(_DRIVER, path, "-ldl", *found)
        return str(path)

    def run(self, *paths: str) -> Process:
        return run(f"{self.top}/bin/python", *paths)

    def loading(self, *files: str) -> Loading:
        place = Place(path=str(self.top), filesystem="ext4:0:0", device=0, type="ext4")
        return Loading(Environment(path=str(self.top), kind="venv", place=place), files)

    def _compile(self, source: str, path: Path, *options: str) -> None:
        flags = ("-O1", "-w", "-xc", "-", "-xnone", "-Wl,--no-as-needed", "-o", str(path))
        subprocess.run([self.compiler, *flags, *options], input=source.encode(), check=True, capture_output=True)


def run(program: str, *paths: str) -> Process:
    said = subprocess.run([program, *paths], capture_output=True, text=True, check=True).stdout
    lines = [line.split(" ", 1) for line in said.splitlines()]
    return Process(
        counted=tuple(int(rest) for word, rest in lines if word == "counted"),
        mapped=frozenset(rest for word, rest in lines if word == "mapped"),
        refused=tuple(rest for word, rest in lines if word == "refused"),
    )


def copy(source: str, target: str, how: str) -> str:
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    if how == "hardlink":
        os.link(source, target)
    elif how == "symlink":
        os.symlink(source, target)
    else:
        Path(target).write_bytes(Path(source).read_bytes())
    return target


def agrees(site: Site, pair: tuple[str, str], openers: list[str]) -> bool:
    """Compare simulated and real processes that open some of ``openers``; return whether one had both of the pair."""
    loading = site.loading(*pair)
    answer = loading.together(*pair).answer
    apart_by = os.stat(pair[0]).st_ino != os.stat(pair[1]).st_ino
    apart = False
    for count in range(1, len(openers) + 1):
        for order in permutations(openers, count):
            real = site.run(*order)
            assert not real.refused
            ours = {os.path.realpath(path) for path in loading.loaded(order) if path.startswith(str(site.top))}
            assert ours == {path for path in real.mapped if path.startswith(str(site.top))}, order
            apart = apart or {*pair} <= ours
    assert not apart or apart_by
    assert not apart or answer != "no"
    return apart


@pytest.mark.parametrize("family", _COMPILERS)
@pytest.mark.parametrize("rpath", ["runpath", "rpath"])
@pytest.mark.parametrize("soname", ["libq.so.1", "", "libother.so.7"])
@pytest.mark.parametrize("second", ["libq.so.1", "libq.so.1.0"])
def test_two_copies_are_as_told(family: str, rpath: str, soname: str, second: str, tmp_path: Path) -> None:
    """However two files are reached, in every order: mappings, counters and the answer agree."""
    site = Site(tmp_path.resolve(), family)
    one = site.library("one.libs/libq.so.1", soname)
    two = f"{site.site}/two.libs/{second}"
    copy(one, two, "copy")
    needers = [site.module("one/_a", one, rpath=rpath), site.module("two/_b", two, rpath=rpath)]
    assert agrees(site, (one, two), needers) == (second != "libq.so.1")
    (site.site / "load.py").write_text("ctypes.CDLL('libq.so.1'), ctypes.CDLL('libq.so.1.0')")
    for openers in ([one, two], [one, needers[1]], [needers[0], two], [*needers, one]):
        agrees(site, (one, two), openers)
    os.unlink(two)
    copy(one, two, "hardlink")
    for openers in (needers, [one, two], [one, needers[1]], [needers[0], two], [*needers, two]):
        agrees(site, (one, two), openers)
    counted = site.run(one, *needers, two).counted
    assert counted == (1, 2, 3, 4)


@pytest.mark.parametrize("family", _COMPILERS)
def test_modules_are_two_until_they_are_one_inode(family: str, tmp_path: Path) -> None:
    site = Site(tmp_path.resolve(), family)
    source = _COUNTER + " int PyInit__s(void) { return 0; }"
    one = site.library("one/_s.cpython-312-x86_64-linux-gnu.so", "", source)
    two = f"{site.site}/two/_s.cpython-312-x86_64-linux-gnu.so"
    for how, counted in (("copy", (1, 2, 1)), ("hardlink", (1, 2, 3)), ("symlink", (1, 2, 3))):
        copy(one, two, how)
        assert site.run(one, one, two).counted == counted
        loading = site.loading(one, two)
        if how != "symlink":
            assert loading.together(one, two).answer == {"copy": "yes", "hardlink": "no"}[how]
            assert [clash.outcome for clash in clashes_of(loading)] == {"copy": [], "hardlink": ["one"]}[how]
        os.unlink(two)


@pytest.mark.parametrize("family", _COMPILERS)
def test_clashes_are_what_happens(family: str, tmp_path: Path) -> None:
    """Two builds: under one name the first is taken, under two names both are loaded."""
    site = Site(tmp_path.resolve(), family)
    builds = []
    for package, more in (("one", ""), ("two", "int two;")):
        builds.append(site.library(f"{package}.libs/libstdc++.so.6", "libstdc++.so.6", _COUNTER + more))
    modules = [site.module(f"{name}/_m", build) for name, build in zip(("one", "two"), builds, strict=True)]
    (clash,) = clashes_of(site.loading())
    assert (clash.outcome, sorted(build.path for build in clash.builds)) == ("first", builds)
    assert {path in site.run(*modules).mapped for path in builds} == {True, False}
    os.unlink(builds[1])
    os.unlink(modules[1])
    builds[1] = site.library("two.libs/libstdc++-0123abcd.so.6", "libstdc++-0123abcd.so.6", _COUNTER + "int two;")
    modules[1] = site.module("two/_m", builds[1])
    (clash,) = clashes_of(site.loading())
    assert (clash.outcome, sorted(build.path for build in clash.builds)) == ("both", sorted(builds))
    assert {*builds} <= site.run(*modules).mapped


def test_what_the_first_build_lacks_is_what_the_loader_misses(tmp_path: Path) -> None:
    """Versions: in the order that is told to break, the real loader refuses; in the other it does not."""
    site = Site(tmp_path.resolve(), "glibc")
    libraries, modules = [], []
    for name, versions in (("one", "V_1 { next; };"), ("two", "V_1 { other; }; V_2 { next; } V_1;")):
        script = tmp_path / f"{name}.map"
        script.write_text(versions)
        options = ("-Wl,--version-script", f"-Wl,{script}")
        libraries.append(site.library(f"{name}.libs/libq.so.1", "libq.so.1", _VERSIONED, *options))
        modules.append(site.module(f"{name}/_m", libraries[-1], versions=str(script)))
    (clash,) = clashes_of(site.loading())
    assert clash.outcome == "first"
    assert clash.builds[0].path == libraries[0]
    assert clash.breaks == ((modules[1], "V_2"),)
    (refused,) = site.run(*modules).refused
    assert "version `V_2' not found" in refused
    assert not site.run(modules[1]).refused


class Seed:
    """An environment of magic out of two packages that ship one library, at two paths that are needed by one name."""

    def __init__(self, disk: Path, made: Path, family: str) -> None:
        site = Site(made, family)
        padded = _COUNTER + " const char pad[300000] = {1};"
        outer = os.path.normpath(site.library("../../libmonnx.so", "libmonnx.so", padded))
        inner = copy(outer, f"{site.site}/max/lib/libmonnx.so", "copy")
        core = site.module("max/_core", inner)
        native = site.module("other/_native", outer)
        mojo = site.program("mojo", outer)
        packages = (
            self._package("max-core", made, outer, native, mojo, f"{made}/bin/python"),
            self._package("max-python", made, inner, core),
        )
        self.cache = disk / "rattler"
        channel = installers.channel(made, packages)
        self.top = installers.conda(disk / "project", channel, cache=self.cache, layout="magic").resolve()
        there = [f"{self.top}{path[len(str(made)) :]}" for path in (outer, inner, core, native, mojo)]
        self.outer, self.inner, self.core, self.native, self.mojo = there

    @property
    def pair(self) -> tuple[str, str]:
        return self.outer, self.inner

    def loading(self) -> Loading:
        place = Place(path=str(self.top), filesystem="ext4:0:0", device=0, type="ext4")
        return Loading(Environment(path=str(self.top), kind="magic", place=place), self.pair)

    def processes(self) -> dict[tuple[str, ...], Process]:
        """Run every program with both modules, in each order."""
        python = f"{self.top}/bin/python"
        orders = [
            (program, *order) for program in (python, self.mojo) for order in permutations((self.core, self.native))
        ]
        return {order: run(*order) for order in orders}

    @staticmethod
    def _package(name: str, made: Path, *paths: str) -> installers.CondaPackage:
        files = {os.path.relpath(path, made): Path(path).read_bytes() for path in paths}
        return installers.CondaPackage(name=name, files=files)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a journal and an index of its own, and know no other caches."""
    monkeypatch.setenv("RUNWORTHY_JUDGES", str(home()))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("RUNWORTHY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("family", _COMPILERS)
@pytest.mark.usefixtures("alone")
def test_a_library_of_two_packages_is_one_in_every_process(
    family: str, ext4: ground.Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs need the one by $ORIGIN/../lib, a module the other: found by one name, they can be hard links."""
    seed = Seed(ext4.path, tmp_path.resolve() / "made", family)
    monkeypatch.setenv("RATTLER_CACHE_DIR", str(seed.cache))
    before, loading = seed.processes(), seed.loading()
    for (program, *opened), process in before.items():
        assert process.counted == (1, 2), (program, opened)
        held = {path for path in process.mapped if path in seed.pair}
        if program == seed.mojo:
            assert held == {seed.outer} == {path for path in loading.loaded_by(program) if path in seed.pair}
        else:
            assert held == {path for path in loading.loaded(opened) if path in seed.pair}
            assert held == ({seed.inner} if opened[0] == seed.core else {seed.outer})
    for order in (seed.pair, seed.pair[::-1]):
        told = loading.together(*order)
        assert told.answer == "no"
        assert "are found by the name `libmonnx.so` alone" in told.why[0]
    assert main(["dedupe", str(seed.top), "--how", "hardlink", "--apply", "-q"]) == 0
    assert os.stat(seed.inner).st_ino == os.stat(seed.outer).st_ino
    inodes = {os.stat(path).st_ino for path in seed.cache.rglob("libmonnx.so")}
    assert inodes == {os.stat(seed.outer).st_ino}  # that of the cache as well, or nothing is freed
    assert [one.counted for one in seed.processes().values()] == [one.counted for one in before.values()]
    assert main(["undo"]) == 0
    assert os.stat(seed.inner).st_ino != os.stat(seed.outer).st_ino
    assert seed.processes() == before


@pytest.mark.parametrize("family", _COMPILERS)
@pytest.mark.usefixtures("alone")
def test_a_library_that_one_package_opens_by_its_path_is_left(
    family: str, ext4: ground.Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What opens it by its path makes it two libraries of a process, in one order or in each."""
    seed = Seed(ext4.path, tmp_path.resolve() / "made", family)
    monkeypatch.setenv("RATTLER_CACHE_DIR", str(seed.cache))
    text = "ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'lib', 'libmonnx.so'))\n"
    Path(os.path.dirname(seed.core), "__init__.py").write_text(text, encoding="utf-8")
    process = run(f"{seed.top}/bin/python", seed.native, seed.inner)
    assert process.counted == (1, 1)
    assert {*seed.pair} <= process.mapped
    told = seed.loading().together(*seed.pair)
    assert told.answer == "unknown"
    assert any("max/__init__.py` names it" in why for why in told.why)
    assert main(["dedupe", str(seed.top), "--how", "hardlink", "--apply", "-q"]) == 0
    assert os.stat(seed.inner).st_ino != os.stat(seed.outer).st_ino
    assert main(["dedupe", str(seed.top), "--how", "hardlink", "--within-env", "--apply", "-q"]) == 0
    assert os.stat(seed.inner).st_ino == os.stat(seed.outer).st_ino
    assert run(f"{seed.top}/bin/python", seed.native, seed.inner).counted == (1, 2)  # as --within-env states


_MAPS = """
import sys
names = sys.argv[1:]
for name in names: __import__(name)
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None) or ""
    if file.endswith(".so"): print("opened", file)
for line in open("/proc/self/maps"):
    path = line.split(None, 5)[5:]
    if path and ".so" in path[0]: print("mapped", path[0].strip())
"""


def test_real_packages_are_loaded_as_told(tmp_path: Path) -> None:
    """numpy, scipy and pyarrow in a real Python: what is mapped, which builds, and the same after hard links."""
    top = installers.science(tmp_path.resolve() / "env", cache=tmp_path / "uv", mode="copy")
    place = Place(path=str(top), filesystem="ext4:0:0", device=0, type="ext4")
    environment = Environment(path=str(top), kind="venv", place=place)
    loading = Loading(environment)

    def mapped(*names: str) -> frozenset[str]:
        words = [f"{top}/bin/python", "-B", "-c", _MAPS, *names]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        lines = [line.split(" ", 1) for line in said.splitlines()]
        real = frozenset(path for word, path in lines if word == "mapped")
        opened = [path for word, path in lines if word == "opened"]
        assert {path for path in Loading(environment).loaded(opened) if ".so" in path} == real
        return real

    mapped("numpy")
    everything = mapped("numpy", "scipy.linalg", "scipy.stats", "pyarrow.parquet", "pyarrow.compute")
    clashes = {clash.library: clash for clash in clashes_of(loading)}
    assert clashes["OpenBLAS"].certain
    assert clashes["OpenBLAS"].outcome == "both"
    (checked,) = [
        one for one in Engine(Wishes()).check([str(top)], [TargetName("host")]).results if one.path == str(top)
    ]
    (searched,) = dedupe_of(Search(paths=(str(top),), libraries=True, caches=False, index=False)).results
    by_dedupe = [one for one in searched.findings if one.code in {"RW820", "RW821"}]
    assert [(one.code, one.cause, one.items) for one in checked.findings] == [
        (one.code, one.cause, one.items) for one in by_dedupe
    ]
    copies: dict[bytes, list[str]] = {}
    for path in loading.objects:
        copies.setdefault(Path(path).read_bytes(), []).append(path)
    for clash in clashes.values():  # of copies under one name the first is taken, whichever a build is told by
        for build in clash.builds if clash.certain else ():
            assert not everything.isdisjoint(copies.get(Path(build.path).read_bytes(), [build.path]))
    pairs = [pair for same in copies.values() for pair in combinations(same, 2)]
    told = {pair: Loading(environment, pair).together(*pair).answer for pair in pairs}
    assert "no" in told.values()
    for (one, two), answer in told.items():
        assert not (answer == "no" and {one, two} <= everything)
        if answer == "no":
            os.unlink(two)
            os.link(one, two)
    again = mapped("numpy", "scipy.linalg", "scipy.stats", "pyarrow.parquet", "pyarrow.compute")
    assert again == everything
    installers.imports(top)


def test_an_addon_of_two_packages_is_two_until_it_is_one_inode(tmp_path: Path) -> None:
    node = str(requires_tool("node", package="nodejs"))
    top = tmp_path.resolve() / "node_modules"
    source = "void *napi_register_module_v1(void *env, void *exports) { return exports; }"
    site = Site(tmp_path.resolve() / "made", "glibc")
    one = copy(site.library("addon.node", "", source), f"{top}/a/addon.node", "copy")
    two = copy(one, f"{top}/b/addon.node", "copy")
    place = Place(path=str(top), filesystem="ext4:0:0", device=0, type="ext4")
    environment = Environment(path=str(top), kind="node_modules", place=place)
    script = (
        "for (const f of process.argv.slice(1)) try { process.dlopen({exports: {}}, f) } catch (e) {};"
        "console.log(require('fs').readFileSync('/proc/self/maps', 'utf8'))"
    )
    for how in ("copy", "hardlink"):
        os.unlink(two)
        copy(one, two, how)
        said = subprocess.run([node, "-e", script, one, two], capture_output=True, text=True, check=True).stdout
        loading = Loading(environment, (one, two))
        assert [path in said for path in (one, two)] == [path in loading.loaded((one, two)) for path in (one, two)]
        assert loading.together(one, two).answer == {"copy": "yes", "hardlink": "no"}[how]
        assert (two in said) == (how == "copy")
