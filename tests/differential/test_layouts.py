"""What is chosen of a package is what npm, node-gyp-build, .NET and the loaders of Java libraries choose.

npm's own Arborist says what of a real project it installs on every platform; node-gyp-build is asked with the platform
that it reads out of the environment; the real run time of .NET is watched while it looks for libraries; the classes of
the Java libraries themselves say where in their jars they look. What no judge here can see: musl, for the Java
libraries that look at the machine they run on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pytest

from runworthy.formats.layout import layout_of
from runworthy.formats.layout.jar import jar_groups
from runworthy.formats.layout.npm import npm_package
from runworthy.model.arch import architecture
from runworthy.model.layout import Group, Layout, Platform, System
from runworthy.model.trace import Answer, Step
from runworthy.simulate.layout import choose, choose_among
from runworthy.simulate.layout.jar import by_folder
from runworthy.simulate.layout.npm import accepts, node_names
from tests.judges import roots

pytestmark = pytest.mark.judge

_HERE = Path(__file__).parent / "layouts"
Libc = Literal["glibc", "musl", ""]
_LIBCS: tuple[Libc, ...] = ("glibc", "musl")
_SYSTEMS: tuple[System, ...] = ("macos", "windows")
_ARCHITECTURES = "x86_64 i386 aarch64 armv7 armv6 ppc64le s390x riscv64 loongarch64 mips64le".split()


def _platform(arch: str, system: System = "linux", libc: Libc = "") -> Platform:
    found = architecture(arch)
    assert found is not None
    return Platform(target=f"{system}/{arch}", arch=found, system=system, libc=libc)


_LINUX = [_platform(arch, libc=libc) for arch in _ARCHITECTURES for libc in _LIBCS]
_OTHERS = [_platform(arch, system) for system in _SYSTEMS for arch in ("x86_64", "aarch64", "i386")]


# -- npm ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked() -> dict[str, dict[str, object]]:
    """The packages of the project that npm has locked, by where they are installed."""
    project = roots.requires_environment("npm-lock")
    packages: dict[str, dict[str, object]] = json.loads((project / "package-lock.json").read_text())["packages"]
    return packages


@pytest.fixture(scope="module")
def installed() -> list[tuple[Platform, frozenset[str]]]:
    """What npm installs of the project on every platform."""
    project = roots.requires_environment("npm-lock")
    node = roots.requires_tool("node", package="nodejs")
    modules = Path(os.path.realpath(roots.requires_tool("npm", package="npm"))).parents[1] / "node_modules"
    platforms = [*_LINUX, *_OTHERS]
    names = [node_names(platform) for platform in platforms]
    asked = json.dumps([(name.os, name.cpu, name.libc) for name in names])
    command = [str(node), str(_HERE / "ideal_tree.js"), str(modules / "@npmcli" / "arborist"), str(project), asked]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return list(zip(platforms, map(frozenset, found), strict=True))


def test_npm_installs_what_is_accepted(
    locked: Mapping[str, Mapping[str, object]], installed: Sequence[tuple[Platform, frozenset[str]]]
) -> None:
    """Every optional package of the project that says for which platforms it is, on every platform."""
    packages = {
        path: npm_package({"package.json": json.dumps(row).encode()}.get, "")[2]
        for path, row in locked.items()
        if row.get("optional") and ("os" in row or "cpu" in row or "libc" in row)
    }
    assert len(packages) > 80
    for platform, took in installed:
        ours = {path for path, package in packages.items() if accepts(package, platform)}
        assert ours == packages.keys() & took, platform


# What each package's own code asks for on a platform, read off its source: esbuild lib/main.js, rollup dist/native.js,
# @swc/core binding.js, lightningcss node/index.js, @parcel/watcher index.js, sharp lib/sharp.js, turbo bin/turbo. The
# ends of the names, and of how many packages there is one at least.
_ASKED = {
    ("x86_64", "glibc"): (7, "linux-x64 linux-x64-gnu linux-x64-glibc linux-64"),
    ("x86_64", "musl"): (7, "linux-x64 linux-x64-musl linuxmusl-x64 linux-64"),
    ("aarch64", "glibc"): (7, "linux-arm64 linux-arm64-gnu linux-arm64-glibc"),
    ("aarch64", "musl"): (7, "linux-arm64 linux-arm64-musl linuxmusl-arm64"),
    ("s390x", "glibc"): (3, "linux-s390x linux-s390x-gnu"),
    ("s390x", "musl"): (1, "linux-s390x"),
}


def test_a_project_uses_what_npm_installs_and_its_code_asks_for(
    locked: Mapping[str, Mapping[str, object]], installed: Sequence[tuple[Platform, frozenset[str]]]
) -> None:
    packages = {path: _of_lock(path, row) for path, row in locked.items() if path}
    for platform, took in installed:
        choice = choose_among(packages, platform)
        assert choice.taken == choice.among & took, platform
        least, words = _ASKED.get((platform.arch.name, platform.libc), (0, ""))
        ends = tuple(f"{mark}{end}" for mark in "-/" for end in words.split())
        assert not words or all(path.endswith(ends) for path in choice.taken), choice.taken
        assert len(choice.taken) >= least


def _of_lock(path: str, row: Mapping[str, object]) -> Layout:
    """Return the layout of a package that the lock file describes."""
    told = dict(row) | {"name": path.rpartition("node_modules/")[2]}
    layout = layout_of("npm", ["package.json"], {"package.json": json.dumps(told).encode()}.get)
    assert layout is not None
    return layout


# -- node-gyp-build ----------------------------------------------------------------------------

_ADDONS = "bufferutil utf-8-validate classic-level bcrypt leveldown sodium-native".split()
_RESOLVE = """
const load = require('node-gyp-build')
for (const name of process.argv.slice(1)) {
  try { console.log(require('path').relative('.', load.path('node_modules/' + name))) } catch { console.log('none') }
}
"""


@pytest.mark.parametrize("platform", [*_LINUX, *_OTHERS], ids=lambda one: f"{one.target}{one.libc and '-'}{one.libc}")
def test_node_gyp_build_loads_what_is_taken(platform: Platform) -> None:
    modules = roots.requires_environment("addons")
    node = roots.requires_tool("node", package="nodejs")
    name = node_names(platform)
    env = {"npm_config_platform": name.os, "npm_config_arch": name.cpu, "LIBC": platform.libc or "glibc"}
    version = {"armv7": "7", "armv6": "6"}.get(platform.arch.name)
    env |= {"ARM_VERSION": version} if version else {}
    said = subprocess.run(
        [node, "-e", _RESOLVE, *_ADDONS], cwd=modules, env=env, capture_output=True, text=True, check=True
    ).stdout.split()
    ours = [_taken(modules, f"node_modules/{addon}", platform) for addon in _ADDONS]
    assert ours == said


def _taken(top: Path, package: str, platform: Platform) -> str:
    taken = sorted(choose(_layout_in(top / package), platform).taken)
    return " ".join(f"{package}/{path}" for path in taken) or "none"


def _layout_in(directory: Path, kind: str = "npm") -> Layout:
    paths = [path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()]
    layout = layout_of(kind, paths, lambda path: (directory / path).read_bytes())  # type: ignore[arg-type]
    assert layout is not None
    return layout


# -- .NET --------------------------------------------------------------------------------------

_CONFIG = {"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"}}}
_TARGET = ".NETCoreApp,Version=v3.1"


def _deps(*assets: str) -> dict[str, object]:
    """Return a .deps.json that names native files; the run time of 3.1 has its graph of RIDs with the framework."""
    files = {path: {"rid": path.split("/")[1], "assetType": "native"} for path in assets}
    row = {"type": "package", "serviceable": False, "sha512": ""}
    return {
        "runtimeTarget": {"name": _TARGET, "signature": ""},
        "targets": {_TARGET: {"ask/1.0.0": {"runtime": {"ask.dll": {}}}, "example/1.0.0": {"runtimeTargets": files}}},
        "libraries": {"ask/1.0.0": row | {"type": "project"}, "example/1.0.0": row},
    }


# Where copies of the library lie, and whether the .deps.json names them (None: there is none).
_APPLICATIONS: Mapping[str, tuple[Sequence[str], Sequence[str] | None]] = {
    "published": (["runtimes/linux-x64/native/libexample.so"], ["runtimes/linux-x64/native/libexample.so"]),
    "without-manifest": (["runtimes/linux-x64/native/libexample.so"], None),
    "not-in-manifest": (["runtimes/linux-x64/native/libexample.so"], []),
    "beside": (["libexample.so"], None),
    "plain-name-beside": (["example"], []),
    "prefix-alone": (["libexample"], []),
    "of-linux": (["runtimes/linux/native/example.so"], ["runtimes/linux/native/example.so"]),
    "of-unix": (["runtimes/unix/native/example.so"], ["runtimes/unix/native/example.so"]),
    "nearest": (
        ["runtimes/linux/native/libexample.so", "runtimes/linux-x64/native/libexample.so"],
        ["runtimes/linux/native/libexample.so", "runtimes/linux-x64/native/libexample.so"],
    ),
    "of-another": (["runtimes/linux-arm64/native/libexample.so"], ["runtimes/linux-arm64/native/libexample.so"]),
    "of-musl": (["runtimes/linux-musl-x64/native/libexample.so"], ["runtimes/linux-musl-x64/native/libexample.so"]),
    "other-case": (["libExample.so"], None),
}


@pytest.mark.parametrize("name", _APPLICATIONS)
def test_dotnet_looks_where_it_is_told(name: str, tmp_path: Path) -> None:
    """Each path that the run time opens for the library, in order; the names that are left to the system's loader."""
    files, named = _APPLICATIONS[name]
    app = _application(tmp_path / "app", files, named)
    opened, found = _watched(app, tmp_path / "strace")
    layout = _layout_in(app, "zip")
    platform = _platform("x86_64", libc="glibc")
    choice = choose(layout, platform)
    steps = {step.need.name: step for step in choice.steps if isinstance(step, Step)}
    step = steps.get("example")
    assert (step is not None and step.answer is Answer.MET) is found
    if step is not None:
        assert [probe.path for probe in step.searched if probe.outcome != "not judged"] == opened


def _application(app: Path, files: Sequence[str], named: Sequence[str] | None) -> Path:
    app.mkdir()
    shutil.copy(_HERE / "ask.dll", app)
    (app / "ask.runtimeconfig.json").write_text(json.dumps(_CONFIG))
    if named is not None:
        (app / "ask.deps.json").write_text(json.dumps(_deps(*named)))
    source = app.parent / "example.c"
    source.write_text("int answer(void) { return 42; }\n")
    for path in files:
        (app / path).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", app / path, source], check=True)
    return app


def _watched(app: Path, log: Path) -> tuple[list[str], bool]:
    """Return the files of the application that the run time opens for the library, and whether it finds it."""
    runtime = roots.requires_environment("dotnet") / "dotnetcore2" / "bin" / "dotnet"
    runtime.chmod(0o755)
    strace = roots.requires_tool("strace", package="strace")
    env = {**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", "COMPlus_EnableDiagnostics": "0"}
    command = [str(strace), "-f", "-e", "trace=openat,open", "-o", str(log), str(runtime), str(app / "ask.dll")]
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=env).stdout
    assert "answer" in said
    pattern = re.compile(rf'"{re.escape(str(app))}/((?:[^"]*/)?(?:lib)?example(?:\.so)?)", O_RDONLY')
    return pattern.findall(log.read_text()), "answer 42" in said


# -- Java --------------------------------------------------------------------------------------

_JARS = "jna snappy-java sqlite-jdbc zstd-jni lz4-java netty-common".split()
_JAVA_SYSTEMS: Mapping[System, str] = {"linux": "Linux", "macos": "Mac_OS_X", "windows": "Windows_10"}
_JAVA_ARCHITECTURES = {"x86_64": "amd64", "armv7": "arm"} | {
    arch: arch for arch in "aarch64 i386 ppc64le s390x riscv64 loongarch64".split()
}
# A member of each library's jar, and how its loader writes what it asks for: both with the place of the tag.
_MEMBERS = {
    "jna": ("com/sun/jna/{}/libjnidispatch.so", "{}"),
    "snappy": ("org/xerial/snappy/native/{}/libsnappyjava.so", "{}"),
    "sqlite": ("org/sqlite/native/{}/libsqlitejdbc.so", "{}"),
    "zstd": ("{}/libzstd-jni-1.5.so", "/{}/libzstd-jni"),
    "lz4": ("net/jpountz/util/{}/liblz4-java.so", "/net/jpountz/util/{}/liblz4-java"),
    "netty": ("META-INF/native/libnetty_transport_native_epoll_{}.so", "{}"),
}
# JNA tells armel from armhf by the program that it runs in, which would have to be Java for Arm; netty 4.1.48 is older
# than netty's builds for RISC-V and LoongArch, and says "unknown" of both.
_NOT_ASKED = {("jna", "armv7"), ("netty", "riscv64"), ("netty", "loongarch64")}


def test_java_libraries_look_where_it_is_told() -> None:
    java = roots.requires_tool("java", package="default-jre-headless")
    jars = [Path("/usr/share/java") / f"{name}.jar" for name in _JARS]
    for jar in jars:
        if not jar.exists():
            roots.lacking(f"no {jar}: tests/judges/setup.sh tools installs it")
    platforms = [
        *(_platform(arch, libc="glibc") for arch in _JAVA_ARCHITECTURES),
        *(_platform("x86_64", system) for system in _SYSTEMS),
        _platform("aarch64", "macos"),
    ]
    words = {_java_words(platform): platform for platform in platforms}
    command = [str(java), "-cp", str(_HERE), "Ask", ":".join(map(str, jars)), *words]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    compared = 0
    for line in said:
        asked, library, answer = line.split(" ", 2)
        platform = words[asked]
        if (library, platform.arch.name) in _NOT_ASKED:
            continue
        _, form = _MEMBERS[library]
        compared += 1
        ours = _asked_for(library, platform)
        assert any(answer.startswith(form.format(tag)) for tag in ours), f"{line}, ours {ours}"
    assert compared > 50


def _java_words(platform: Platform) -> str:
    arch = platform.arch.name
    return f"{_JAVA_SYSTEMS[platform.system]}/{arch if platform.system == 'macos' else _JAVA_ARCHITECTURES[arch]}"


def _asked_for(library: str, platform: Platform) -> list[str]:
    """Return the tags that our rule asks for, in order: those of a group without any build are all not found."""
    member, _ = _MEMBERS[library]
    some = {"netty": "x86_64", "jna": "linux-x86-64"}.get(library, "linux/amd64")
    groups: list[Group] = list(jar_groups([member.format(some)]))
    assert len(groups) == 1
    return [probe.path.rpartition(": ")[2] for probe in by_folder(groups[0], platform).probes]
