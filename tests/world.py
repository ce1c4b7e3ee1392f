"""Small programs and libraries for tests of the command line and for the examples in the documentation.

Written byte by byte, so that they are the same on every machine: what an ordinary compiler of 2022 makes.
"""

from __future__ import annotations

from pathlib import Path

from tests.elfwriter import Symbol, elf

__all__ = ["make"]

LOADER = "/lib64/ld-linux-x86-64.so.2"
MUSL_LOADER = "/lib/ld-musl-x86_64.so.1"
DT_DEBUG = (21, 0)


def make(directory: Path) -> Path:
    """Write the files into ``directory`` and return it."""
    files = {
        # as gcc on Ubuntu 22.04 links it
        "app": elf(
            interpreter=LOADER,
            needed=["libc.so.6"],
            tags=[DT_DEBUG],
            imports=[
                Symbol("__libc_start_main", "GLIBC_2.34", "libc.so.6", use="data"),
                Symbol("dlopen", "GLIBC_2.34", "libc.so.6", use="data"),
                Symbol("puts", "GLIBC_2.2.5", "libc.so.6", use="plt"),
            ],
        ),
        # needs a library that lies beside it, where no loader looks
        "server": elf(
            interpreter=LOADER,
            needed=["libgreeting.so.1", "libc.so.6"],
            tags=[DT_DEBUG],
            imports=[
                Symbol("greeting", use="data"),
                Symbol("__libc_start_main", "GLIBC_2.34", "libc.so.6", use="data"),
            ],
        ),
        "libgreeting.so.1": elf(soname="libgreeting.so.1", exports=["greeting"]),
        "client": elf(
            interpreter=MUSL_LOADER,
            needed=["libc.musl-x86_64.so.1"],
            tags=[DT_DEBUG],
            imports=[Symbol("__libc_start_main", use="data"), Symbol("puts", use="plt")],
        ),
        "notes.txt": b"no program\n",
        "empty": b"",
    }
    for name, data in files.items():
        path = directory / name
        path.write_bytes(data)
        path.chmod(0o755)
    return directory
