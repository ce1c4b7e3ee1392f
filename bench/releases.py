"""What the bench opens: a release of forty assets, and archives of very many files, made anew for each run."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["ASSETS", "FILES", "TARGETS", "big_tar", "big_zip", "release"]

ASSETS = 40
FILES = 60_000
TARGETS = (
    "alpine:3.12", "alpine:3.18", "alpine:3.20", "amazonlinux:2", "amazonlinux:2023", "debian:10", "debian:11",
    "debian:12", "fedora:42", "manylinux_2_17", "manylinux_2_28", "musllinux_1_1", "musllinux_1_2", "rhel:8", "rhel:9",
    "rockylinux:8", "ubuntu:18.04", "ubuntu:20.04", "ubuntu:22.04", "ubuntu:24.04",
)  # fmt: skip
_COMPILERS = {
    "amd64": ("gcc", "cc"),
    "arm64": ("aarch64-linux-gnu-gcc",),
    "386": ("i686-linux-gnu-gcc",),
}
_SOURCE = """
#include <math.h>
#include <pthread.h>
#include <stdio.h>
static void *work(void *x) { return x; }
int main(int argc, char **argv) {
    pthread_t thread;
    pthread_create(&thread, 0, work, 0);
    return printf("%f\\n", pow(argc, 3)) < 0;
}
"""
_DATA = 400_000
Pack = Callable[[Path, bytes, bytes], None]
_LIBRARY_EACH = 3000


def release(directory: Path) -> int:
    """Make a release: two programs, dynamic and static, for each architecture that a compiler is here for.

    They are packed as .tar.gz, .tar.xz and .zip, and each lies there bare as well: forty where there are compilers
    for three architectures. Return how many assets there are.
    """
    directory.mkdir()
    data = random.Random(1).randbytes(_DATA)  # noqa: S311 - what does not pack well, the same each time
    count = 0
    for name, path in _programs(directory):
        for pack in (_tar("gz"), _tar("xz"), _zip, _bare):
            if count < ASSETS:
                pack(directory / name, path.read_bytes(), data)
                count += 1
        path.unlink()
    return count


def _programs(directory: Path) -> Iterator[tuple[str, Path]]:
    """Compile, and yield what each asset is called."""
    for arch, names in _COMPILERS.items():
        compiler = next(filter(shutil.which, names), None)
        for kind in ("gnu", "static") if compiler else ():
            for program in ("app", "appctl"):
                made = directory / "made"
                options = ["-static"] if kind == "static" else []
                words = [str(compiler), *options, "-O1", "-x", "c", "-", "-o", str(made), "-lm", "-lpthread"]
                subprocess.run(words, input=_SOURCE, text=True, check=True)
                yield f"{program}-1.0-linux-{arch}{'-static' if options else ''}", made


def _tar(form: str) -> Pack:
    def pack(path: Path, program: bytes, data: bytes) -> None:
        with tarfile.open(f"{path}.tar.{form}", f"w:{form}") as archive:  # type: ignore[call-overload]  # two forms
            for name, content in _members(path.name, program, data):
                row = tarfile.TarInfo(name)
                row.size, row.mode = len(content), 0o755
                archive.addfile(row, io.BytesIO(content))

    return pack


def _zip(path: Path, program: bytes, data: bytes) -> None:
    with zipfile.ZipFile(f"{path}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _members(path.name, program, data):
            archive.writestr(name, content)


def _bare(path: Path, program: bytes, data: bytes) -> None:
    del data
    path.write_bytes(program)
    path.chmod(0o755)


def _members(name: str, program: bytes, data: bytes) -> Iterator[tuple[str, bytes]]:
    yield f"{name}/bin/app", program
    yield f"{name}/share/data", data
    yield f"{name}/LICENSE", b"as you like\n" * 50


def _many() -> Iterator[tuple[str, bytes]]:
    """Yield the files of a large tree: text, and a library among each few thousand."""
    number = random.Random(1)  # noqa: S311 - the same each time
    words = (b"def ", b"return ", b"self", b"\n    ", b"import os\n", b"value", b" = ", b"None")
    library = Path(shutil.which("ls") or "/bin/ls").read_bytes()
    for at in range(FILES):
        if at % _LIBRARY_EACH == 0:
            yield f"app/{at % 300}/lib{at}.so", library
        else:
            yield f"app/{at % 300}/m{at}.py", b"".join(number.choices(words, k=number.randrange(20, 600)))


def big_zip(path: Path) -> None:
    """Write a zip archive of very many files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _many():
            archive.writestr(name, data)


def big_tar(path: Path) -> None:
    """Write a .tar.xz of very many files."""
    with tarfile.open(path, "w:xz", preset=1) as archive:
        for name, data in _many():
            row = tarfile.TarInfo(name)
            row.size = len(data)
            archive.addfile(row, io.BytesIO(data))
