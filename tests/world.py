"""Small programs and libraries for tests of the command line and for the examples in the documentation.

Written byte by byte, so that they are the same on every machine: what an ordinary compiler of 2022 makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.apewriter import ape, like_ape_loader
from tests.elfwriter import Symbol, elf
from tests.wheels import pack_wheel

__all__ = ["LOADER", "MUSL_LOADER", "make"]

LOADER = "/lib64/ld-linux-x86-64.so.2"
MUSL_LOADER = "/lib/ld-musl-x86_64.so.1"
DT_DEBUG = (21, 0)
START = Symbol("__libc_start_main", "GLIBC_2.34", "libc.so.6", use="data")


def make(directory: Path) -> Path:
    """Write the files into ``directory`` and return it."""
    for name, data in _files().items():
        path = directory / name
        path.parent.mkdir(exist_ok=True, parents=True)
        if isinstance(data, str):
            path.unlink(missing_ok=True)
            path.symlink_to(data)
            continue
        path.write_bytes(data)
        path.chmod(0o755)
    return directory


def _files() -> dict[str, bytes | str]:
    view = elf(soname="libview.so.2", needed=["libGL.so.1", "libc.so.6"], imports=["glFlush"], exports=["show"])
    return {
        # as gcc on Ubuntu 22.04 links it
        "app": _program(
            ["libc.so.6"],
            START,
            Symbol("dlopen", "GLIBC_2.34", "libc.so.6", use="data"),
            Symbol("puts", "GLIBC_2.2.5", "libc.so.6", use="plt"),
        ),
        # the same, linked on Ubuntu 20.04: before glibc 2.34 took libdl in
        "app-1.0": _program(
            ["libdl.so.2", "libc.so.6"],
            Symbol("__libc_start_main", "GLIBC_2.2.5", "libc.so.6", use="data"),
            Symbol("dlopen", "GLIBC_2.2.5", "libdl.so.2", use="data"),
            Symbol("puts", "GLIBC_2.2.5", "libc.so.6", use="plt"),
        ),
        # needs a library that lies beside it, where no loader looks
        "server": _program(["libgreeting.so.1", "libc.so.6"], Symbol("greeting", use="data"), START),
        "libgreeting.so.1": elf(soname="libgreeting.so.1", exports=["greeting"]),
        # a module for CPython, linked on CentOS 7
        "_core.abi3.so": elf(
            needed=["libc.so.6"],
            imports=[
                Symbol("PyModule_Create2", use="plt"),
                Symbol("PyErr_SetString", use="plt"),
                Symbol("memcpy", "GLIBC_2.14", "libc.so.6", use="plt"),
            ],
        ),
        # as gcc on Alpine links it
        "client": elf(
            interpreter=MUSL_LOADER,
            needed=["libc.musl-x86_64.so.1"],
            tags=[DT_DEBUG],
            imports=[Symbol("__libc_start_main", use="data"), Symbol("puts", use="plt")],
        ),
        # an application in a directory of its own: what it bundles, it finds by $ORIGIN; libGL.so.1 it does not bundle
        "viewer/bin/viewer": elf(
            interpreter=LOADER,
            needed=["libview.so.2", "libc.so.6"],
            runpath="$ORIGIN/../lib",
            tags=[DT_DEBUG],
            imports=[START, Symbol("show", use="plt")],
        ),
        "viewer/lib/libview.so.2": view,
        "viewer/lib/libview.so": view,
        **{
            f"viewer/plugins/{name}.so": elf(
                needed=["libview.so.2"], runpath="$ORIGIN/../lib", imports=["show"], exports=[name]
            )
            for name in ("gif", "jpeg", "png")
        },
        "viewer/LICENSE": b"as you like\n",
        # the root of a machine on which there is nothing but musl
        "rootfs/etc/os-release": b"ID=small\n",
        "rootfs/lib/ld-musl-x86_64.so.1": elf(
            soname="libc.musl-x86_64.so.1", exports=["__libc_start_main", "stdin", "dlopen", "puts", "statx"]
        ),
        # an Actually Portable Executable that carries its loader, and a machine with Wine that boots with systemd
        "llamafile": ape(loaders={"x86_64": like_ape_loader()}),
        **{f"winebox/{path}": data for path, data in _WINEBOX.items()},
        **{
            f"winebox/usr/bin/{name}": _static()
            for name in ("sh", "env", "wine", "uname", "mkdir", "dd", "gzip", "chmod", "mv")
        },
        **{f"winebox/usr/lib/systemd/{name}": _static() for name in ("systemd", "systemd-binfmt")},
        # a release whose build for arm64 needs glibc
        "release/app_1.0_linux_amd64": _static(),
        "release/app_1.0_linux_amd64_musl": elf(
            interpreter=MUSL_LOADER, needed=["libc.musl-x86_64.so.1"], tags=[DT_DEBUG], imports=["puts"]
        ),
        "release/app_1.0_linux_arm64": elf(
            machine="aarch64", interpreter="/lib/ld-linux-aarch64.so.1", needed=["libc.so.6"], tags=[DT_DEBUG]
        ),
        "release/app_1.0_checksums.txt": b"",
        # a wheel of which a file needs more than its tag promises
        "greeting-1.0-cp312-abi3-manylinux_2_17_x86_64.whl": _wheel(),
        # what a project states in a file
        "project/runworthy.toml": _PROJECT,
        "project/build/app": _program(["libc.so.6"], START),
        # two projects for which pip installed the same package
        **{f"work/{name}/.venv/{path}": data for name in ("blog", "shop") for path, data in _environment().items()},
        "notes.txt": b"no program\n",
        "empty": b"",
    }


def _environment() -> dict[str, bytes]:
    """The files of a virtual environment with one package, as pip leaves them."""
    packages = "lib/python3.12/site-packages"
    library = elf(soname="libcodec.so.3", exports=["encode"])
    module = elf(needed=["libcodec.so.3"], runpath="$ORIGIN/../images.libs", imports=["encode"])
    return {
        "pyvenv.cfg": b"home = /usr/bin\nversion = 3.12.3\n",
        f"{packages}/images/_codec.abi3.so": module + bytes(range(1, 256)) * 400,
        f"{packages}/images.libs/libcodec.so.3": library + bytes(range(1, 256)) * 4000,
        f"{packages}/images-2.1.dist-info/INSTALLER": b"pip\n",
        f"{packages}/images-2.1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: images\nVersion: 2.1\n",
        f"{packages}/images-2.1.dist-info/RECORD": b"".join(
            f"{name},,\n".encode()
            for name in (
                "images/_codec.abi3.so",
                "images.libs/libcodec.so.3",
                "images-2.1.dist-info/INSTALLER",
                "images-2.1.dist-info/METADATA",
                "images-2.1.dist-info/RECORD",
            )
        ),
    }


def _wheel() -> bytes:
    module = elf(
        needed=["libgreeting.so.1", "libc.so.6"],
        runpath="$ORIGIN/../greeting.libs",
        imports=[
            Symbol("PyModule_Create2", use="plt"),
            Symbol("greeting", use="plt"),
            Symbol("fcntl64", "GLIBC_2.28", "libc.so.6", use="plt"),
        ],
    )
    library = elf(soname="libgreeting.so.1", exports=["greeting"])
    members = {"greeting/_core.abi3.so": module, "greeting.libs/libgreeting.so.1": library}
    return pack_wheel("greeting-1.0-cp312-abi3-manylinux_2_17_x86_64.whl", members)


_PROJECT = b"""\
subjects = "build/"
on = "@production"
kernel = "5.4"

[targets]
production = ["ubuntu:20.04", "debian:12"]

[floor]
max-glibc = "2.36"

[[waiver]]
code = "RW301"
subject = "build/app"
target = "ubuntu:20.04"
reason = "the last machine with it goes with the old data centre"
expires = 2099-01-31
"""


def _static() -> bytes:
    return elf(kind=2, tags=[DT_DEBUG])


_UNITS = "usr/lib/systemd/system"
_WINEBOX: dict[str, bytes | str] = {
    "etc/os-release": b"ID=debian\nVERSION_ID=12\n",
    "bin": "usr/bin",
    "sbin/init": "../usr/lib/systemd/systemd",
    f"{_UNITS}/systemd-binfmt.service": (
        b"[Unit]\nConditionDirectoryNotEmpty=|/usr/lib/binfmt.d\nConditionDirectoryNotEmpty=|/etc/binfmt.d\n"
        b"[Service]\nExecStart=/usr/lib/systemd/systemd-binfmt\n"
    ),
    f"{_UNITS}/proc-sys-fs-binfmt_misc.automount": b"[Automount]\nWhere=/proc/sys/fs/binfmt_misc\n",
    f"{_UNITS}/proc-sys-fs-binfmt_misc.mount": b"[Mount]\nWhere=/proc/sys/fs/binfmt_misc\n",
    f"{_UNITS}/sysinit.target.wants/systemd-binfmt.service": "../systemd-binfmt.service",
    f"{_UNITS}/sysinit.target.wants/proc-sys-fs-binfmt_misc.automount": "../proc-sys-fs-binfmt_misc.automount",
    "usr/lib/binfmt.d/wine.conf": b":DOSWin:M::MZ::/usr/bin/wine:\n",
}


def _program(needed: Sequence[str], *imports: Symbol) -> bytes:
    return elf(interpreter=LOADER, needed=needed, tags=[DT_DEBUG], imports=imports)
