"""Releases for tests: directories of small assets, named as projects name them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.elfwriter import Symbol, elf
from tests.world import DT_DEBUG, LOADER

__all__ = ["ARM_LOADER", "program", "release", "tgz", "wheel", "zipped"]

ARM_LOADER = "/lib/ld-linux-aarch64.so.1"


def program(node: str = "GLIBC_2.2.5", *, machine: str = "x86_64", loader: str = LOADER, **more: object) -> bytes:
    """Return a program that needs a version of glibc."""
    start = Symbol("__libc_start_main", node, "libc.so.6", use="data")
    made = {"interpreter": loader, "needed": ["libc.so.6"], "tags": [DT_DEBUG], "imports": [start]}
    return elf(machine=machine, **(made | more))  # type: ignore[arg-type]


def tgz(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a tar archive packed with gzip."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            row = tarfile.TarInfo(name)
            row.size, row.mode = len(data), 0o755
            archive.addfile(row, io.BytesIO(data))


def zipped(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a zip archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            row = zipfile.ZipInfo(name)
            row.external_attr = 0o100755 << 16
            archive.writestr(row, data)


def wheel(path: Path, files: Mapping[str, bytes], requires: str = "") -> None:
    """Write a wheel, which needs nothing but its name and its metadata here."""
    project, version = path.name.split("-")[:2]
    info = f"{project}-{version}.dist-info"
    tag = path.name.removesuffix(".whl").split("-", 2)[2]
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    notes = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n{needs}".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
        f"{info}/RECORD": b"",
    }
    zipped(path, {**files, **notes})


def release(directory: Path, version: str, *, new: bool) -> str:
    """Write the assets of a release; a ``new`` one needs a newer glibc on amd64, has riscv64 and no armv7 any more."""
    directory.mkdir()
    top = f"app-{version}"
    tgz(directory / f"{top}-linux-amd64.tar.gz", {f"{top}/bin/app": program("GLIBC_2.34" if new else "GLIBC_2.2.5")})
    arm = program("GLIBC_2.17", machine="aarch64", loader=ARM_LOADER)
    tgz(directory / f"{top}-linux-arm64.tar.gz", {f"{top}/bin/app": arm, f"{top}/README": version.encode()})
    zipped(directory / f"{top}-linux-musl-amd64.zip", {"app": elf(kind=2, tags=[DT_DEBUG])})
    zipped(directory / f"{top}-windows-amd64.zip", {"app.exe": b"MZ" + version.encode()})
    (directory / f"{top}-darwin-arm64").write_bytes(b"\xcf\xfa\xed\xfe" + version.encode())
    copy = Symbol("memcpy", "GLIBC_2.17" if new else "GLIBC_2.14", "libc.so.6")
    core = elf(soname="_core.so", needed=["libc.so.6"], imports=[copy])
    wheel(directory / f"{top}-py3-none-manylinux_2_17_x86_64.whl", {"app/_core.so": core})
    (directory / "sha256sums.txt").write_text("")
    if new:
        loader = "/lib/ld-linux-riscv64-lp64d.so.1"
        risc = program("GLIBC_2.34", machine="riscv64", loader=loader)
        tgz(directory / f"{top}-linux-riscv64.tar.gz", {f"{top}/bin/app": risc})
    else:
        old = program("GLIBC_2.4", machine="arm", loader="/lib/ld-linux-armhf.so.3")
        (directory / f"{top}-linux-armv7").write_bytes(old)
    return str(directory)
