"""Where the families of distributions put their C library: directories, links and the loader's default search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from runworthy.model.arch import ARCHITECTURES, Architecture

__all__ = ["GLIBC_SONAMES", "RUNTIME_SONAMES", "Layout", "authority", "layout_of", "musl_soname"]

GLIBC_SONAMES: Final[Mapping[str, str]] = {
    "libBrokenLocale": "libBrokenLocale.so.1",
    "libanl": "libanl.so.1",
    "libc": "libc.so.6",
    "libdl": "libdl.so.2",
    "libm": "libm.so.6",
    "libmvec": "libmvec.so.1",
    "libpthread": "libpthread.so.0",
    "libresolv": "libresolv.so.2",
    "librt": "librt.so.1",
    "libutil": "libutil.so.1",
}
"""Libraries that only glibc provides (glibc ``shlib-versions``), by their names in its ABI lists.

libnsl and libcrypt are left out, since other packages provide them too (libnsl2, libxcrypt); libthread_db and
libc_malloc_debug, since several distributions package them apart.
"""

RUNTIME_SONAMES: Final = ("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1")
"""What a distribution's recipe holds beside glibc."""

_FOREIGN_LOADERS: Final = (
    "/system/bin/linker",
    "/system/bin/linker64",
    "/lib/ld-uClibc.so.0",
    "/lib/ld-uClibc.so.1",
    "/lib64/ld64-uClibc.so.0",
    "/lib64/ld64-uClibc.so.1",
)

_ALPINE: Final = {"i386": "x86", "armv6": "armhf"}
"""Alpine's names of architectures where they are not ours. Its musl carries them, its loader musl's own ones."""


class Layout(NamedTuple):
    """Directories of a composed root. ``search`` are the directories that its loader searches by default, in order."""

    glibc: str
    runtime: str
    loader: str
    search: tuple[str, ...]
    links: Mapping[str, str]


def layout_of(kind: str, arch: Architecture) -> Layout:
    """Return the layout that ``kind`` names: ``multiarch``, ``lib64`` or ``lib``; ``-split`` where /lib is no link.

    ``multiarch`` is Debian's and Ubuntu's, ``lib64`` that of the RPM families (and of glibc as it installs itself),
    ``lib`` that of Arch Linux. A library is searched in both directories of a split root, so nothing but the paths
    that are shown depends on which releases are split.
    """
    name, _, split = kind.partition("-")
    if name == "multiarch":
        return _multiarch(arch, split=bool(split))
    return _plain("lib" if name == "lib" else arch.lib.partition("/")[0], arch, split=bool(split))


def _multiarch(arch: Architecture, *, split: bool) -> Layout:
    """Debian's layout. Its glibc searches the triplet's directories first (its patch any/local-ld-multiarch.diff)."""
    triplet = arch.multiarch
    root = "" if split else "/usr"
    directory = f"{root}/lib/{triplet}"
    parent, _, file = arch.glibc_loader.rpartition("/")
    links = {} if split else {name: f"usr{name}" for name in ("/lib", parent)}
    links[f"{root}{parent}/{file}"] = f"/lib/{triplet}/{file}" if parent != "/lib" else f"{triplet}/{file}"
    return Layout(
        glibc=directory,
        runtime=f"/usr/lib/{triplet}",
        loader=f"{directory}/{file}",
        search=(f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib", "/usr/lib"),
        links=links,
    )


def _plain(lib: str, arch: Architecture, *, split: bool) -> Layout:
    """One directory for all. glibc searches its slibdir and libdir: on most 64-bit systems /lib64 and /usr/lib64.

    On riscv64 both carry the ABI's name, which the distributions make a link to the directory itself.
    """
    root = "" if split else "/usr"
    tail = "/lp64d" if arch.name == "riscv64" and lib != "lib" else ""
    parent, _, file = arch.glibc_loader.rpartition("/")
    links = {}
    if not split:
        links = {f"/{name}": f"usr/{name}" for name in {"lib", lib}}
        if lib == "lib" and arch.elf_class == 64:
            links |= {"/lib64": "usr/lib", "/usr/lib64": "lib"}
    if tail:
        links[f"{root}/{lib}/lp64d"] = "."
    place = f"{root}{parent}" if lib != "lib" or parent == "/lib" else f"{root}/lib"
    search = (f"/{lib}{tail}", f"/usr/{lib}{tail}")
    return Layout(
        glibc=f"{root}/{lib}",
        runtime=f"/usr/{lib}",
        loader=f"{place}/{file}",
        search=search,
        links=dict(sorted(links.items())),
    )


def musl_soname(arch: Architecture) -> str:
    """Return the name under which programs built on Alpine need musl (aports main/musl, a link to the loader)."""
    return f"libc.musl-{_ALPINE.get(arch.name, arch.name)}.so.1"


def authority(present: frozenset[str]) -> frozenset[str]:
    """Return the names about which a core root may say "absent" (FileView.authority).

    They are the sonames that only glibc provides, the loaders and C libraries of every other libc and architecture,
    and the libraries ``present``, of which the root has facts. Another libc can be installed beside a distribution's
    own, but none of the recipes' images has it.
    """
    names = set(GLIBC_SONAMES.values()) | set(_FOREIGN_LOADERS) | present
    for arch in ARCHITECTURES:
        names |= {arch.glibc_loader, arch.musl_loader}
        names |= {path.rpartition("/")[2] for path in (arch.glibc_loader, arch.musl_loader)} | {musl_soname(arch)}
    return frozenset(names)
