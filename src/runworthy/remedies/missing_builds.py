"""Jobs of continuous integration that would build what no asset of a release is, as text to paste.

Runners and images are those of the providers' own documentation (GitHub-hosted and GitLab-hosted runners); compilers'
names for platforms are those of Go's ``GOARCH``, rustc's platform support and Zig. Nothing here is run: what comes of a
job is judged like any other asset.
"""

from __future__ import annotations

import posixpath
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from runworthy.engine.matrix.judging import archs_on
from runworthy.model.arch import ARCHITECTURES
from runworthy.model.matrix import Asset, Column, Job, Matrix, Member
from runworthy.model.records import replace
from runworthy.remedies.export.yaml import Value, emit
from runworthy.remedies.rebuilding import goarch, is_runtime, rust_triple, zig_target
from runworthy.rules.known import libc_of_library

__all__ = ["with_jobs"]

How = Literal["native", "cross", "emulated"]


class _Wanted(NamedTuple):
    """One build that is missing: for a system and an architecture, ``libcs`` are those of the targets that want it."""

    system: str
    arch: str
    libcs: tuple[str, ...]
    targets: tuple[str, ...]
    name: str
    like: Member | None
    why: str


class _Steps(NamedTuple):
    """What a job does. ``runner`` says on which machine, ``setup`` which toolchain is put there."""

    how: How
    lines: tuple[str, ...]
    env: Mapping[str, str] = {}
    setup: str = ""
    emulated: str = ""


def with_jobs(matrix: Matrix) -> Matrix:
    """Return the matrix with a job, for each provider, for each build that is missing."""
    return replace(matrix, jobs=tuple(job for wanted in _wanted(matrix) for job in _jobs(wanted)))


def _jobs(wanted: _Wanted) -> Iterator[Job]:
    kind = wanted.like.built_by if wanted.like else "c"
    steps = _RECIPES.get(kind, _c)(wanted)
    name = f"build-{wanted.system}-{wanted.arch.replace('_', '-')}"
    for provider, write in (("github", _github), ("gitlab", _gitlab)):
        if provider == "gitlab" and wanted.system == "macos" and steps.how == "emulated":
            continue
        yield Job(
            provider="github" if provider == "github" else "gitlab",
            name=name,
            how=steps.how,
            why=wanted.why,
            text=emit({name: write(wanted, steps)}),
            asset=wanted.name,
            targets=wanted.targets,
        )


# -- what is missing -----------------------------------------------------------------------------------


def _wanted(matrix: Matrix) -> Iterator[_Wanted]:
    """Yield the builds that are missing: targets of one system and architecture are served by one build."""
    columns = {column.name: column for column in matrix.columns}
    groups: dict[tuple[str, str], list[Column]] = {}
    reasons: dict[tuple[str, str], str] = {}
    for served in matrix.served:
        if not served.asset:
            column = columns[served.target]
            groups.setdefault((column.system, column.arch), []).append(column)
            reasons.setdefault((column.system, column.arch), served.why)
    like = _like(matrix.builds)
    for (system, arch), held in groups.items():
        yield _Wanted(
            system=system,
            arch=arch,
            libcs=_libcs(held),
            targets=tuple(column.name for column in held),
            name=_name(matrix.builds, system, arch, _libcs(held)),
            like=like,
            why=reasons[system, arch],
        )


def _libcs(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(sorted({column.libc.partition(" ")[0] for column in columns} - {""}))


def _like(builds: Sequence[Asset]) -> Member | None:
    """Return a member that stands for how the release is built: by the commonest toolchain, a program where it can."""
    wheels = [asset for asset in builds if asset.claims.packing == "whl"]
    if wheels and 2 * len(wheels) >= len(builds):
        return Member(name=wheels[0].claims.name, role="library", format="elf", built_by="wheel")
    members = [member for asset in builds for member in asset.members if member.built_by in _RECIPES]
    first = [member for member in members if member.role == "program"] or members
    if not first:
        return None
    common = Counter(member.built_by for member in first).most_common(1)[0][0]
    held = [member for member in first if member.built_by == common]
    return max(held, key=lambda member: (member.cgo, len(member.imports)))


def _name(builds: Sequence[Asset], system: str, arch: str, libcs: Sequence[str]) -> str:
    """Return a name for what is missing, spelled as the others are; beside another for the platform it says more."""
    names = [asset.name.lower() for asset in builds]
    base = next((asset.claims.name for asset in builds if asset.claims.name), "app")
    like_go = any("amd64" in name or "arm64" in name for name in names)
    spelled = _SPELLED.get(arch, arch) if like_go else arch
    word = "darwin" if system == "macos" and any("darwin" in name for name in names) else system
    mark = "_" if any(f"{base}_" in name for name in names) else "-"
    beside = system == "linux" and any(arch in archs_on(asset, system) for asset in builds)
    libc = [libcs[0] if len(libcs) == 1 else "static"] if beside else []
    return mark.join((base, word, spelled, *libc)) + (".exe" if system == "windows" else "")


_SPELLED = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386"}

# -- recipes -------------------------------------------------------------------------------------------


def _outside(member: Member | None) -> list[str]:
    """Return the libraries that neither a C library nor a compiler brings."""
    names = member.imports if member and member.format == "elf" else ()
    return [name for name in names if not libc_of_library(name) and not is_runtime(name)]


def _go(wanted: _Wanted) -> _Steps:
    """Go builds for every platform on any; with C code in it, it is built where it is to run."""
    like = wanted.like
    package = shlex.quote(like.package) if like and like.package not in ("", "command-line-arguments") else "."
    line = f"go build -o {shlex.quote(wanted.name)} {package}"
    if like is not None and like.cgo and (_outside(like) or like.role == "library"):
        return _where_it_runs(
            wanted, ("apk add go build-base", line), ("apt-get update", "apt-get install -y golang gcc", line)
        )
    goos = {"macos": "darwin"}.get(wanted.system, wanted.system)
    variables = dict(part.split("=") for part in f"GOARCH={goarch(wanted.arch)}".split())
    return _Steps("cross", (line,), {"CGO_ENABLED": "0", "GOOS": goos, **variables}, setup="go")


def _rust(wanted: _Wanted) -> _Steps:
    """Rust programs for musl are static, and run beside any C library."""
    triple = _triple(wanted)
    built = posixpath.join("target", triple, "release", _binary(wanted))
    copy = f"cp {shlex.quote(built)} {shlex.quote(wanted.name)}"
    add = f"rustup target add {triple}"
    if wanted.system != "linux" or wanted.arch in ("x86_64", "aarch64"):
        lines = (add, f"cargo build --release --target {triple}", copy)
        return _Steps(
            "native" if wanted.system != "macos" or wanted.arch == "aarch64" else "cross", lines, setup="rust"
        )
    zig = (add, "pip install cargo-zigbuild", f"cargo zigbuild --release --target {triple}", copy)
    return _Steps("cross", zig, setup="rust")


def _triple(wanted: _Wanted) -> str:
    arch = {"i386": "i686"}.get(wanted.arch, wanted.arch)
    if wanted.system == "windows":
        return f"{arch}-pc-windows-msvc"
    return f"{arch}-apple-darwin" if wanted.system == "macos" else rust_triple(wanted.arch, "musl")


def _binary(wanted: _Wanted) -> str:
    base = wanted.name.partition("-")[0].partition("_")[0]
    return base + (".exe" if wanted.system == "windows" else "")


def _c(wanted: _Wanted) -> _Steps:
    """C needs nothing but its library can be linked with all of it; else it is built where it is to run."""
    like = wanted.like
    plus = bool(like and like.built_by == "c++")
    if wanted.system == "macos":
        arch = {"aarch64": "arm64"}.get(wanted.arch, wanted.arch)
        return _Steps("native", (f'make CFLAGS="-O2 -arch {arch}"', _copied(wanted)))
    outside = _outside(like)
    if outside and wanted.system == "linux":
        told = f"# it needs {', '.join(outside)} as well"
        compiler = "g++" if plus else "gcc"
        return _where_it_runs(
            wanted,
            (told, "apk add build-base", "make", _copied(wanted)),
            (told, "apt-get update", f"apt-get install -y make {compiler}", "make", _copied(wanted)),
        )
    target = zig_target(wanted.arch, "musl") if wanted.system == "linux" else f"{wanted.arch}-windows-gnu"
    static = " -static" if wanted.system == "linux" else ""
    tools = f'CC="python3 -m ziglang cc -target {target}{static}" CXX="python3 -m ziglang c++ -target {target}{static}"'
    return _Steps("cross", ("pip install ziglang", f"make {tools}", _copied(wanted)), setup="python")


def _copied(wanted: _Wanted) -> str:
    return f"cp {shlex.quote(_binary(wanted))} {shlex.quote(wanted.name)}"


def _wheel(wanted: _Wanted) -> _Steps:
    """Wheels are built in the images that PEP 600 and 656 mean, by cibuildwheel."""
    row = next((row for row in ARCHITECTURES if row.name == wanted.arch), None)
    tag = row.pypi if row else wanted.arch
    if wanted.system == "linux":
        kinds = [f"*-{ {'glibc': 'manylinux', 'musl': 'musllinux'}[libc] }_{tag}" for libc in wanted.libcs]
        archs = tag
    else:
        archs = {("windows", "x86_64"): "AMD64", ("windows", "aarch64"): "ARM64", ("macos", "aarch64"): "arm64"}.get(
            (wanted.system, wanted.arch), wanted.arch
        )
        kinds = [f"*-win_{archs.lower()}" if wanted.system == "windows" else f"*-macosx_{archs}"]
    how: How = "native" if wanted.system != "linux" or wanted.arch in ("x86_64", "aarch64") else "emulated"
    return _Steps(
        how,
        ("pip install cibuildwheel", "cibuildwheel --output-dir dist"),
        {"CIBW_BUILD": " ".join(kinds), "CIBW_ARCHS": archs},
        setup="python",
        emulated=wanted.arch if how == "emulated" else "",
    )


def _where_it_runs(wanted: _Wanted, musl: Sequence[str], glibc: Sequence[str]) -> _Steps:
    """Return a build in a container of the target's own kind, on a machine of its own or on an emulated one."""
    is_musl = wanted.libcs == ("musl",)
    image, lines = ("alpine:3.20", musl) if is_musl else ("debian:11", glibc)
    row = next((row for row in ARCHITECTURES if row.name == wanted.arch), None)
    platform = row.docker if row else f"linux/{wanted.arch}"
    native = wanted.arch in ("x86_64", "aarch64")
    script = "\n".join(("set -eu", *lines)) + "\n"
    call = f'docker run --rm --platform {platform} -v "$PWD:/src" -w /src {image} sh -c {shlex.quote(script)}'
    return _Steps("native" if native else "emulated", (call,), emulated="" if native else wanted.arch)


_RECIPES: Mapping[str, Callable[[_Wanted], _Steps]] = {"go": _go, "rust": _rust, "c": _c, "c++": _c, "wheel": _wheel}

# -- providers ------------------------------------------------------------------------------------------

_GITHUB = {("linux", "aarch64"): "ubuntu-24.04-arm", ("windows", "x86_64"): "windows-2025",
    ("windows", "aarch64"): "windows-11-arm", ("macos", "aarch64"): "macos-15",
    ("macos", "x86_64"): "macos-15-intel"}  # fmt: skip
_GITLAB = {("linux", "aarch64"): "saas-linux-small-arm64", ("windows", "x86_64"): "saas-windows-medium-amd64",
    ("macos", "aarch64"): "saas-macos-medium-m1", ("macos", "x86_64"): "saas-macos-medium-m1"}  # fmt: skip
_GITHUB_SETUP: Mapping[str, Sequence[Value]] = {
    "go": ({"uses": "actions/setup-go@v6", "with": {"go-version-file": "go.mod"}},),
    "python": ({"uses": "actions/setup-python@v6", "with": {"python-version": "3.13"}},),
}
_IMAGES = {"go": "golang:1", "rust": "rust:1", "python": "python:3.13", "": "docker:28"}


def _machine(wanted: _Wanted, steps: _Steps, known: Mapping[tuple[str, str], str], usual: str) -> str:
    """Return the runner: one of the platform where the build is native, else whichever is usual."""
    if steps.how == "native" or (wanted.system == "macos" and steps.setup != "go"):
        return known.get((wanted.system, wanted.arch), usual)
    return usual


def _github(wanted: _Wanted, steps: _Steps) -> Value:
    held: list[Value] = [{"uses": "actions/checkout@v5"}, *_GITHUB_SETUP.get(steps.setup, ())]
    if steps.emulated:
        held.append({"uses": "docker/setup-qemu-action@v3"})
    if steps.setup == "rust" and wanted.system == "linux" and steps.how == "native":
        held.append({"run": "sudo apt-get update && sudo apt-get install -y musl-tools"})
    command: dict[str, Value] = {"run": _script(steps.lines)}
    if wanted.system == "windows" and steps.how == "native":
        command["shell"] = "bash"
    if steps.env:
        command["env"] = dict(steps.env)
    held.append(command)
    made = "dist/*.whl" if _is_wheel(wanted) else wanted.name
    held.append({"uses": "actions/upload-artifact@v4", "with": {"name": wanted.name, "path": made}})
    return {"runs-on": _machine(wanted, steps, _GITHUB, "ubuntu-24.04"), "steps": held}


def _gitlab(wanted: _Wanted, steps: _Steps) -> Value:
    needs_docker = "docker run" in " ".join(steps.lines) or (_is_wheel(wanted) and wanted.system == "linux")
    lines = list(steps.lines)
    if steps.emulated:
        lines.insert(0, "docker run --privileged --rm tonistiigi/binfmt --install all")
    if needs_docker and steps.setup == "python":
        lines.insert(0, "apt-get update && apt-get install -y docker.io")
    if steps.setup == "rust" and wanted.system == "linux":
        extra = "musl-tools" if steps.how == "native" else "python3-pip"
        lines.insert(0, f"apt-get update && apt-get install -y {extra}")
    job: dict[str, Value] = {"stage": "build", "tags": [_machine(wanted, steps, _GITLAB, "saas-linux-small-amd64")]}
    if wanted.system == "linux" or (steps.how == "cross" and steps.setup != "rust"):
        job["image"] = _IMAGES[steps.setup]
    if needs_docker:
        job["services"] = ["docker:28-dind"]
    if steps.env:
        job["variables"] = dict(steps.env)
    made = "dist/*.whl" if _is_wheel(wanted) else wanted.name
    return {**job, "script": lines, "artifacts": {"paths": [made]}}


def _is_wheel(wanted: _Wanted) -> bool:
    return bool(wanted.like and wanted.like.built_by == "wheel")


def _script(lines: Sequence[str]) -> str:
    return lines[0] if len(lines) == 1 else "\n".join(lines) + "\n"
