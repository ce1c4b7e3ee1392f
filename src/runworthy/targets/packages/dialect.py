"""How each package manager spells architectures, libraries, commands, and the C library that a root stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from runworthy.model.arch import ARCHITECTURES, Architecture, architecture
from runworthy.model.package import Manager, Package
from runworthy.targets.packages.choice import Wanted

__all__ = ["architectures", "by_convention", "is_libc", "libc_architecture", "names_of", "own_architecture"]

# Where the manager's word is not the usual one (dpkg-architecture(1), abuild, rpm's rpmrc).
_ARCHITECTURES: Final[Mapping[Manager, Mapping[str, tuple[str, ...]]]] = {
    "apt": {
        "x86_64": ("amd64",),
        "aarch64": ("arm64",),
        "armv7": ("armhf",),
        "armv6": ("armhf",),
        "ppc64le": ("ppc64el",),
        "loongarch64": ("loong64",),
        "mips64le": ("mips64el",),
        "mipsle": ("mipsel",),
    },
    "apk": {"i386": ("x86",), "armv6": ("armhf",)},
    "dnf": {"i386": ("i686", "i586", "i486", "i386"), "armv7": ("armv7hl", "armv7hnl")},
}
_ALL: Final = ("all", "noarch", "")
_COMMANDS: Final = ("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/local/bin/")
_LIBC_OF_DEBIAN: Final = re.compile(
    r"libc(6|6\.1|0\.1|0\.3)(-(?P<other>i386|amd64|x32|mips\w*|s390|sparc\w*|powerpc|ppc64|xen))?"
)
_SONAME: Final = re.compile(
    r"(?P<name>[A-Za-z0-9_.+-]+?)(?:-(?P<inner>[0-9][0-9.]*))?\.so(?:\.(?P<version>[0-9][0-9.]*))?"
)


def architectures(manager: Manager, arch: Architecture) -> tuple[str, ...]:
    """Return the words that a manager has for an architecture, the usual one first."""
    return _ARCHITECTURES[manager].get(arch.name, (arch.name,))


def own_architecture(manager: Manager, arch: Architecture, package: Package) -> bool:
    """Whether a package is for this architecture, or for all."""
    return package.arch in _ALL or package.arch in architectures(manager, arch)


def names_of(manager: Manager, wanted: Wanted) -> Iterator[str]:
    """Yield the names by which indexes know what is wanted; dpkg's know nothing of the kind."""
    if manager == "apk":
        if wanted.kind == "library":
            yield f"so:{wanted.name}"
        elif wanted.kind == "command" or wanted.name.startswith(_COMMANDS):
            yield f"cmd:{wanted.name.rpartition('/')[2]}"
        elif wanted.name.startswith(("/lib/", "/lib64/", "/usr/lib/")):
            yield f"so:{wanted.name.rpartition('/')[2]}"
        if wanted.kind == "path":
            yield wanted.name
    elif manager == "dnf":
        if wanted.kind == "library":
            yield f"{wanted.name}()(64bit)" if wanted.arch.elf_class == 64 else wanted.name
        elif wanted.kind == "command":
            yield from (f"{directory}{wanted.name}" for directory in _COMMANDS[:4])
        else:
            yield wanted.name
            if wanted.name.startswith(("/bin/", "/sbin/", "/lib/", "/lib64/")):
                yield f"/usr{wanted.name}"  # UsrMerge: packages name where it really lies


def by_convention(wanted: Wanted) -> Iterator[str]:
    """Yield the names that Debian's packages with a library, or a command, usually have.

    Source: Debian Policy 8.1; the suffixes are those of transitions: v5 (C++11), t64 (64-bit time).
    """
    base = wanted.name.rpartition("/")[2]
    if base.startswith(("ld-musl-", "ld-linux", "ld64.so")):
        yield "musl" if "musl" in base else "libc6"
        return
    found = _SONAME.fullmatch(base) if ".so" in base else None
    if found is None:
        yield base.lower()
        yield re.sub(r"[0-9.]+$", "", base.lower())
        return
    name = found["name"].lower().replace("_", "-")
    version = found["version"] or ""
    inner = found["inner"]
    stems = [f"{name}{inner}-{version}".rstrip("-"), f"{name}-{inner}-{version}".rstrip("-")] if inner else []
    if not inner:
        stems = [f"{name}-{version}" if name[-1:].isdigit() and version else f"{name}{version}", f"{name}-{version}"]
    for stem in stems:
        yield stem
        yield f"{stem}t64"
        yield f"{stem}v5"
    if not inner:  # libgcc_s.so.1 is in libgcc-s1, and in libgcc1 of old
        yield f"{name.removesuffix('-s')}{version}"


def libc_architecture(package: Package) -> Architecture | None:
    """Return for which architecture a C library is: libc6-i386 is for another than the package itself."""
    other = _LIBC_OF_DEBIAN.fullmatch(package.name) if package.manager == "apt" else None
    if other is not None and other["other"]:
        return architecture(other["other"])
    words = (one for one in ARCHITECTURES if package.arch in architectures(package.manager, one))
    return next(words, None)


def is_libc(package: Package) -> bool:
    """Whether a package is a C library that programs of its architecture stand on."""
    if package.manager == "apt":
        return bool(_LIBC_OF_DEBIAN.fullmatch(package.name)) or package.name == "musl"
    if package.manager == "apk":
        return package.name in ("musl", "glibc") or any(one.name.startswith("so:libc.") for one in package.provides)
    return package.name in ("glibc", "musl", "musl-libc") or any(
        one.name.startswith("libc.so.6") for one in package.provides
    )
