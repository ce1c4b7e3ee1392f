"""A build made anew: the recipe for the toolchain that made the subject, and what stands in the way of it as it is.

Flags and targets are those of the toolchains' own manuals: Go's ``cmd/go`` and ``cmd/link``, rustc's platform support
and code generation options, GCC's and binutils' manuals, Zig's ``zig cc``, pypa's manylinux and musllinux images. What
comes of a recipe is made elsewhere, and nothing here can judge it before it is.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from runworthy.engine.floor.reasons import carriers
from runworthy.engine.toolchain import Toolchain, toolchain_of
from runworthy.model.arch import Architecture
from runworthy.model.elf import ElfFacts, ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.finding import Cost
from runworthy.model.machine import isa_name
from runworthy.model.records import dataclass
from runworthy.model.trace import Answer, Step
from runworthy.remedies.builds import libc_of
from runworthy.remedies.situation import Proposal, Situation
from runworthy.rules.known import libc_of_library
from runworthy.targets.catalogue import open_catalogue
from runworthy.targets.view import UnseenError

__all__ = ["SOURCES", "Toolchain", "goarch", "is_runtime", "rust_triple", "toolchain_of", "whole", "zig_target"]

SOURCES = "SOURCES"
"""Stands in a recipe for what only the person who has the sources can name."""

_ELSEWHERE = "a build is made elsewhere; judge what comes of it with `--build FILE`"
_WIDTH, _VERSIONS = 60, 4
_KNOWN_TO_ALL = frozenset(("almalinux", "alpine", "debian", "fedora", "ubuntu"))
_NODE = re.compile(r"GLIBC_(\d+(?:\.\d+)+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What is to be built: of what, by what, for what target; ``unmet`` are the needs that stand in the way."""

    name: str
    facts: ElfFacts
    tools: Toolchain
    arch: Architecture
    libc: str
    version: tuple[int, ...]
    target: str
    level: int
    unmet: tuple[Step, ...]

    @property
    def output(self) -> str:
        """Its name, as a shell is to read it."""
        return shlex.quote(self.name)

    @property
    def foreign(self) -> bool:
        """Whether the subject is for another C library than the target's, which it needs."""
        asked = [*self.facts.needed, *([self.facts.interpreter] if self.facts.interpreter else [])]
        own = next(filter(None, (libc_of_library(one.rpartition("/")[2]) for one in asked)), "")
        return bool(own and self.libc and own != self.libc)

    @property
    def crossed(self) -> bool:
        """Whether the subject is for another architecture."""
        own = self.facts.architecture
        return own is not None and own is not self.arch

    def lacks(self, *kinds: str) -> list[Step]:
        """Return the unmet needs of some kinds."""
        return [step for step in self.unmet if step.need.kind in kinds]


def whole(situation: Situation) -> Iterator[Proposal]:
    """Yield how the subject is built so that it runs on the target, one proposal for each thing in the way."""
    job = _job(situation)
    if job is None or not job.unmet:
        return
    held = situation.target.view.elf(situation.target.view.resolve(situation.path).path)
    if job.crossed:
        yield _proposal(f"build `{job.name}` for {job.arch.name}", _FOR_ARCH[job.tools.kind](job))
    elif job.foreign or job.lacks("interpreter", "loader"):
        yield from _for_libc(job)
    elif job.lacks("symbol-version", "symbol", "relocation"):
        yield from _for_floor(job, held)
    yield from _flags(job)


def _proposal(title: str, recipe: Sequence[str]) -> Proposal:
    return Proposal(
        title=title, approach="rebuild", recipe=tuple(recipe), cost=Cost(rebuild=True), unprovable=_ELSEWHERE
    )


def _job(situation: Situation) -> _Job | None:
    if situation.file is not None:
        return None
    view = situation.target.view
    try:
        elf = view.elf(view.resolve(situation.path).path)
        tools = toolchain_of(elf.facts, elf.build())
    except (FormatError, OSError, UnseenError):
        return None
    libc, version = libc_of(situation)
    unmet = tuple(
        step
        for step in situation.result.trace.needs
        if step.answer is Answer.UNMET and step.because is None and not step.need.weak
    )
    return _Job(
        name=posixpath.basename(situation.name),
        facts=elf.facts,
        tools=tools,
        arch=situation.target.arch,
        libc=libc,
        version=version,
        target=situation.target.name,
        level=situation.target.machine.level,
        unmet=unmet,
    )


# -- another C library ---------------------------------------------------------------------------


def _for_libc(job: _Job) -> Iterator[Proposal]:
    if job.libc == "musl":
        title = f"build `{job.name}` for musl"
        for words, recipe in _FOR_MUSL[job.tools.kind](job):
            yield _proposal(f"{title}{words}", recipe)
    elif job.libc == "glibc":
        yield _proposal(f"build `{job.name}` for glibc", _FOR_GLIBC[job.tools.kind](job))


def _is_library(job: _Job) -> bool:
    return not job.facts.is_program


_Recipes = Iterator[tuple[str, Sequence[str]]]


def _go_for_musl(job: _Job) -> _Recipes:
    outside = [name for name in job.facts.needed if not libc_of_library(name) and not name.startswith("libgcc_s.")]
    package = _package(job)
    if not outside and not _is_library(job) and job.tools.mode not in ("c-shared", "plugin"):
        yield (
            " without cgo, so that it needs no C library",
            (f"CGO_ENABLED=0 GOOS=linux {_goarch(job.arch)} go build -o {job.output} {package}",),
        )
        return
    because = f" with cgo, for {', '.join(outside)}" if outside else " with cgo, since it is a library"
    mode = f" -buildmode={job.tools.mode}" if job.tools.mode not in ("", "exe", "pie") else ""
    yield (
        because,
        (
            f"{_in_musl_image(job, _go_image(job))}",
            "apk add build-base",
            f"CGO_ENABLED=1 go build{mode} -o {job.output} {package}",
        ),
    )


def _rust_for_musl(job: _Job) -> _Recipes:
    triple = _RUST[job.arch.name].format(libc="musl")
    flags = 'RUSTFLAGS="-C target-feature=-crt-static" ' if _is_library(job) else ""
    yield "", (f"rustup target add {triple}", f"{flags}cargo build --release --target {triple}")


def _c_for_musl(job: _Job) -> _Recipes:
    outside = [name for name in job.facts.needed if not libc_of_library(name) and not is_runtime(name)]
    compiler = {"c": "gcc", "c++": "g++"}[job.tools.kind]
    zig = {"c": "zig cc", "c++": "zig c++"}[job.tools.kind]
    shared = "-shared -fPIC " if _is_library(job) else ""
    if not outside:
        if job.tools.kind == "c":
            yield (
                " with musl-gcc" if shared else " with musl-gcc, so that it needs no library",
                (f"musl-gcc {shared or '-static '}-O2 -o {job.output} {SOURCES}",),
            )
        static = "" if shared else "-static "
        yield (
            " with Zig, on any machine",
            (f"{zig} -target {_zig(job)}-musl{_eabi(job.arch)} {shared}{static}-O2 -o {job.output} {SOURCES}",),
        )
    libraries = f"  # and what has {', '.join(outside)} there" if outside else ""
    yield (
        " where it is to run",
        (_in_musl_image(job), f"apk add build-base{libraries}", f"{compiler} {shared}-O2 -o {job.output} {SOURCES}"),
    )


def _zig(job: _Job) -> str:
    return _ZIG[job.arch.name]


def _c_for_glibc(job: _Job) -> Sequence[str]:
    compiler = {"c": "gcc", "c++": "g++", "go": "", "rust": ""}[job.tools.kind]
    shared = "-shared -fPIC " if _is_library(job) else ""
    return (_in_glibc_image(job), f"{compiler} {shared}-O2 -o {job.output} {SOURCES}")


def _go_for_glibc(job: _Job) -> Sequence[str]:
    if not job.tools.cgo and not _is_library(job):
        return (f"CGO_ENABLED=0 GOOS=linux {_goarch(job.arch)} go build -o {job.output} {_package(job)}",)
    return (_in_glibc_image(job), f"CGO_ENABLED=1 go build -o {job.output} {_package(job)}")


def _rust_for_glibc(job: _Job) -> Sequence[str]:
    triple = _RUST[job.arch.name].format(libc="gnu")
    return (
        _in_glibc_image(job),
        f"rustup target add {triple}",
        f"cargo build --release --target {triple}",
    )


_FOR_MUSL: Mapping[str, Callable[[_Job], _Recipes]] = {
    "go": _go_for_musl,
    "rust": _rust_for_musl,
    "c": _c_for_musl,
    "c++": _c_for_musl,
}
_FOR_GLIBC: Mapping[str, Callable[[_Job], Sequence[str]]] = {
    "go": _go_for_glibc,
    "rust": _rust_for_glibc,
    "c": _c_for_glibc,
    "c++": _c_for_glibc,
}


# -- an older C library ----------------------------------------------------------------------------


def _for_floor(job: _Job, elf: ElfFile) -> Iterator[Proposal]:
    """Yield how to build against a C library, or a C++ runtime, that is no newer than the target's."""
    facts = list(_raised_by(job, elf))
    runtime = [step for step in job.unmet if (step.need.file or "").startswith(("libstdc++.so", "libgcc_s.so"))]
    if runtime and len(runtime) == len(job.lacks("symbol-version", "symbol")) and job.tools.kind == "c++":
        held = ("-static-libstdc++ -static-libgcc",)
        line = f"g++ {'-shared -fPIC ' if _is_library(job) else ''}-O2 -o {job.output} {SOURCES} {held[0]}"
        yield _proposal(f"build `{job.name}` with its C++ runtime in it", (*facts, line))
    if job.libc == "glibc" and job.version:
        recipe = _FOR_GLIBC[job.tools.kind](job)
        words = f"against glibc {'.'.join(map(str, job.version))} or older"
        yield _proposal(f"build `{job.name}` {words}", (*facts, *recipe))
        if job.tools.kind in ("c", "c++", "rust") and job.version >= (2, 17):
            yield _proposal(f"build `{job.name}` {words} with Zig, on any machine", _zig_for_glibc(job))
    elif job.libc == "musl":
        for words, recipe in _FOR_MUSL[job.tools.kind](job):
            yield _proposal(f"build `{job.name}` for the target's musl{words}", (*facts, *recipe))


def _zig_for_glibc(job: _Job) -> Sequence[str]:
    version = ".".join(map(str, job.version[:2]))
    if job.tools.kind == "rust":
        triple = _RUST[job.arch.name].format(libc="gnu")
        return ("cargo install cargo-zigbuild", f"cargo zigbuild --release --target {triple}.{version}")
    zig = {"c": "zig cc", "c++": "zig c++"}[job.tools.kind]
    shared = "-shared -fPIC " if _is_library(job) else ""
    return (f"{zig} -target {_zig(job)}-gnu{_eabi(job.arch)}.{version} {shared}-O2 -o {job.output} {SOURCES}",)


def _raised_by(job: _Job, elf: ElfFile) -> Iterator[str]:
    """Yield, as comments, which symbols ask for more than the target has, and what is enough without them."""
    wanted = {
        (step.need.file or "", step.need.version or step.need.name): None
        for step in job.lacks("symbol-version", "symbol")
        if step.need.file and (step.need.version or step.need.kind == "symbol-version")
    }
    order = sorted(wanted, key=lambda pair: _order(pair[1]), reverse=True)
    index = open_catalogue().index()
    for file, version in order[:_VERSIONS]:
        try:
            symbols, _ = carriers(elf, file, version)
        except FormatError:
            continue
        first = [name for name in index.first_with(version, job.arch) if name.partition(":")[0] in _KNOWN_TO_ALL]
        names = _listed(symbols)
        since = f"; in {', '.join(first)} and newer" if first else ""
        yield f"# {version} is asked for by {names or 'no symbol of its own'}{since}"
    left = _without(elf.facts, {version for _, version in wanted})
    if left:
        yield f"# without these, {left} is enough"


def _listed(symbols: Sequence[str]) -> str:
    """Return names, as many as a line holds."""
    shown = [name for at, name in enumerate(symbols) if at == 0 or len(", ".join(symbols[: at + 1])) <= _WIDTH]
    return ", ".join(shown) + (f" and {len(symbols) - len(shown)} more" if len(symbols) > len(shown) else "")


def _without(facts: ElfFacts, gone: set[str]) -> str:
    """Return the newest version of glibc that a file asks for besides those, empty where none is."""
    nodes = {need.version for need in facts.version_needs if not need.weak and _NODE.fullmatch(need.version)}
    if not nodes & gone or not nodes - gone:
        return ""
    return max(nodes - gone, key=_order).replace("GLIBC_", "glibc ")


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


# -- another machine -------------------------------------------------------------------------------


def _go_for_arch(job: _Job) -> Sequence[str]:
    if job.tools.cgo:
        return (
            f"CGO_ENABLED=1 CC={job.arch.multiarch}-gcc {_goarch(job.arch)} go build -o {job.output} {_package(job)}",
        )
    return (f"CGO_ENABLED=0 {_goarch(job.arch)} go build -o {job.output} {_package(job)}",)


def _rust_for_arch(job: _Job) -> Sequence[str]:
    triple = _RUST[job.arch.name].format(libc="musl" if job.libc == "musl" else "gnu")
    return (f"rustup target add {triple}", f"cargo build --release --target {triple}")


def _c_for_arch(job: _Job) -> Sequence[str]:
    compiler = {"c": "gcc", "c++": "g++"}[job.tools.kind]
    zig = {"c": "zig cc", "c++": "zig c++"}[job.tools.kind]
    shared = "-shared -fPIC " if _is_library(job) else ""
    if job.libc == "musl":
        return (f"{zig} -target {_zig(job)}-musl{_eabi(job.arch)} {shared}-O2 -o {job.output} {SOURCES}",)
    return (f"{job.arch.multiarch}-{compiler} {shared}-O2 -o {job.output} {SOURCES}",)


_FOR_ARCH: Mapping[str, Callable[[_Job], Sequence[str]]] = {
    "go": _go_for_arch,
    "rust": _rust_for_arch,
    "c": _c_for_arch,
    "c++": _c_for_arch,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flag:
    """What a need of one kind is answered with: for the compiler and its linker, and for Go and Rust in their words."""

    words: str
    c: str
    rust: str
    go: str


def _flags(job: _Job) -> Iterator[Proposal]:
    """Yield the flags for what the machine refuses."""
    for is_answered, answer in _BY_FLAG:
        if any(map(is_answered, job.unmet)):
            flag = answer(job)
            line = {
                "go": flag.go and f"{flag.go} -o {job.output} {_package(job)}",
                "rust": f'RUSTFLAGS="{flag.rust}" cargo build --release',
            }.get(job.tools.kind, f"{_cc(job)} {flag.c} -O2 -o {job.output} {SOURCES}")
            if line:
                yield _proposal(f"build `{job.name}` {flag.words}", (line,))


def _cc(job: _Job) -> str:
    shared = " -shared -fPIC" if _is_library(job) else ""
    return f"{'g++' if job.tools.kind == 'c++' else 'gcc'}{shared}"


def _level(job: _Job) -> _Flag:
    name = isa_name(job.level).removesuffix("-v1") if job.level else job.arch.name
    go = f"GOAMD64=v{job.level} go build" if job.level else f"{_goarch(job.arch)} go build"
    return _Flag(words=f"for {name}", c=f"-march={name}", rust=f"-C target-cpu={name}", go=go)


def _pages(job: _Job) -> _Flag:
    size = max(job.arch.page_sizes)
    option = f"-Wl,-z,max-page-size={size}"
    return _Flag(
        words=f"for pages of up to {size >> 10} KiB",
        c=option,
        rust=f"-C link-arg={option}",
        go=f'go build -ldflags "-R {size}"'
        if not job.tools.cgo
        else f'go build -ldflags "-linkmode=external -extldflags={option}"',
    )


def _stack(job: _Job) -> _Flag:
    option = "-Wl,-z,noexecstack"
    go = f'go build -ldflags "-linkmode=external -extldflags={option}"'
    return _Flag(
        words="without an executable stack", c=option, rust=f"-C link-arg={option}", go=go if job.tools.cgo else ""
    )


def _relocations(job: _Job) -> _Flag:
    option = "-Wl,-z,nopack-relative-relocs"
    go = f'go build -ldflags "-linkmode=external -extldflags={option}"' if job.tools.cgo else ""
    return _Flag(words="without packed relocations", c=option, rust=f"-C link-arg={option}", go=go)


_BY_FLAG: tuple[tuple[Callable[[Step], bool], Callable[[_Job], _Flag]], ...] = (
    (lambda step: step.need.kind == "isa", _level),
    (lambda step: step.need.kind == "page-size", _pages),
    (lambda step: step.need.kind == "exec-stack", _stack),
    (lambda step: "DT_RELR" in f"{step.need.name} {step.need.version}", _relocations),
)


# -- words -------------------------------------------------------------------------------------------

_RUST: Mapping[str, str] = {
    "x86_64": "x86_64-unknown-linux-{libc}",
    "i386": "i686-unknown-linux-{libc}",
    "aarch64": "aarch64-unknown-linux-{libc}",
    "armv7": "armv7-unknown-linux-{libc}eabihf",
    "armv6": "arm-unknown-linux-{libc}eabihf",
    "armel": "arm-unknown-linux-{libc}eabi",
    "ppc64le": "powerpc64le-unknown-linux-{libc}",
    "ppc64": "powerpc64-unknown-linux-{libc}",
    "s390x": "s390x-unknown-linux-{libc}",
    "riscv64": "riscv64gc-unknown-linux-{libc}",
    "loongarch64": "loongarch64-unknown-linux-{libc}",
    "x32": "x86_64-unknown-linux-{libc}x32",
    "mips64le": "mips64el-unknown-linux-{libc}abi64",
    "mipsle": "mipsel-unknown-linux-{libc}",
}
_ZIG: Mapping[str, str] = {
    "x86_64": "x86_64-linux",
    "i386": "x86-linux",
    "aarch64": "aarch64-linux",
    "armv7": "arm-linux",
    "armv6": "arm-linux",
    "armel": "arm-linux",
    "ppc64le": "powerpc64le-linux",
    "ppc64": "powerpc64-linux",
    "s390x": "s390x-linux",
    "riscv64": "riscv64-linux",
    "loongarch64": "loongarch64-linux",
    "x32": "x86_64-linux",
    "mips64le": "mips64el-linux",
    "mipsle": "mipsel-linux",
}
_GOARCH: Mapping[str, str] = {
    "x86_64": "amd64",
    "i386": "386",
    "aarch64": "arm64",
    "armv7": "arm GOARM=7",
    "armv6": "arm GOARM=6",
    "armel": "arm GOARM=5",
    "ppc64le": "ppc64le",
    "ppc64": "ppc64",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "loongarch64": "loong64",
    "mips64le": "mips64le",
    "mipsle": "mipsle",
}


def _goarch(arch: Architecture) -> str:
    return f"GOARCH={_GOARCH.get(arch.name, arch.name)}"


_EABI = {"armv7": "eabihf", "armv6": "eabihf", "armel": "eabi", "x32": "x32"}


def _eabi(arch: Architecture) -> str:
    return _EABI.get(arch.name, "")


def goarch(arch: str) -> str:
    """Return GOARCH for an architecture by our name, with what more says its kind: ``arm GOARM=7``."""
    return _GOARCH.get(arch, arch)


def rust_triple(arch: str, libc: str) -> str:
    """Return the triple for Linux, ``libc`` being ``gnu`` or ``musl``."""
    return _RUST.get(arch, f"{arch}-unknown-linux-{{libc}}").format(libc=libc)


def zig_target(arch: str, libc: str) -> str:
    """Return what ``zig cc -target`` takes for Linux, ``libc`` being ``gnu`` or ``musl``."""
    return f"{_ZIG.get(arch, f'{arch}-linux')}-{libc}{_EABI.get(arch, '')}"


def _package(job: _Job) -> str:
    """Return the package that go is to build: the one that was, where it is written plainly."""
    path = job.tools.package
    return path if re.fullmatch(r"[A-Za-z0-9][\w./~+-]*", path) and path != "command-line-arguments" else SOURCES


def _go_image(job: _Job) -> str:
    release = re.match(r"\d+\.\d+", job.tools.version)
    return f"golang:{release[0]}" if release else ""


def is_runtime(name: str) -> bool:
    return name.startswith(("libstdc++.so", "libgcc_s.so", "libatomic.so", "libc++.so", "libc++abi.so"))


def _in_musl_image(job: _Job, image: str = "") -> str:
    base = job.target.partition("/")[0]
    plain = base if base.startswith("alpine:") else "alpine:3.20"
    name = f"{image}-alpine{plain.removeprefix('alpine:')}" if image else plain
    return f"# in a container of {name}"


def _in_glibc_image(job: _Job) -> str:
    """Return where to build, so that nothing newer than the target's glibc is asked for."""
    tags = [
        (row.libc.version, row.name)
        for row in open_catalogue().index().targets()
        if row.family == "manylinux" and row.arch is job.arch and row.libc.version
    ]
    fitting = [(version, name) for version, name in tags if version and version <= (job.version or version)]
    # Those that pypa still builds images of; 2.24's and 2.12's are gone.
    known = [(version, name) for version, name in fitting if name.removeprefix("manylinux_") in _IMAGES]
    if not known:
        return f"# in a container of {job.target.partition('/')[0]}"
    name = _IMAGES[max(known)[1].removeprefix("manylinux_")]
    return f"# in a container of quay.io/pypa/{name}_{job.arch.pypi}"


_IMAGES = {
    "2_17": "manylinux2014",
    "2_28": "manylinux_2_28",
    "2_31": "manylinux_2_31",
    "2_34": "manylinux_2_34",
    "2_39": "manylinux_2_39",
}
