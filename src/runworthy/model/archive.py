"""Archives and packages as subjects: what holds the files that are judged, and what is odd about its members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from runworthy.model.records import dataclass, field

__all__ = ["ArchiveFacts", "Container", "ContainerKind", "MemberFacts", "Oddity", "OddityKind"]

ContainerKind = Literal[
    "wheel", "npm", "nupkg", "jar", "deb", "apk", "rpm", "appimage", "zip", "tar", "cpio", "squashfs"
]
"""What an archive is to those who use it: a package of an ecosystem, else an archive of its format."""

OddityKind = Literal[
    "outside",  # the name leads out of the directory that it is unpacked in (`..`, an absolute path, a drive)
    "link-outside",  # a link leads out of it
    "through-link",  # the member would be written through a link of the archive
    "device",  # a device, FIFO or socket
    "duplicate",  # one name twice: unpackers do not agree on which counts
    "name",  # a name that is no text, is empty, or that no file can have
    "size",  # declares or unpacks to more than the limits
    "overlap",  # members share their bytes in the archive
    "disagrees",  # two places of the archive tell different things of one member
    "encrypted",
    "method",  # packed in a way that is not read here
    "damaged",
    "nested",  # an archive in an archive in an archive, beyond the limit
]
"""What can be wrong with a member, as the rules and reports tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """Something about one member that a person should know. ``member`` is its name as far as it can be shown.

    ``read``: the member is there all the same (the last of duplicates, a link that leads out); else it was left out.
    ``offset`` is where the archive says so (bytes), None where it has no single place.
    """

    kind: OddityKind
    member: str
    detail: str = ""
    offset: int | None = None
    read: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """An archive that was given as a subject, or lies in one. ``name`` is ``dist/app.zip`` or ``dist/a.zip!b.jar``.

    ``format`` is what its bytes are (``zip``, ``tar``, ``cpio``, ``squashfs``), ``packing`` how the whole is packed
    (``gzip``), empty for not at all. ``members`` counts its entries, of every kind. ``oddities`` are those of its own
    members alone. ``problem`` says why it could not be read, or not to its end.
    """

    name: str
    kind: ContainerKind
    format: str
    packing: str = ""
    members: int = 0
    oddities: tuple[Oddity, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFacts:
    """One entry of an archive: ``file``, ``dir``, ``link``, ``hard-link`` or ``other``, a device or the like.

    ``size`` (bytes) is None where it has no bytes of its own; ``target`` is what a link says. ``machine`` is the
    architecture of an ELF file, empty for any other.
    """

    path: str
    kind: str
    mode: int
    size: int | None = None
    target: str = ""
    machine: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFacts:
    """What an archive holds, its members in their order, and what it says of itself.

    ``metadata`` are values by the words of this project for all ecosystems: ``name``, ``version``, ``requires``,
    ``tags`` of a wheel, ``architecture`` of a system's package, ``os``, ``cpu`` and ``libc`` of one of npm.
    """

    container: Container
    members: tuple[MemberFacts, ...]
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
