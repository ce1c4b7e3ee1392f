"""Packages that hold several builds, of which the ecosystem's own rule takes one on each platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from runworthy.model.arch import Architecture
from runworthy.model.archive import ContainerKind
from runworthy.model.records import dataclass, field
from runworthy.model.trace import Event, Step

__all__ = [
    "Asset",
    "Build",
    "Choice",
    "Claim",
    "Contents",
    "DotnetApp",
    "Group",
    "Import",
    "Layout",
    "NpmPackage",
    "Platform",
    "Ruling",
    "System",
]

System = Literal["linux", "windows", "macos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What an installer or a run time looks at on a target. ``target`` is the target's name.

    ``libc`` is the family of the root's C library (empty: it has none, or none that is known), ``release`` its version.
    """

    target: str
    arch: Architecture
    system: System = "linux"
    libc: Literal["glibc", "musl", ""] = ""
    release: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is taken on the platform of a target.

    ``among`` are the paths that the rule chooses among, ``taken`` those that it takes. What is in neither is there on
    every platform. ``steps`` tell how it came to that: needs of the stage ``environment`` (kind ``layout`` or ``tag``),
    unmet where nothing fits or the wrong thing is taken, and events.
    """

    target: str = ""
    among: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()
    steps: tuple[Step | Event, ...] = ()


Ruling = Literal["prebuilds", "napi-rs", "rid", "jna", "xerial", "netty", "zstd-jni", "lz4-java", "rocksdb", "folder"]
"""Whose rule chooses: see ``simulate.layout``. ``folder``: nobody's that is known, only the names say what is what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a name says that a build is for; what it does not say is empty.

    ``system`` is one of ours or another that exists (``freebsd``); ``arch`` is the name of an architecture of the
    table, ``arm`` for any 32-bit one of Arm, or the spelling of one that is not in it.
    """

    system: str = ""
    arch: str = ""
    libc: Literal["glibc", "musl", ""] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One of several builds of a thing. ``tag`` is what the rule looks at: a RID, a folder, a file's own words."""

    path: str
    tag: str
    claim: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Builds of one thing. ``name`` says of what; ``always`` are files that are taken before any of them.

    ``optional``: what asks for it goes on without it.
    """

    ruling: Ruling
    name: str
    builds: tuple[Build, ...]
    always: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmPackage:
    """What of a ``package.json`` decides where it is installed. ``os``, ``cpu``, ``libc`` are None where it says none.

    ``optional`` are its optional dependencies by name; ``install`` is what it runs when it is installed.
    """

    os: tuple[str, ...] | None = None
    cpu: tuple[str, ...] | None = None
    libc: tuple[str, ...] | None = None
    optional: Mapping[str, str] = field(default_factory=dict)
    install: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A native file that a ``.deps.json`` names. ``path`` is as it stands there, ``rid`` empty for every platform."""

    library: str
    path: str
    rid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A library that an assembly calls into (``DllImport``). ``name`` is as it is written, ``by`` the assembly.

    ``resolver``: the assembly says by code of its own where libraries are.
    """

    name: str
    by: str
    resolver: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DotnetApp:
    """A published .NET application: ``root`` is its directory in the package, empty for the top.

    ``manifest`` is the path of its ``.deps.json``, empty where it has none; ``assets`` are those of it that are native.
    """

    root: str
    manifest: str = ""
    assets: tuple[Asset, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a package says of its builds, and where they lie. ``manifest`` is the member that names it.

    ``paths`` are those of every file. ``imports`` are what its .NET assemblies call into.
    """

    kind: ContainerKind
    name: str
    version: str = ""
    manifest: str = ""
    groups: tuple[Group, ...] = ()
    npm: NpmPackage | None = None
    app: DotnetApp | None = None
    imports: tuple[Import, ...] = ()
    paths: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the bytes of a build are. ``system`` and ``archs`` are as in ``Claim``; several for a universal binary.

    ``libc`` is the family that it is linked with, empty where it needs none or it is not known.
    """

    system: str
    archs: frozenset[str] = frozenset()
    libc: Literal["glibc", "musl", ""] = ""
