"""Which C library a root has, read off its loader.

A loader tells itself: its soname or symbols give the family, its banner or version nodes the release,
and the directories that it searches by default are compiled into it as text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runworthy.formats.content import Content
from runworthy.model.arch import Architecture
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.libc import Libc
from runworthy.targets.view import FileView, UnseenError

if TYPE_CHECKING:
    from runworthy.targets.target import Target

__all__ = [
    "compiled_directories",
    "default_directories",
    "identify_loader",
    "libc_of_root",
    "musl_directories",
    "search_directories",
    "usual_directories",
]

_SCAN_LIMIT = 4 << 20
_GLIBC_BANNER = re.compile(rb"(?:stable|development) release version (\d+)\.(\d+)")
_GLIBC_NAME = re.compile(r"ld-(\d+)\.(\d+)\.so$")
_GLIBC_NODE = re.compile(r"GLIBC_(\d+)\.(\d+)$")
_MUSL_VERSION = re.compile(rb"\0(\d)\.(\d+)\.(\d+)(?:-git[^\0]*)?\0")
# glibc elf/Makefile writes SYSTEM_DIRS as consecutive strings that end in a slash (elf/dl-load.c system_dirs).
_SYSTEM_DIRS = re.compile(rb"((?:/[A-Za-z0-9_.+/-]{0,120}lib[A-Za-z0-9_.+/-]{0,120}/\0){2,8})")

_MUSL_DIRECTORIES = ("/lib", "/usr/local/lib", "/usr/lib")

# (symbol, release that brought it), newest first: musl keeps no version nodes (musl WHATSNEW).
_MUSL_SYMBOLS = (
    (b"statx", (1, 2, 5)),
    (b"qsort_r", (1, 2, 3)),
    (b"_Fork", (1, 2, 2)),
    (b"copy_file_range", (1, 2, 0)),
)


def libc_of_root(target: Target) -> Libc | None:
    """Return the C library of a root by the loader of its architecture, None where it has none that can be read."""
    if target.libcs:
        return next(iter(target.libcs.values()))
    for path in (target.arch.glibc_loader, target.arch.musl_loader):
        try:
            return identify_loader(target.view, target.view.resolve(path).path)
        except (OSError, FormatError, UnseenError):
            continue
    return None


def search_directories(target: Target, libc: Libc | None) -> tuple[str, ...]:
    """Return the directories that a root's loader searches without being told to, in order, none if nobody knows."""
    try:
        if libc is not None and libc.family == "musl":
            return musl_directories(target.view, target.arch)
        if target.system_directories:
            return target.system_directories
        return default_directories(target.view, libc.loader, target.arch) if libc and libc.family == "glibc" else ()
    except UnseenError:
        return ()


def musl_directories(view: FileView, arch: Architecture) -> tuple[str, ...]:
    """Return the directories of the path file of a musl loader in its usual place, else those that are built in.

    Source: musl ``ldso/dynlink.c`` (load_library, sys_path).
    """
    name = arch.musl_loader.rpartition("/ld-musl-")[2].removesuffix(".so.1")
    try:
        text = view.read(f"/etc/ld-musl-{name}.path").split(b"\0")[0].decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return _MUSL_DIRECTORIES
    except (OSError, FormatError):
        return ()
    return tuple(directory for directory in re.split("[:\n]", text) if directory)


def identify_loader(view: FileView, real: str) -> Libc:
    """Return the C library whose loader lies at the real path. Raises FormatError, OSError."""
    loader = view.elf(real)
    soname = loader.facts.soname or ""
    if soname.startswith(("ld-uClibc", "ld64-uClibc")) or "uClibc" in real:
        return Libc(family="uclibc", loader=real)
    if real.startswith(("/system/bin/linker", "/apex/")) or soname.startswith("ld-android"):
        return Libc(family="bionic", loader=real)
    if soname.startswith(("ld-linux", "ld64.so", "ld.so")):
        return Libc(family="glibc", version=_glibc_version(view, real), loader=real)
    names = loader.exports().names
    if {b"__libc_start_main", b"stdin", b"dlopen"} <= names and not loader.facts.version_defs:
        return Libc(family="musl", version=_musl_version(view, real, names), loader=real)
    return Libc(family="none", loader=real)


def compiled_directories(view: FileView, real: str) -> tuple[str, ...]:
    """Return the directories compiled into the glibc loader at ``real``, empty when its bytes are not at hand."""
    found = _SYSTEM_DIRS.search(_scan(view, real))
    if found is None:
        return ()
    return tuple(text.decode("ascii").rstrip("/") for text in found[1].split(b"\0") if text)


def default_directories(view: FileView, loader: str | None, arch: Architecture) -> tuple[str, ...]:
    """Return the directories that the glibc loader at the real path ``loader`` searches by default, in order."""
    return (compiled_directories(view, loader) if loader else ()) or usual_directories(view, arch)


def usual_directories(view: FileView, arch: Architecture) -> tuple[str, ...]:
    """Return the default directories of a glibc whose loader gives no bytes: by where its libc.so.6 lies."""
    triple = (f"/lib/{arch.multiarch}", f"/usr/lib/{arch.multiarch}")
    if any(view.exists(f"{directory}/libc.so.6") for directory in triple):
        return (*triple, "/lib", "/usr/lib")
    wide = arch.lib.split("/")[0]
    if wide != "lib" and view.exists(f"/{arch.lib}/libc.so.6"):
        return (f"/{arch.lib}", f"/usr/{arch.lib}")
    return ("/lib", "/usr/lib")


def _scan(view: FileView, real: str) -> bytes:
    try:
        content: Content = view.content(real)
        return content.pread(0, min(content.size, _SCAN_LIMIT))
    except OSError:
        return b""


def _glibc_version(view: FileView, real: str) -> tuple[int, ...] | None:
    """Return the release by the loader's banner, its file name, libc.so.6 beside it, or its newest version node."""
    banner = _GLIBC_BANNER.search(_scan(view, real))
    if banner:
        return (int(banner[1]), int(banner[2]))
    name = _GLIBC_NAME.search(real)
    if name:
        return (int(name[1]), int(name[2]))
    directory = real.rpartition("/")[0]
    try:
        libc = view.resolve(f"{directory}/libc.so.6").path
        banner = _GLIBC_BANNER.search(_scan(view, libc))
        if banner:
            return (int(banner[1]), int(banner[2]))
        return _newest_node(view.elf(libc))
    except (OSError, FormatError):
        return _by_loader_alone(view, real)


def _by_loader_alone(view: FileView, real: str) -> tuple[int, ...] | None:
    """Return a release from a loader without a banner: before 2.34 it had neither that nor a version node of its own.

    What differs among those is whether glibc-hwcaps is known (2.33).
    """
    newest = _newest_node(view.elf(real))
    if newest is not None and newest < (2, 34):
        return (2, 33) if b"glibc-hwcaps" in _scan(view, real) else (2, 31)
    return newest


def _newest_node(elf: ElfFile) -> tuple[int, ...] | None:
    nodes = (_GLIBC_NODE.match(record.name) for record in elf.facts.version_defs)
    return max(((int(node[1]), int(node[2])) for node in nodes if node), default=None)


def _musl_version(view: FileView, real: str, names: frozenset[bytes]) -> tuple[int, ...] | None:
    """Return the release by the text that the loader prints, else the oldest that its symbols allow.

    ``open64`` is a name for programs until 1.2.3 and for the loader alone since (musl 1.2.4, LFS64 removal).
    """
    found = _MUSL_VERSION.search(_scan(view, real))
    if found:
        return (int(found[1]), int(found[2]), int(found[3]))
    version = next((release for symbol, release in _MUSL_SYMBOLS if symbol in names), None)
    if version == (1, 2, 3) and b"open64" not in names:
        return (1, 2, 4)
    return version
