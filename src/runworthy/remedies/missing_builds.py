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
    """One build that is missing: for a system and an architecture, ``columns`` are the targets that want it.

    ``program`` is what the sources make. ``shared``: it needs libraries that are not linked into it, so that it is
    built for one C library.
    """

    system: str
    arch: str
    columns: tuple[Column, ...]
    name: str
    program: str
    like: Member | None
    why: str
    shared: bool

    @property
    def libcs(self) -> tuple[str, ...]:
        """The families of the targets' C libraries."""
        return tuple(sorted({column.libc.partition(" ")[0] for column in self.columns} - {""}))

    @property
    def oldest(self) -> tuple[int, ...]:
        """The oldest glibc among the targets."""
        releases = (column.libc.split(" ", 1)[1] for column in self.columns if column.libc.startswith("glibc "))
        return min((tuple(map(int, release.split("."))) for release in releases), default=())


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
    parts = ("build", wanted.system, wanted.arch.replace("_", "-"), *(wanted.libcs if wanted.shared else ()))
    name = "-".join(parts)
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
            targets=tuple(column.name for column in wanted.columns),
        )


# -- what is missing -----------------------------------------------------------------------------------


def _wanted(matrix: Matrix) -> Iterator[_Wanted]:
    """Yield the builds that are missing: targets of one system and architecture are served by one build."""
    by_name = {column.name: column for column in matrix.columns}
    groups: dict[tuple[str, str], list[Column]] = {}
    reasons: dict[tuple[str, str], str] = {}
    for served in matrix.served:
        if not served.asset:
            column = by_name[served.target]
            groups.setdefault((column.system, column.arch), []).append(column)
            reasons.setdefault((column.system, column.arch), served.why)
    members = [member for asset in matrix.builds for member in asset.members]
    if not matrix.builds or (members and all(member.format == "script" for member in members)):
        return  # nothing tells how it is built; no compiler makes what scripts are started by
    like = _like(matrix.builds)
    shared = _is_shared(like)
    program = _program(matrix.builds, like)
    for (system, arch), group in groups.items():
        apart = _by_libc(group) if shared else [group]
        for held in apart:
            yield _Wanted(
                system=system,
                arch=arch,
                columns=tuple(held),
                name=_name(matrix.builds, system, arch, _mark(held, shared=shared), several=len(apart) > 1),
                program=program + (".exe" if system == "windows" else ""),
                like=like,
                why=reasons[system, arch],
                shared=shared and system == "linux",
            )


def _by_libc(columns: Sequence[Column]) -> list[list[Column]]:
    found: dict[str, list[Column]] = {}
    for column in columns:
        found.setdefault(column.libc.partition(" ")[0], []).append(column)
    return list(found.values())


def _is_shared(like: Member | None) -> bool:
    """Whether it needs libraries that cannot be linked into it."""
    if like is None or like.built_by in ("rust", "wheel"):
        return False
    return bool(_outside(like)) or (like.built_by == "go" and like.cgo and like.role == "library")


def _mark(columns: Sequence[Column], *, shared: bool) -> str:
    """Return what the name of a build for Linux says of its C library: one that needs none is for all."""
    libcs = {column.libc.partition(" ")[0] for column in columns}
    return libcs.pop() if len(libcs) == 1 and (shared or libcs == {"musl"}) else "static"


def _program(builds: Sequence[Asset], like: Member | None) -> str:
    """Return what the sources make: the file's own name in an archive, else what is left of the asset's."""
    path = like.name.rpartition("!")[2] if like and "!" in like.name else ""
    base = posixpath.basename(path).removesuffix(".exe")
    return base or next((asset.claims.name for asset in builds if asset.claims.name), "app")


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


def _name(builds: Sequence[Asset], system: str, arch: str, libc: str, *, several: bool) -> str:
    """Return a name for what is missing, spelled as the others are; beside another for the platform it says more."""
    names = [asset.name.lower() for asset in builds]
    base = next((asset.claims.name for asset in builds if asset.claims.name), "app")
    like_go = any("amd64" in name or "arm64" in name for name in names)
    spelled = _SPELLED.get(arch, arch) if like_go else arch
    word = "darwin" if system == "macos" and any("darwin" in name for name in names) else system
    mark = "_" if any(f"{base}_" in name for name in names) else "-"
    beside = several or (system == "linux" and any(arch in archs_on(asset, system) for asset in builds))
    return mark.join((base, word, spelled, *([libc] if beside else []))) + (".exe" if system == "windows" else "")


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
    if wanted.shared:
        packages = {"apk": "go build-base", "apt-get": "golang gcc", "dnf": "golang gcc", "yum": "golang"}
        return _where_it_runs(wanted, packages, (line,))
    if wanted.system != "linux" and _is_shared(like):
        return _Steps("native", (line,), {"CGO_ENABLED": "1"}, setup="go")
    goos = {"macos": "darwin"}.get(wanted.system, wanted.system)
    variables = dict(part.split("=") for part in f"GOARCH={goarch(wanted.arch)}".split())
    return _Steps("cross", (line,), {"CGO_ENABLED": "0", "GOOS": goos, **variables}, setup="go")


def _rust(wanted: _Wanted) -> _Steps:
    """Rust programs for musl are static, and run beside any C library."""
    triple = _triple(wanted)
    built = posixpath.join("target", triple, "release", wanted.program)
    copy = f"cp {shlex.quote(built)} {shlex.quote(wanted.name)}"
    add = f"rustup target add {triple}"
    if wanted.system != "linux" or wanted.arch in ("x86_64", "aarch64"):
        lines = (add, f"cargo build --release --target {triple}", copy)
        return _Steps(
            "native" if wanted.system != "macos" or wanted.arch == "aarch64" else "cross", lines, setup="rust"
        )
    # pip installs nothing into the Python of Debian and Ubuntu (PEP 668).
    tools = ("python3 -m venv .zig", ". .zig/bin/activate", "pip install cargo-zigbuild")
    zig = (add, *tools, f"cargo zigbuild --release --target {triple}", copy)
    return _Steps("cross", zig, setup="rust")


def _triple(wanted: _Wanted) -> str:
    arch = {"i386": "i686"}.get(wanted.arch, wanted.arch)
    if wanted.system == "windows":
        return f"{arch}-pc-windows-msvc"
    return f"{arch}-apple-darwin" if wanted.system == "macos" else rust_triple(wanted.arch, "musl")


def _c(wanted: _Wanted) -> _Steps:
    """C needs nothing but its library can be linked with all of it; else it is built where it is to run."""
    like = wanted.like
    plus = bool(like and like.built_by == "c++")
    if wanted.system == "macos":
        arch = {"aarch64": "arm64"}.get(wanted.arch, wanted.arch)
        return _Steps("native", (f'make CFLAGS="-O2 -arch {arch}"', _copied(wanted)))
    if wanted.shared:
        red_hat = "make gcc-c++" if plus else "make gcc"
        packages = {"apk": "build-base", "apt-get": f"make {'g++' if plus else 'gcc'}", "dnf": red_hat, "yum": "make"}
        told = f"# it needs {', '.join(_outside(like))} as well"
        return _where_it_runs(wanted, packages, ("make", _copied(wanted)), told)
    target = zig_target(wanted.arch, "musl") if wanted.system == "linux" else f"{wanted.arch}-windows-gnu"
    static = " -static" if wanted.system == "linux" else ""
    tools = f'CC="python3 -m ziglang cc -target {target}{static}" CXX="python3 -m ziglang c++ -target {target}{static}"'
    return _Steps("cross", ("pip install ziglang", f"make {tools}", _copied(wanted)), setup="python")


def _copied(wanted: _Wanted) -> str:
    """Copy what make made: for Windows too it is called as its rules say, without an end."""
    return f"cp {shlex.quote(wanted.program.removesuffix('.exe'))} {shlex.quote(wanted.name)}"


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


def _where_it_runs(wanted: _Wanted, packages: Mapping[str, str], lines: Sequence[str], told: str = "") -> _Steps:
    """Return a build in a container of the target's own kind, on a machine of its own or on an emulated one."""
    image, manager = _image(wanted)
    row = next((row for row in ARCHITECTURES if row.name == wanted.arch), None)
    platform = row.docker if row else f"linux/{wanted.arch}"
    native = wanted.arch in ("x86_64", "aarch64")
    install = [f"{manager} {'add' if manager == 'apk' else 'install -y'} {packages[manager]}"]
    update = ["apt-get update"] if manager == "apt-get" else []
    script = "\n".join(("set -eu", *([told] if told else ()), *update, *install, *lines)) + "\n"
    call = f'docker run --rm --platform {platform} -v "$PWD:/src" -w /src {image} sh -c {shlex.quote(script)}'
    return _Steps("native" if native else "emulated", (call,), emulated="" if native else wanted.arch)


_IMAGES_OF_GLIBC: Sequence[tuple[tuple[int, ...], str, str, str]] = (
    ((2, 41), "debian:13", "apt-get", "x86_64 aarch64 armv7 i386 ppc64le riscv64 s390x"),
    ((2, 31), "debian:11", "apt-get", "x86_64 aarch64 armv7 i386"),
    ((2, 28), "almalinux:8", "dnf", "x86_64 aarch64 ppc64le s390x"),
    ((2, 17), "quay.io/pypa/manylinux2014_{}", "yum", "x86_64 aarch64 ppc64le s390x"),
)
"""Images in which is built what runs with a glibc from here on, what installs in them, and for what they are there."""


def _image(wanted: _Wanted) -> tuple[str, str]:
    """Return an image and what installs packages in it: the newest that is usual and not newer than any target."""
    if wanted.libcs == ("musl",):
        return "alpine:3.20", "apk"
    rows = [row for row in _IMAGES_OF_GLIBC if wanted.arch in row[3].split()] or list(_IMAGES_OF_GLIBC[:1])
    old = [row for row in rows if row[0] <= (2, 31)] or rows
    _, image, manager, _ = next((row for row in old if not wanted.oldest or row[0] <= wanted.oldest), old[-1])
    return image.format(wanted.arch), manager


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
        extra = "musl-tools" if steps.how == "native" else "python3-venv"
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
