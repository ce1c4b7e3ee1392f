"""What a folder or a file name says that a build is for: its system, architecture and C library.

The spellings are those of Node.js (``process.platform``, ``process.arch``), .NET's RIDs, Rust's and GNU's triples,
JNA, netty and Maven's os plugin (``linux-aarch_64``).
"""

from __future__ import annotations

import re
from functools import lru_cache

from runworthy.model.layout import Claim

__all__ = ["claim_of", "without_claims"]

# fmt: off
_ARCHITECTURES: tuple[tuple[str, str], ...] = (
    ("x86_64", r"x86[-_]?64(?:v[1-4])?|amd64|x64|intel64"),
    ("aarch64", r"aarch[-_]?64|arm64(?:-?v8a?)?"),
    ("i386", r"x86[-_]32|i[3-6]86|ia32|x86|386"),
    ("armv7", r"armv7l?|armv7a?[-_]?hf|armeabi-v7a|arm32v7"),
    ("armv6", r"armv6l?|armv6hf|arm32v6"),
    ("armel", r"armel|armv5(?:t?e?j?l?)"),
    ("arm", r"armhf|arm[-_]32|arm32|arm"),
    ("ppc64le", r"ppc64[-_]?le|ppc64el|ppcle[-_]64|powerpc64le"),
    ("ppc64", r"ppc64|powerpc64|ppc[-_]64"),
    ("ppc", r"ppc|powerpc"),
    ("s390x", r"s390x|s390[-_]64"),
    ("riscv64", r"riscv[-_]?64(?:gc)?"),
    ("loongarch64", r"loong(?:arch)?[-_]?64"),
    ("mips64le", r"mips64(?:el|le)|mipsel[-_]64"),
    ("mipsle", r"mips(?:el|le)"),
    ("mips64", r"mips64"),
    ("mips", r"mips"),
    ("sparcv9", r"sparcv9|sparc64"),
    ("sparc", r"sparc"),
    ("wasm32", r"wasm(?:32)?"),
    ("universal", r"universal2?"),
)
_SYSTEMS: tuple[tuple[str, str], ...] = (
    ("android", r"(?:linux-)?android(?:eabi)?|linux-bionic"),
    ("linux", r"linux(?:musl|glibc|gnu)?|alpine"),
    ("windows", r"windows|win32|win"),
    ("macos", r"darwin|macosx?|osx|mac"),
    ("freebsd", r"freebsd"), ("openbsd", r"openbsd"), ("netbsd", r"netbsd"), ("dragonflybsd", r"dragonfly(?:bsd)?"),
    ("solaris", r"solaris|sunos|illumos"), ("aix", r"aix"), ("haiku", r"haiku"),
    ("ios", r"ios(?:simulator)?|tvos(?:simulator)?|maccatalyst"), ("openharmony", r"openharmony|ohos"),
    ("browser", r"browser|wasi|webcontainers"),
)
_LIBCS: tuple[tuple[str, str], ...] = (
    ("musl", r"(?:linux)?musl(?:eabi(?:hf)?)?|alpine"),
    ("glibc", r"(?:linux)?(?:gnu(?:eabi(?:hf)?)?|glibc)"),
)
# One word for two: the system with the bits of its address (``linux64``, ``win32`` of Java's world is Node's too).
_BOTH = {"linux64": ("linux", "x86_64"), "linux32": ("linux", "i386"), "win64": ("windows", "x86_64"),
         "osx64": ("macos", "x86_64"), "mac64": ("macos", "x86_64"), "windows64": ("windows", "x86_64"),
         "windows32": ("windows", "i386")}
# fmt: on
_BEFORE, _AFTER = r"(?<![a-z0-9])", r"(?![a-z0-9])"


def _any(table: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    alternatives = "|".join(f"(?P<{name}>{pattern})" for name, pattern in table)
    return re.compile(f"{_BEFORE}(?:{alternatives}){_AFTER}")


_ARCH, _SYSTEM, _LIBC = map(_any, (_ARCHITECTURES, _SYSTEMS, _LIBCS))
_WORDS = re.compile(f"{_BEFORE}(?:{'|'.join(_BOTH)}){_AFTER}")
_FLOAT = re.compile(r"gnueabi(?!hf)|musleabi(?!hf)")
_TABLES = (_ARCHITECTURES, _SYSTEMS, _LIBCS)
_PATTERNS = [*_BOTH, *(pattern for table in _TABLES for _, pattern in table), "msvc|unknown|pc|apple|eabi(?:hf)?"]
_EVERY = re.compile(f"{_BEFORE}(?:{'|'.join(_PATTERNS)}){_AFTER}")


@lru_cache(maxsize=1 << 12)
def claim_of(name: str) -> Claim:
    """Return what a name says. The last word of each sort counts: it stands nearest to the file."""
    low = name.lower()
    system = arch = libc = ""
    for found in _WORDS.finditer(low):
        system, arch = _BOTH[found[0]]
    arch = _last(_ARCH, low) or arch
    system = _last(_SYSTEM, low) or system
    libc = _last(_LIBC, low)
    if arch == "arm" and _FLOAT.search(low):
        arch = "armel"
    # What names musl or glibc is Linux: Rust's triples say so twice, ``app-musl-x64`` not at all.
    system = system or ("linux" if libc else "")
    return Claim(system=system, arch=arch, libc="musl" if libc == "musl" else "glibc" if libc == "glibc" else "")


def _last(table: re.Pattern[str], low: str) -> str:
    return next((found.lastgroup or "" for found in reversed(list(table.finditer(low)))), "")


@lru_cache(maxsize=1 << 12)
def without_claims(name: str) -> str:
    """Return a name with each word that says what it is for replaced by ``*``: the same for all builds of one thing."""
    marked = _EVERY.sub("*", name.lower())
    return re.sub(r"\*(?:[-_.]?\*)+", "*", marked)
