"""Archives as subjects: the members of zip, tar, .deb, .apk, .rpm and squashfs files, each readable at any offset.

Nothing is unpacked to disk. What is hostile or damaged in an archive is told of its member, and the others are read.
"""

from __future__ import annotations

from runworthy.formats.content import Content
from runworthy.formats.package.member import Member
from runworthy.model.archive import ContainerKind, Oddity
from runworthy.model.records import dataclass

__all__ = ["Archive", "archive_kind", "open_archive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The members of an archive in its order, without those that cannot be (``oddities`` tells of them).

    Paths of members are relative and harmless (``formats.package.member``); every ``content`` can be read at any
    offset, again and again. ``problem`` says why the archive could not be read to its end.
    """

    format: str
    packing: str
    members: tuple[Member, ...]
    oddities: tuple[Oddity, ...] = ()
    problem: str = ""


def archive_kind(head: bytes, name: str) -> ContainerKind | None:
    """Return what a file with these first 512 bytes and this name is to those who use it, None for no archive.

    The bytes decide whether it is an archive, the name which of the kinds that look alike.
    """
    raise NotImplementedError


def open_archive(content: Content, kind: ContainerKind) -> Archive:
    """Return what an archive holds. Raises FormatError where nothing of it can be read, OSError."""
    raise NotImplementedError
