"""Java archives: where the libraries that load native parts out of their own jar expect them.

Each pattern is that of the library's own loader, which ``simulate.layout.jar`` follows: JNA (``com/sun/jna``), those of
xerial (sqlite-jdbc, snappy-java), netty, zstd-jni, lz4-java, RocksDB.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from runworthy.formats.layout.claims import claim_of
from runworthy.model.layout import Build, Claim, Group, Ruling
from runworthy.model.records import replace

__all__ = ["jar_groups"]

# Each gives: whose rule it is, whether the library goes on without, where a build lies. ``group`` is what the builds
# share, ``tag`` what the loader looks at.
_PATTERNS: tuple[tuple[Ruling, bool, re.Pattern[str]], ...] = (
    ("jna", False, re.compile(r"(?P<group>(?:.*/)?com/sun/jna)/(?P<tag>[^/]+)/(?:lib)?jnidispatch\.(?:\w+)")),
    ("xerial", False, re.compile(
        r"(?P<group>(?:.*/)?org/(?:sqlite|xerial/snappy)/native)/(?P<tag>[^/]+/[^/]+)/[^/]+\.(?:so|dll|dylib|jnilib|a)")),
    ("netty", True, re.compile(
        r"(?P<group>(?:.*/)?META-INF/native/(?:lib)?netty_[a-z0-9_]+?)_(?P<tag>(?:linux_|osx_|windows_)?"
        r"(?:x86_64|aarch_64|x86_32|riscv64|ppcle_64|s390_64|loongarch_64))\.(?:so|jnilib|dll)")),
    ("zstd-jni", False, re.compile(r"(?P<tag>[a-z_]+/[a-z0-9_]+)/(?P<group>libzstd-jni-[\w.-]+)\.(?:so|dll|dylib)")),
    ("lz4-java", True, re.compile(r"(?P<group>net/jpountz/util)/(?P<tag>[^/]+/[^/]+)/liblz4-java\.(?:so|dylib)")),
    ("rocksdb", False, re.compile(r"(?P<group>librocksdbjni)-(?P<tag>[\w-]+)\.(?:so|jnilib|dll)")),
)  # fmt: skip
# Names of folders that say less, or other things, than the words of others: win32-x86-64 of JNA is no 32-bit Windows.
_ROCKSDB_BITS = {"linux64": "linux-x86_64", "linux32": "linux-x86", "linux64-musl": "linux-x86_64-musl",
                 "linux32-musl": "linux-x86-musl", "win64": "windows-x86_64"}  # fmt: skip

_SYSTEMS = {"so": "linux", "jnilib": "macos", "dylib": "macos", "dll": "windows"}


def jar_groups(paths: Iterable[str]) -> Iterator[Group]:
    """Yield the native parts of the libraries that are known, each library's once."""
    builds: dict[tuple[Ruling, str, bool], list[Build]] = {}
    for path in paths:
        for ruling, optional, pattern in _PATTERNS:
            if found := pattern.fullmatch(path):
                tag = found["tag"]
                build = Build(path=path, tag=tag, claim=_claim(path, tag))
                builds.setdefault((ruling, found["group"].replace("/lib", "/"), optional), []).append(build)
                break
    for (ruling, name, optional), held in builds.items():
        yield Group(ruling=ruling, name=name, builds=tuple(held), optional=optional)


def _claim(path: str, tag: str) -> Claim:
    """Return what a build is for; netty's transports name no system, which is then that of the file's extension."""
    claim = claim_of(_ROCKSDB_BITS.get(tag, tag))
    return claim if claim.system else replace(claim, system=_SYSTEMS.get(path.rpartition(".")[2], ""))
