"""Releases against targets: what serves, what is missing, what nobody would miss, and which names are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from runworthy.engine.matrix import matrix_of
from runworthy.model.errors import TargetError
from runworthy.model.matrix import Matrix
from tests.elfwriter import Note, Symbol, elf
from tests.engine.matrix.made import deb, dynamic, mach_o, pe, static, tar_gz, write, zipped

X86 = ("debian:12/x86_64", "alpine:3.20/x86_64")
ARM = ("debian:12/aarch64", "alpine:3.20/aarch64")


def judged(tmp_path: Path, files: Mapping[str, bytes], *on: str) -> Matrix:
    return matrix_of([str(write(tmp_path / "dist", files))], on)


def served(matrix: Matrix) -> dict[str, tuple[str, str]]:
    return {one.target: (one.asset.rpartition("/")[2], one.verdict) for one in matrix.served}


def test_a_static_build_serves_every_c_library(tmp_path: Path) -> None:
    matrix = judged(tmp_path, {"app_linux_arm64": static("aarch64")}, *ARM)
    assert served(matrix) == dict.fromkeys(ARM, ("app_linux_arm64", "runs"))
    assert {cell.reason for cell in matrix.cells} == {"it is static, and asks for no C library"}
    assert matrix.exit_code() == 0


def test_the_question_of_the_missing_musl_build(tmp_path: Path) -> None:
    """A release has linux-arm64 and no musl-arm64: where the one it has needs glibc, a build is missing."""
    matrix = judged(tmp_path, {"app-linux-arm64": dynamic("aarch64", "glibc", "GLIBC_2.34")}, *ARM)
    assert served(matrix) == {ARM[0]: ("app-linux-arm64", "runs"), ARM[1]: ("", "fails")}
    missing = matrix.served[1]
    assert missing.nearest.endswith("app-linux-arm64")
    assert missing.why == "`app-linux-arm64` is built for glibc, alpine:3.20/aarch64 has musl 1.2.5"
    assert matrix.exit_code() == 1


def test_the_build_for_musl_is_not_needed_beside_a_static_one(tmp_path: Path) -> None:
    files = {"app-linux-arm64": static("aarch64"), "app-linux-arm64-musl": dynamic("aarch64", "musl")}
    matrix = judged(tmp_path, files, *ARM)
    assert [(one.asset[-20:], one.by[-15:], one.targets) for one in matrix.redundant] == [
        ("app-linux-arm64-musl", "app-linux-arm64", (ARM[1],))
    ]
    said = (
        "`app-linux-arm64` is static and runs on alpine:3.20/aarch64, the one target that `app-linux-arm64-musl` serves"
    )
    assert matrix.redundant[0].reason == f"{said}, and 1 more"
    assert matrix.exit_code() == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("app-linux-x64", "server-linux-x64"),  # another program
        ("app-1.0-linux-x64", "app-1.1-linux-x64"),  # another release
        ("app-linux-x64", "app-linux-x64-baseline"),  # for other processors
        ("app-linux-amd64_v1", "app-linux-amd64_v3"),
        ("app-linux-x64", "app-linux-x64.bin"),  # the same twice: that is no second build
    ],
)
def test_what_does_not_stand_for_one_another(tmp_path: Path, one: str, other: str) -> None:
    assert not judged(tmp_path, {one: static(), other: static()}, *X86).redundant


def test_of_two_that_stand_for_each_other_one_is_kept(tmp_path: Path) -> None:
    files = {"app-x86_64-linux-gnu": static(), "app-x86_64-linux-musl": static()}
    matrix = judged(tmp_path, files, *X86)
    assert len(matrix.redundant) == 1


@pytest.mark.parametrize(
    ("name", "data", "claim", "fact"),
    [
        ("app-x86_64-linux-musl", dynamic(), "musl", "it needs glibc, by /lib64/ld-linux-x86-64.so.2"),
        ("app-x86_64-linux-gnu", dynamic(libc="musl"), "glibc", "it needs musl, by /lib/ld-musl-x86_64.so.1"),
        ("app-linux-amd64-static", dynamic(), "static", "it asks for /lib64/ld-linux-x86-64.so.2"),
        ("app-linux-arm64", static(), "aarch64", "it is x86_64"),
        ("app-linux-amd64", pe(), "linux", "it is for windows"),
        ("app.exe", static(), "windows", "it is for linux"),
        ("app-macos-universal", mach_o(), "x86_64", "it is aarch64"),
        ("app-linux-amd64-musl.tar.gz", tar_gz({"bin/app": dynamic()}), "musl", "it needs glibc"),
    ],
)
def test_wrong_names(tmp_path: Path, name: str, data: bytes, claim: str, fact: str) -> None:
    matrix = judged(tmp_path, {name: data}, *X86)
    assert [(one.claim, one.fact[: len(fact)]) for one in matrix.misnamed] == [(claim, fact)]
    assert matrix.exit_code() == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("app-x86_64-linux-musl", static()),  # as musl builds usually are
        ("app-x86_64-linux-gnu", static()),
        ("app-linux-armv6", static("arm")),  # their files are alike
    ],
)
def test_names_that_are_right(tmp_path: Path, name: str, data: bytes) -> None:
    assert not judged(tmp_path, {name: data}, *X86).misnamed


def test_what_a_person_starts_decides(tmp_path: Path) -> None:
    files = {"app/bin/app": static(), "app/bin/helper": dynamic("x86_64", "glibc", "GLIBC_2.99")}
    matrix = judged(tmp_path, {"app-linux-x64.tar.gz": tar_gz(files)}, "debian:12/x86_64")
    cell = matrix.cells[0]
    assert (cell.fit, cell.member.rpartition("!")[2]) == ("fails", "app/bin/helper")
    assert "`app/bin/helper`" in cell.reason
    assert "GLIBC_2.99" in cell.reason


def test_a_library_that_fails_is_a_risk(tmp_path: Path) -> None:
    library = elf(needed=["libc.so.6"], imports=[Symbol("x", "GLIBC_2.99", "libc.so.6", use="data")], soname="plug.so")
    files = {"bin/app": static(), "lib/plug.so": library}
    cell = judged(tmp_path, {"app-linux-x64.tar.gz": tar_gz(files)}, "debian:12/x86_64").cells[0]
    assert cell.fit == "risky"
    assert cell.reason.startswith("its programs run, its library `lib/plug.so` does not: ")


def test_archives_and_directories_are_judged_alike(tmp_path: Path) -> None:
    files = {"bin/app": dynamic("x86_64", "glibc", "GLIBC_2.34")}
    held = {"one-linux-x64.tar.gz": tar_gz(files), "two-linux-x64.zip": zipped(files)}
    held |= {f"three-linux-x64/{name}": data for name, data in files.items()}
    write(tmp_path / "dist", held)
    paths = [str(tmp_path / "dist" / name) for name in ("one-linux-x64.tar.gz", "two-linux-x64.zip", "three-linux-x64")]
    matrix = matrix_of(paths, ("ubuntu:20.04/x86_64", "debian:12/x86_64", "alpine:3.20/x86_64"))
    fits = {path: [cell.fit for cell in matrix.cells if cell.asset == path] for path in paths}
    assert list(fits.values()) == [["fails", "runs", "fails"]] * 3


def test_of_many_platforms_in_one_the_targets_own_decide(tmp_path: Path) -> None:
    def library(machine: str, libc: str) -> bytes:
        return elf(machine=machine, needed=[libc], soname="libx.so")

    files = {
        "prebuilds/linux-x64/x.so": library("x86_64", "libc.so.6"),
        "prebuilds/linux-arm64/x.so": library("aarch64", "libc.so.6"),
        "prebuilds/linux-arm64-musl/x.so": library("aarch64", "libc.musl-aarch64.so.1"),
        "prebuilds/win32-x64/x.exe": pe(),
    }
    matrix = judged(tmp_path, {"app.zip": zipped(files)}, *X86, *ARM, "windows/x86_64", "macos/arm64")
    fits = {cell.target: cell.fit for cell in matrix.cells}
    assert fits["alpine:3.20/aarch64"] == "runs"
    assert fits["windows/x86_64"] == "unknown"
    assert fits["macos/arm64"] == "not-for"


def test_packages_serve_their_own_family(tmp_path: Path) -> None:
    files = {"app_1.0_linux_amd64.deb": deb({"usr/bin/app": static()})}
    matrix = judged(
        tmp_path, files, "debian:12/x86_64", "ubuntu:24.04/x86_64", "almalinux:9/x86_64", "alpine:3.20/x86_64"
    )
    assert [cell.fit for cell in matrix.cells] == ["runs", "runs", "not-for", "not-for"]
    assert matrix.cells[2].reason == "it is a package for dpkg, almalinux:9/x86_64 installs with rpm"


def test_what_a_package_depends_on_is_not_missing(tmp_path: Path) -> None:
    needs = dynamic("x86_64", "glibc", "GLIBC_2.34", "libssl.so.3")
    matrix = judged(tmp_path, {"app_1.0_amd64.deb": deb({"usr/bin/app": needs})}, "debian:12/x86_64")
    assert matrix.cells[0].fit == "unknown"
    assert matrix.cells[0].reason.endswith("what the package depends on is to bring it")


def test_windows_and_macos_are_told_and_never_said_to_run(tmp_path: Path) -> None:
    files = {
        "app-windows-amd64.exe": pe(),
        "app-darwin-arm64": mach_o(0x0100000C, "/usr/lib/libSystem.B.dylib", "/opt/homebrew/lib/libpcre2-8.0.dylib"),
    }
    matrix = judged(tmp_path, files, "@windows", "@macos", "debian:12/x86_64")
    fits = {(cell.asset.rpartition("/")[2], cell.target): (cell.fit, cell.reason) for cell in matrix.cells}
    assert fits["app-windows-amd64.exe", "macos/arm64"][0] == "not-for"
    assert fits["app-windows-amd64.exe", "debian:12/x86_64"][0] == "not-for"
    assert fits["app-darwin-arm64", "macos/x86_64"] == ("not-for", "it is for aarch64")
    assert fits["app-darwin-arm64", "macos/arm64"] == (
        "unknown",
        (
            "a macOS program for aarch64, macOS 11.0 or newer, "
            "loads /opt/homebrew/lib/libpcre2-8.0.dylib, which macOS does not bring; macOS is not modelled"
        ),
    )
    fit, reason = fits["app-windows-amd64.exe", "windows/aarch64"]
    assert fit == "unknown"
    assert "started by the emulation of Windows 11 on ARM" in reason
    assert "runs" not in {fit for fit, _ in fits.values()}


def test_only_what_cannot_be_told_ends_with_four(tmp_path: Path) -> None:
    matrix = judged(tmp_path, {"app.exe": pe()}, "windows/x86_64")
    assert served(matrix) == {"windows/x86_64": ("app.exe", "unknown")}
    assert (matrix.exit_code(), matrix.exit_code(strict=True)) == (4, 1)


def test_programs_of_other_systems_serve_no_linux(tmp_path: Path) -> None:
    """The kernel starts a static program for FreeBSD, which ends at its first call."""
    bsd = elf(kind=2, base=4 << 20, notes=[Note(b"FreeBSD\0", 1, bytes(4))])
    sun = elf(interpreter="/lib/amd64/ld.so.1", needed=["libc.so.1"], tags=[(21, 0)])
    files = {"app_freebsd_amd64": bsd, "app_solaris_amd64": sun, "app_linux_amd64": bsd}
    matrix = judged(tmp_path, files, *X86)
    assert served(matrix) == dict.fromkeys(X86, ("", "fails"))
    assert {cell.reason for cell in matrix.cells} == {"it is for freebsd", "it is for illumos"}
    assert [(one.asset[-15:], one.claim, one.fact) for one in matrix.misnamed] == [
        ("app_linux_amd64", "linux", "it is for freebsd")
    ]


BASH = b"#!/bin/bash\nexec real\n"
NODE = b"#!/usr/bin/env node\n"


@pytest.mark.parametrize(
    ("files", "fits"),
    [
        ({"app-1/bin/app": BASH, "app-1/bin/real": static()}, ["runs", "fails"]),
        ({"app-1/app": BASH, "app-1/lib/real": static()}, ["runs", "fails"]),
        ({"app": BASH}, ["runs", "fails"]),
        ({"bin/main": NODE, "bin/other": BASH}, ["fails", "fails"]),
        ({"app": static(), "bin/helper": BASH}, ["runs", "runs"]),  # nobody starts the program by it
        ({"app": static(), "install.sh": BASH}, ["runs", "runs"]),
        ({"app": static(), "share/app": BASH}, ["runs", "runs"]),
        ({"install.sh": BASH}, ["unknown", "unknown"]),
    ],
)
@pytest.mark.parametrize("unpacked", [False, True])
def test_scripts_by_which_a_program_is_started(
    tmp_path: Path, files: Mapping[str, bytes], fits: list[str], *, unpacked: bool
) -> None:
    """Alpine's image has no bash: that a script asks for it decides, whatever else the asset holds."""
    if unpacked:
        for name, data in files.items():
            file = tmp_path / "dist/app-1-linux-x64" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            file.chmod(0o755)
        matrix = matrix_of([str(tmp_path / "dist")], X86)
    else:
        archive = write(tmp_path / "dist", {"app-1-linux-x64.tar.gz": tar_gz(files)}) / "app-1-linux-x64.tar.gz"
        archive.chmod(0o644)  # or it might be started itself
        matrix = matrix_of([str(archive)], X86)
    assert [cell.fit for cell in matrix.cells] == fits
    assert not matrix.misnamed


def test_no_build_at_all(tmp_path: Path) -> None:
    matrix = judged(tmp_path, {"SHA256SUMS": b"", "app-1.0.tar.gz": tar_gz({"app-1.0/go.mod": b"module x"})}, *X86)
    assert [asset.kind for asset in matrix.assets] == ["checksum", "source"]
    assert matrix.exit_code() == 3


def test_bytes_make_a_build_of_what_is_named_like_sources(tmp_path: Path) -> None:
    files = {"app-1.0.tar.gz": tar_gz({"app-1.0/app": static()}), "lib-1.0.tar.gz": tar_gz({
        "lib-1.0/Makefile": b"all:", "lib-1.0/tests/fixture": static()})}  # fmt: skip
    matrix = judged(tmp_path, files, *X86)
    assert {asset.name: asset.kind for asset in matrix.assets} == {
        "app-1.0.tar.gz": "build",
        "lib-1.0.tar.gz": "source",
    }


def test_wheels_by_their_tags(tmp_path: Path) -> None:
    module = zipped({"x/_core.abi3.so": elf(needed=["libc.so.6"])})
    musl = zipped({"x/_core.abi3.so": elf(needed=["libc.musl-x86_64.so.1"])})
    files = {
        "x-1.0-cp39-abi3-manylinux_2_34_x86_64.whl": module,
        "x-1.0-cp39-abi3-musllinux_1_2_x86_64.whl": musl,
        "x-1.0-cp39-abi3-win_amd64.whl": zipped({"x/_core.pyd": b""}),
    }
    matrix = judged(tmp_path, files, "debian:11/x86_64", "debian:12/x86_64", "alpine:3.20/x86_64")
    row = [cell for cell in matrix.cells if "manylinux" in cell.asset]
    assert row[0].fit == "not-for"
    assert row[0].reason == "its tag is manylinux_2_34, debian:11/x86_64 has glibc 2.31"
    assert row[2].fit == "not-for"
    assert [cell.fit for cell in matrix.cells if "win_amd64" in cell.asset] == ["not-for"] * 3
    assert served(matrix)["alpine:3.20/x86_64"][0] == "x-1.0-cp39-abi3-musllinux_1_2_x86_64.whl"


def test_a_directory_of_directories(tmp_path: Path) -> None:
    write(tmp_path / "dist", {"app_linux_amd64_v1/app": static(), "app_linux_arm64/app": static("aarch64")})
    matrix = matrix_of([str(tmp_path / "dist")], (*X86, *ARM))
    assert [asset.name for asset in matrix.assets] == ["app_linux_amd64_v1", "app_linux_arm64"]
    assert matrix.exit_code() == 0


def test_a_target_without_an_architecture_is_each_of_the_release(tmp_path: Path) -> None:
    files = {"app_linux_amd64": static(), "app_linux_arm64": static("aarch64")}
    matrix = judged(tmp_path, files, "debian:12")
    assert [column.name for column in matrix.columns] == ["debian:12/x86_64", "debian:12/aarch64"]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    files = {
        "app-linux-amd64.tar.gz": b"\x1f\x8b\x08 cut off",
        "app.msi": b"\xd0\xcf\x11\xe0",
        "app-linux-x64": static()[:80],
    }
    matrix = judged(tmp_path, files, "debian:12/x86_64", "windows/x86_64")
    assert all(asset.problem for asset in matrix.assets)
    assert {cell.fit for cell in matrix.cells} <= {"unknown", "not-for"}
    assert matrix.exit_code() in (1, 4)


def test_unknown_sets(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="@nope is no set"):
        judged(tmp_path, {"app_linux_amd64": static()}, "@nope")


def test_what_pip_takes_is_not_what_a_system_emulates(tmp_path: Path) -> None:
    files = {"x-1.0-cp39-abi3-win_amd64.whl": zipped({"x/_core.pyd": pe()}), "app-windows-amd64.exe": pe()}
    matrix = judged(tmp_path, files, "@windows")
    fits = {(cell.asset.rpartition("/")[2], cell.target): cell.fit for cell in matrix.cells}
    assert fits["x-1.0-cp39-abi3-win_amd64.whl", "windows/aarch64"] == "not-for"
    assert fits["x-1.0-cp39-abi3-win_amd64.whl", "windows/x86_64"] == "unknown"
    assert fits["app-windows-amd64.exe", "windows/aarch64"] == "unknown"
