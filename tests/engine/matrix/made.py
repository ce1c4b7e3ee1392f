"""A small release, written byte by byte: what it holds is what its names say, but where a test wants it otherwise."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from struct import pack

from tests.apewriter import windows_program
from tests.elfwriter import Symbol, elf
from tests.formats.packages import ar

__all__ = ["deb", "dynamic", "mach_o", "pe", "static", "tar_gz", "write", "zipped"]

_LOADERS = {
    ("x86_64", "glibc"): "/lib64/ld-linux-x86-64.so.2",
    ("x86_64", "musl"): "/lib/ld-musl-x86_64.so.1",
    ("aarch64", "glibc"): "/lib/ld-linux-aarch64.so.1",
    ("aarch64", "musl"): "/lib/ld-musl-aarch64.so.1",
}


def static(machine: str = "x86_64") -> bytes:
    """Return a program that asks for no loader."""
    return elf(machine=machine, kind=2)


def dynamic(machine: str = "x86_64", libc: str = "glibc", version: str = "", *needed: str) -> bytes:
    """Return a program for a C library, of glibc with a version that it asks for."""
    own = "libc.so.6" if libc == "glibc" else f"libc.musl-{machine}.so.1"
    start = Symbol("__libc_start_main", version, own, use="data") if version else Symbol("puts", use="plt")
    return elf(
        machine=machine, interpreter=_LOADERS[machine, libc], needed=[*needed, own], imports=[start], tags=[(21, 0)]
    )


def pe(machine: int = 0x8664) -> bytes:
    """Return a console program for Windows, which imports KERNEL32.dll."""
    headers, section = windows_program(0x80, 0x400, 7, machine=machine, subsystem=3, dll=False)
    dos = (b"MZ".ljust(60, b"\0") + pack("<I", 0x80)).ljust(0x80, b"\0")
    return (dos + headers).ljust(0x400, b"\0") + section


def mach_o(cpu: int = 0x0100000C, *libraries: str, minimum: int = 11 << 16) -> bytes:
    """Return a program for macOS: LC_BUILD_VERSION, and an LC_LOAD_DYLIB for each library."""
    commands = [pack("<6I", 0x32, 24, 1, minimum, minimum, 0)]
    for name in libraries:
        text = name.encode() + b"\0" * (8 - len(name) % 8)
        commands.append(pack("<6I", 0xC, 24 + len(text), 24, 0, 0, 0) + text)
    held = b"".join(commands)
    return pack("<8I", 0xFEEDFACF, cpu, 0, 2, len(commands), len(held), 0, 0) + held


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files that may be executed."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, data in files.items():
            row = tarfile.TarInfo(name)
            row.size, row.mode = len(data), 0o755
            archive.addfile(row, io.BytesIO(data))
    return gzip.compress(held.getvalue(), mtime=0)


def deb(files: Mapping[str, bytes]) -> bytes:
    """Return a Debian package of files that may be executed."""
    control = tar_gz({"./control": b"Package: x\n"})
    return ar({"debian-binary": b"2.0\n", "control.tar.gz": control, "data.tar.gz": tar_gz(files)})


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return held.getvalue()


def write(directory: Path, files: Mapping[str, bytes]) -> Path:
    """Write a release into a directory, and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755)
    return directory
