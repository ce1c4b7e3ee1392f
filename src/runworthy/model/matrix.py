"""A whole release against a whole list of targets: which asset serves which target, and what nothing serves.

An *asset* is one file of a release, as people download it, or a directory that is shipped as one. What a person starts
decides: an asset serves a target where all of its programs run.
"""

from __future__ import annotations

from typing import Literal

from runworthy.model.finding import Result, Verdict
from runworthy.model.records import dataclass

__all__ = [
    "Asset",
    "AssetKind",
    "Cell",
    "Claims",
    "Column",
    "Fit",
    "Job",
    "Linkage",
    "Matrix",
    "Member",
    "Misnaming",
    "Provider",
    "Redundancy",
    "Role",
    "Served",
]

AssetKind = Literal["build", "source", "checksum", "signature", "sbom", "installer", "other"]
"""``build`` holds programs or libraries and is judged, ``installer`` is a script that fetches one of them; ``other``
are completions, manual pages, metadata and debug files."""

Linkage = Literal["static", "glibc", "musl", "bionic", "uclibc", "other", ""]
"""The C library that a program asks for. ``static``: it asks for no loader. ``other``: a loader of no known library."""

Role = Literal["program", "library", "plug-in"]
"""``plug-in``: a library that is opened by what runs, and without which that runs too."""

Fit = Verdict | Literal["not-for"]
"""``not-for``: the asset is for another system, architecture or package manager than the target has."""

Provider = Literal["github", "gitlab"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What the name of an asset says. What is empty it does not say.

    ``name`` is what is left of it, the program's own. ``system`` is ``linux``, ``windows``, ``macos`` or the name of
    another; ``archs`` are our names of architectures, several for a universal build, and those that we have none of as
    written (``wasm32``). ``packing`` is how it is packed: ``tar.gz``, ``zip``, ``deb``, ``exe``. ``family`` is the
    distribution that it is built for, as ``ubuntu:22.04``. ``tags`` are the platform tags of a wheel. ``level`` is what
    it says of the processor (``v3``, ``baseline``).
    """

    name: str = ""
    version: str = ""
    system: str = ""
    archs: tuple[str, ...] = ()
    linkage: Linkage = ""
    packing: str = ""
    family: str = ""
    tags: tuple[str, ...] = ()
    level: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A program or library of an asset. ``name`` is as in the results: ``dist/app.tar.gz!bin/app``.

    ``format`` is ``elf``, ``pe``, ``mach-o``, ``ape`` or ``script``; ``archs`` are our names of architectures.
    ``minimum`` is the oldest release of its system that it states. ``imports`` are the DLLs or dylibs that it names,
    ``delayed`` those that it loads when it first calls them. ``built_by`` is ``go``, ``rust``, ``c++``, ``c`` or empty;
    ``package`` is the Go package that it was built of, ``compiler`` the version. ``cgo``: Go code linked with C.
    """

    name: str
    role: Role
    format: str
    archs: tuple[str, ...] = ()
    system: str = ""
    linkage: Linkage = ""
    minimum: str = ""
    interpreter: str = ""
    imports: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()
    built_by: str = ""
    compiler: str = ""
    package: str = ""
    cgo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file of a release. ``name`` is its own, ``path`` as it was given.

    ``systems``, ``archs``, ``linkages`` and ``minimum`` tell what its bytes are, by the members that decide (programs
    where there are any); ``members`` are those that are judged, programs first. ``of`` is the asset that a checksum or
    signature belongs to. ``size`` is in bytes. ``problem`` says why it cannot be judged.
    """

    name: str
    path: str
    kind: AssetKind
    claims: Claims = Claims()
    systems: tuple[str, ...] = ()
    archs: tuple[str, ...] = ()
    linkages: tuple[Linkage, ...] = ()
    minimum: str = ""
    members: tuple[Member, ...] = ()
    of: str = ""
    size: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A target, as the matrix tells it: ``debian:12/aarch64``, or ``windows/x86_64``, which has no root to judge on.

    ``libc`` is in words (``glibc 2.36``), ``family`` the distribution's, ``manager`` what its packages are installed
    with (``dpkg``, ``rpm``, ``apk``); ``eol`` is the ISO date of its end of life, empty where none is known.
    ``modelled``: programs are judged there, rather than only told about.
    """

    name: str
    system: str
    arch: str
    libc: str = ""
    family: str = ""
    manager: str = ""
    eol: str = ""
    modelled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """An asset on a target. ``reason`` is one sentence; ``member`` the file that decides, empty where it is none.

    ``results`` are those of its members there: empty where the asset is not for the target, or nothing is judged.
    """

    asset: str
    target: str
    fit: Fit
    reason: str
    member: str = ""
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a person takes on a target. ``asset`` is empty where nothing serves it.

    ``verdict`` is ``runs``, ``risky`` or ``unknown`` (as far as can be told: on systems that are not modelled), and
    ``fails`` where nothing serves it. ``alternatives`` serve it too. ``nearest`` is the asset that comes closest where
    none does, and ``why`` the sentence that says what it fails at.
    """

    target: str
    asset: str = ""
    verdict: Verdict = "fails"
    alternatives: tuple[str, ...] = ()
    nearest: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redundancy:
    """An asset without which every target is served as well: ``by`` does it on the ``targets`` that it serves."""

    asset: str
    by: str
    targets: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Misnaming:
    """An asset whose name says what its bytes do not bear out. ``member`` is the file that shows it."""

    asset: str
    claim: str
    fact: str
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of continuous integration that would build what is missing: ``text`` is YAML to paste.

    ``how`` is ``native`` (a runner of the architecture), ``cross`` or ``emulated``; ``targets`` are those that it would
    serve. ``asset`` is what it makes, named as the others are.
    """

    provider: Provider
    name: str
    how: Literal["native", "cross", "emulated"]
    why: str
    text: str
    asset: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The whole: every asset, every target, and a cell for each pair of a build and a target, by assets.

    ``assumptions`` are what the verdicts rest on.
    """

    assets: tuple[Asset, ...]
    columns: tuple[Column, ...]
    cells: tuple[Cell, ...]
    served: tuple[Served, ...]
    redundant: tuple[Redundancy, ...] = ()
    misnamed: tuple[Misnaming, ...] = ()
    jobs: tuple[Job, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def builds(self) -> tuple[Asset, ...]:
        """The assets that are judged."""
        return tuple(asset for asset in self.assets if asset.kind == "build")

    def cell(self, asset: str, target: str) -> Cell:
        """Return the cell of a pair. Raises KeyError."""
        for cell in self.cells:
            if cell.asset == asset and cell.target == target:
                return cell
        raise KeyError((asset, target))

    def exit_code(self, *, strict: bool = False) -> int:
        """Return 0, 1, 3 or 4 by DESIGN section 5.

        1: a target is served by nothing, or an asset is named wrongly; 3: there is no build; 4: an asset cannot be
        read, or all that serves a target is unknown there, as everything is on systems that are not modelled.
        ``strict`` turns 4 into 1.
        """
        if not self.builds:
            return 3
        if self.misnamed or any(not served.asset for served in self.served):
            return 1
        unknown = any(served.verdict == "unknown" for served in self.served)
        if unknown or any(asset.problem for asset in self.assets):
            return 1 if strict else 4
        return 0
