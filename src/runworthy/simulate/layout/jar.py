"""Which native part of a jar the library that it belongs to takes out of it.

Sources, each library's own loader: JNA ``Platform.getNativeLibraryResourcePrefix`` and ``getCanonicalArchitecture``;
snappy-java and sqlite-jdbc ``OSInfo`` (sqlite-jdbc has ``Linux-Musl`` since 3.36, snappy-java ``x86_64-musl`` alone);
netty ``NativeLibraryLoader`` and ``PlatformDependent.normalizedArch``; zstd-jni and lz4-java ``util/Native``; RocksDB
``Environment.getJniLibraryName``. None of them but RocksDB, sqlite-jdbc and snappy-java knows of musl.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from runworthy.model.layout import Group, Platform, Ruling
from runworthy.model.trace import Probe
from runworthy.simulate.layout.words import Pick

__all__ = ["JAR_RULINGS", "by_folder"]

_OS_ARCH: Final = {
    "x86_64": "amd64", "i386": "i386", "aarch64": "aarch64", "armv7": "arm", "armv6": "arm", "armel": "arm",
    "ppc64le": "ppc64le", "ppc64": "ppc64", "s390x": "s390x", "riscv64": "riscv64", "loongarch64": "loongarch64",
    "mips64le": "mips64el", "mipsle": "mipsel",
}  # fmt: skip
"""``os.arch`` of OpenJDK on Linux (on macOS x86_64 is itself)."""


def _jna(platform: Platform, group: Group) -> tuple[str, ...]:
    del group
    arch = _os_arch(platform)
    arch = {"amd64": "x86-64", "x86_64": "x86-64", "i386": "x86", "x86": "x86"}.get(arch, arch)
    arch = "armel" if platform.arch.name == "armel" else arch
    system = {"windows": "win32", "macos": "darwin"}.get(platform.system, "linux")
    return (f"{system}-{arch}",)


def _xerial(platform: Platform, group: Group) -> tuple[str, ...]:
    arch = {"amd64": "x86_64", "i386": "x86"}.get(_os_arch(platform), _os_arch(platform))
    arch = {"armv7": "armv7", "armv6": "armv6", "armel": "arm"}.get(platform.arch.name, arch)
    system = {"windows": "Windows", "macos": "Mac"}.get(platform.system, "Linux")
    if "org/sqlite" in group.name:
        arch = "ppc64" if arch == "ppc64le" else arch
        knows = any(build.tag.startswith("Linux-Musl/") for build in group.builds)
        return (f"{'Linux-Musl' if platform.libc == 'musl' and knows else system}/{arch}",)
    # snappy-java asks whether /lib/ld-musl-x86_64.so.1 exists, which is so on musl for x86-64 alone.
    knows = any(build.tag == "Linux/x86_64-musl" for build in group.builds)
    musl = knows and platform.libc == "musl" and platform.arch.name == "x86_64"
    return (f"{system}/{arch}{'-musl' if musl else ''}",)


def _netty(platform: Platform, group: Group) -> tuple[str, ...]:
    del group
    arch = {"x86_64": "x86_64", "i386": "x86_32", "aarch64": "aarch_64", "armv7": "arm_32", "armv6": "arm_32",
            "ppc64le": "ppcle_64", "ppc64": "ppc_64", "s390x": "s390_64", "loongarch64": "loongarch_64",
            }.get(platform.arch.name, platform.arch.name)  # fmt: skip
    system = {"windows": "windows", "macos": "osx"}.get(platform.system, "linux")
    # netty-tcnative names the system too, the transports do not.
    return arch, f"{system}_{arch}"


def _zstd(platform: Platform, group: Group) -> tuple[str, ...]:
    del group
    system = {"windows": "win", "macos": "darwin"}.get(platform.system, "linux")
    return (f"{system}/{_os_arch(platform)}",)


def _lz4(platform: Platform, group: Group) -> tuple[str, ...]:
    del group
    system = {"windows": "win32", "macos": "darwin"}.get(platform.system, "linux")
    return (f"{system}/{_os_arch(platform)}",)


def _rocksdb(platform: Platform, group: Group) -> tuple[str, ...]:
    del group
    arch, musl = platform.arch.name, "-musl" if platform.libc == "musl" else ""
    if platform.system == "windows":
        return ("win64",)
    if platform.system == "macos":
        return f"osx-{'arm64' if arch == 'aarch64' else arch}", "osx"
    bits = {"x86_64": "linux64", "i386": "linux32"}.get(arch, f"linux-{_os_arch(platform)}")
    return (f"{bits}{musl}",)


def _os_arch(platform: Platform) -> str:
    arch = platform.arch.name
    return arch if platform.system == "macos" else _OS_ARCH.get(arch, arch)


_WANTED: Final[Mapping[Ruling, Callable[[Platform, Group], tuple[str, ...]]]] = {
    "jna": _jna,
    "xerial": _xerial,
    "netty": _netty,
    "zstd-jni": _zstd,
    "lz4-java": _lz4,
    "rocksdb": _rocksdb,
}


def by_folder(group: Group, platform: Platform) -> Pick:
    """Return the build under the first name that the library's loader asks for and that is there."""
    wanted = _WANTED[group.ruling](platform, group)
    held = {build.tag: build for build in group.builds}
    taken = next((tag for tag in wanted if tag in held), "")
    probes = [
        Probe(path=f"{group.name}: {tag}", origin=group.ruling, outcome="taken" if tag == taken else "not found")
        for tag in wanted
    ]
    return Pick(taken=(held[taken],) if taken else (), probes=tuple(probes))


JAR_RULINGS: Final = dict.fromkeys(_WANTED, by_folder)
