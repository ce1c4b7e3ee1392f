"""Releases made by hand: what a report on a matrix is given, of the size of real ones, without reading a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from runworthy.model.finding import Finding, Remedy, Result
from runworthy.model.matrix import (
    Asset,
    Cell,
    Claims,
    Column,
    Job,
    Linkage,
    Matrix,
    Member,
    Misnaming,
    Redundancy,
    Served,
)
from runworthy.model.trace import Answer, Evidence, Need, Probe, Step
from tests.report.made import result, symbol

__all__ = ["HOSTILE", "hostile", "large", "release", "small"]

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u202eevil\x1b[31m\n\udcff`${x}`"
"""Everything at once that ends an element, an attribute, a string or a line, or turns its direction."""

_TARGETS = (
    "debian:11 2.31, debian:12 2.36, debian:13 2.41, ubuntu:22.04 2.35, ubuntu:24.04 2.39, almalinux:8 2.28, "
    "almalinux:9 2.34, fedora:44 2.43, amazonlinux:2023 2.34"
)


class _Build(NamedTuple):
    suffix: str
    system: str
    archs: tuple[str, ...]
    linkage: Linkage
    needs: str = ""


_BUILDS = (
    _Build("x86_64-unknown-linux-gnu.tar.gz", "linux", ("x86_64",), "glibc", "2.34"),
    _Build("x86_64-unknown-linux-musl.tar.gz", "linux", ("x86_64",), "static"),
    _Build("aarch64-unknown-linux-gnu.tar.gz", "linux", ("aarch64",), "glibc", "2.39"),
    _Build("amd64.deb", "linux", ("x86_64",), "glibc", "2.34"),
    _Build("arm64.deb", "linux", ("aarch64",), "glibc", "2.34"),
    _Build("x86_64.rpm", "linux", ("x86_64",), "glibc", "2.28"),
    _Build("linux-x64-musl.zip", "linux", ("x86_64",), "glibc", "2.31"),
    _Build("linux-x64-baseline.zip", "linux", ("x86_64",), "static"),
    _Build("windows-x64.zip", "windows", ("x86_64",), ""),
    _Build("windows-arm64.zip", "windows", ("aarch64",), ""),
    _Build("darwin-universal.tar.gz", "macos", ("x86_64", "aarch64"), ""),
    _Build("darwin-arm64.tar.gz", "macos", ("aarch64",), ""),
)


def small() -> Matrix:
    """Return a release of 12 builds on 14 targets."""
    targets = [*_linux("x86_64", 5), *_linux("aarch64", 5), *_others()]
    return release([f"demo-1.4.0-{build.suffix}" for build in _BUILDS], _BUILDS, targets)


def large() -> Matrix:
    """Return a release of 40 builds on 20 targets, every program with a long trace."""
    builds = [_BUILDS[at % len(_BUILDS)] for at in range(40)]
    names = [
        f"{('demo', 'demo-cli', 'demod', 'demo-agent')[at // 12]}-1.4.0-{build.suffix}"
        for at, build in enumerate(builds)
    ]
    return release(names, builds, [*_linux("x86_64", 8), *_linux("aarch64", 8), *_others()], symbols=60)


def hostile() -> Matrix:
    """Return a release in which every text that comes from files holds HOSTILE."""
    targets = [*_linux("x86_64", 5), *_linux("aarch64", 5)]
    return release([f"app{at}{HOSTILE}" for at in range(len(_BUILDS))], _BUILDS, targets, hostile=HOSTILE)


def release(
    names: Sequence[str], builds: Sequence[_Build], columns: Sequence[Column], *, symbols: int = 3, hostile: str = ""
) -> Matrix:
    """Return the matrix of builds with these names; ``hostile`` is put into every text that comes from files."""
    assets = [_asset(name, build, hostile) for name, build in zip(names, builds, strict=True)]
    pairs = list(zip(assets, builds, strict=True))
    cells = [_cell(asset, build, column, symbols, hostile) for asset, build in pairs for column in columns]
    served = tuple(_served(column, [cell for cell in cells if cell.target == column.name]) for column in columns)
    missing = tuple(row.target for row in served if not row.asset)
    sums = Asset(name=f"SHA256SUMS{hostile}", path="dist/SHA256SUMS", kind="checksum", size=1432)
    return Matrix(
        assets=(
            *assets,
            sums,
            Asset(name="demo-1.4.0.tar.gz", path="dist/demo-1.4.0.tar.gz", kind="source", size=812_331),
        ),
        columns=tuple(columns),
        cells=tuple(cells),
        served=served,
        redundant=(
            Redundancy(
                asset=f"dist/{names[7 % len(names)]}",
                by=f"dist/{names[1 % len(names)]}",
                targets=tuple(column.name for column in columns[:5]),
                reason=f"the static {names[1 % len(names)]} runs on all of them{hostile}",
            ),
        ),
        misnamed=(
            Misnaming(
                asset=f"dist/{names[6 % len(names)]}",
                claim=f"musl{hostile}",
                fact="its program asks for /lib64/ld-linux-x86-64.so.2, which is glibc's",
                member=f"dist/{names[6 % len(names)]}!bin/demo",
            ),
        ),
        jobs=tuple(_jobs(missing, hostile)) if missing else (),
        assumptions=(f"x86_64 machines have no more than x86-64-v1{hostile}", "pages are of 4 KiB"),
    )


def _linux(arch: str, number: int) -> list[Column]:
    rows = [row.split() for row in _TARGETS.split(", ")][: number - 1]
    glibc = [
        Column(
            name=f"{name}/{arch}",
            system="linux",
            arch=arch,
            libc=f"glibc {libc}",
            family=name.partition(":")[0],
            eol="2028-08-09",
        )
        for name, libc in rows
    ]
    return [*glibc, Column(name=f"alpine:3.20/{arch}", system="linux", arch=arch, libc="musl 1.2.5", family="alpine")]


def _others() -> list[Column]:
    named = (
        ("windows/x86_64", "x86_64"),
        ("windows/aarch64", "aarch64"),
        ("macos/arm64", "aarch64"),
        ("macos/x86_64", "x86_64"),
    )
    return [Column(name=name, system=name.partition("/")[0], arch=arch, modelled=False) for name, arch in named]


def _asset(name: str, build: _Build, hostile: str) -> Asset:
    member = Member(
        name=f"dist/{name}!bin/demo{hostile}",
        role="program",
        format={"linux": "elf", "windows": "pe", "macos": "mach-o"}[build.system],
        archs=build.archs,
        system=build.system,
        linkage=build.linkage,
        imports=("KERNEL32.dll", "ucrtbase.dll") if build.system == "windows" else (),
        built_by="rust",
        compiler=f"1.88.0{hostile}",
    )
    return Asset(
        name=name,
        path=f"dist/{name}",
        kind="build",
        claims=Claims(
            name="demo", version="1.4.0", system=build.system, archs=build.archs, packing=name.rpartition(".")[2]
        ),
        systems=(build.system,),
        archs=build.archs,
        linkages=(build.linkage,) if build.linkage else (),
        minimum={"windows": "Windows 10", "macos": "macOS 11.0"}.get(build.system, ""),
        members=(member,),
        size=4_193_021 + len(name) * 65_537,
        problem=hostile,
    )


# -- cells -------------------------------------------------------------------------------------------


def _cell(asset: Asset, build: _Build, column: Column, symbols: int, hostile: str) -> Cell:
    if build.system != column.system or column.arch not in build.archs:
        is_for = f"{build.system} on {' and '.join(build.archs)}"
        return Cell(
            asset=asset.path, target=column.name, fit="not-for", reason=f"it is for {is_for}, and {column.name} is not"
        )
    member = asset.members[0].name
    if not column.modelled:
        return Cell(
            asset=asset.path,
            target=column.name,
            fit="unknown",
            reason=f"{column.system} is not modelled: what it asks for is told",
            member=member,
        )
    found = _result(member, build, column, symbols, hostile)
    reason = {"runs": "it runs", "risky": "it leans on what is assumed"}.get(found.verdict, "")
    reason = reason or found.findings[0].message
    return Cell(
        asset=asset.path,
        target=column.name,
        fit=found.verdict,
        reason=f"{reason}{hostile}",
        member=member,
        results=(found,),
    )


def _result(member: str, build: _Build, column: Column, symbols: int, hostile: str) -> Result:
    steps = tuple(symbol(f"function_{at}", Answer.UNMET, fatal=False) for at in range(symbols))
    if build.linkage == "static":
        return result(column.name, "runs", subject=member, libc=column.libc, steps=steps[:1])
    if column.libc.startswith("musl"):
        return result(
            column.name, "fails", _other_libc(member, column, hostile), subject=member, stage="exec", libc=column.libc
        )
    have, want = (tuple(map(int, text.split("."))) for text in (column.libc.split()[1], build.needs))
    steps = (_library(), *steps)
    if have < want:
        found = _too_new(member, build, column, hostile)
        return result(column.name, "fails", found, subject=member, libc=column.libc, steps=steps)
    if column.family == "almalinux":
        found = _assumed(member, column, hostile)
        return result(column.name, "risky", found, subject=member, stage="machine", libc=column.libc, steps=steps)
    return result(column.name, "runs", subject=member, libc=column.libc, steps=steps)


def _library() -> Step:
    return Step(
        stage="load",
        need=Need(kind="library", name="libssl.so.3", by="/subject/app", evidence=Evidence(file="/subject/app")),
        answer=Answer.MET,
        met_by="/usr/lib/libssl.so.3",
        searched=(
            Probe(path="/opt/lib/libssl.so.3", origin="RPATH of /subject/app"),
            Probe(path="/usr/lib/libssl.so.3", origin="default directory", outcome="found"),
        ),
    )


def _too_new(member: str, build: _Build, column: Column, hostile: str) -> Finding:
    return Finding(
        code="RW301",
        name="version-too-new",
        severity="error",
        message=f"`{member}` needs GLIBC_{build.needs}{hostile}, {column.name} has {column.libc}",
        stage="version",
        cause=f"a glibc older than {build.needs}{hostile}",
        items=(f"GLIBC_{build.needs}",),
        evidence=(Evidence(file=member, section=".gnu.version_r", offset=0x1234),),
        lines=(f"GLIBC_{build.needs}  __libc_start_main  in debian:13, ubuntu:24.04 and later{hostile}",),
        notes=(f"the version node is bound at the start{hostile}",),
        remedies=(
            Remedy(
                title=f"build it against {column.libc} or older{hostile}", proof=f"a build is made elsewhere{hostile}"
            ),
            Remedy(
                title="run it on debian:13 or later", recipe=("docker run debian:13", f"./demo{hostile}"), proved=True
            ),
        ),
    )


def _other_libc(member: str, column: Column, hostile: str) -> Finding:
    return Finding(
        code="RW201",
        name="libc-mismatch",
        severity="error",
        message=f"`{member}` is built for glibc, {column.name} has {column.libc}",
        stage="exec",
        cause=f"built for another C library{hostile}",
        evidence=(Evidence(file=f"{member}{hostile}", section=".interp"),),
        notes=("its loader is not there: execve answers ENOENT, and a shell says `not found` of a file that exists",),
        remedies=(Remedy(title="build it for musl: on Alpine, or in a musllinux image"),),
    )


def _assumed(member: str, column: Column, hostile: str) -> Finding:
    return Finding(
        code="RW401",
        name="cpu-level",
        severity="warning",
        message=f"`{member}` needs x86-64-v2, which {column.name} is only assumed to have",
        stage="machine",
        cause=f"a CPU level that is assumed{hostile}",
        evidence=(Evidence(file=member, section=".note.gnu.property"),),
    )


# -- what is served ----------------------------------------------------------------------------------


def _served(column: Column, cells: Sequence[Cell]) -> Served:
    order = ("runs", "risky", "unknown")
    good = sorted((cell for cell in cells if cell.fit in order), key=lambda cell: order.index(cell.fit))
    if good:
        verdict = good[0].fit
        assert verdict != "not-for"
        others = tuple(cell.asset for cell in good[1:])
        return Served(target=column.name, asset=good[0].asset, verdict=verdict, alternatives=others)
    near = [cell for cell in cells if cell.fit == "fails"]
    why = near[0].reason if near else f"no asset is for {column.system} on {column.arch}"
    return Served(target=column.name, nearest=near[0].asset if near else "", why=why)


def _jobs(missing: tuple[str, ...], hostile: str) -> Iterator[Job]:
    github = f"""\
build-aarch64-musl:
  runs-on: ubuntu-24.04-arm
  steps:
    - uses: actions/checkout@v4
    - run: rustup target add aarch64-unknown-linux-musl
    - run: cargo build --release --target aarch64-unknown-linux-musl
    - uses: actions/upload-artifact@v4
      with:
        name: demo-aarch64-unknown-linux-musl # {hostile}
        path: target/aarch64-unknown-linux-musl/release/demo
"""
    gitlab = """\
build-aarch64-musl:
  tags: [saas-linux-small-arm64]
  image: rust:1.88-alpine
  script:
    - cargo build --release --target aarch64-unknown-linux-musl
  artifacts:
    paths: [target/aarch64-unknown-linux-musl/release/demo]
"""
    why = "a static build runs on every Linux of its architecture"
    asset = "demo-1.4.0-aarch64-unknown-linux-musl.tar.gz"
    for provider, text in (("github", github), ("gitlab", gitlab)):
        assert provider in {"github", "gitlab"}
        yield Job(
            provider="github" if provider == "github" else "gitlab",
            name="build-aarch64-musl",
            how="native",
            why=why,
            text=text,
            asset=asset,
            targets=missing,
        )
