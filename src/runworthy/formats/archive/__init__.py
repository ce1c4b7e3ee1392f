"""Archives as subjects: the members of zip, tar, .deb, .apk, .rpm and squashfs files, each readable at any offset.

Nothing is unpacked to disk. What is hostile or damaged in an archive is told of its member, and the others are read.
"""

from __future__ import annotations

from runworthy.formats.content import Content
from runworthy.formats.package.member import Member
from runworthy.model.archive import ContainerKind, Oddity
from runworthy.model.records import dataclass

__all__ = ["ARCHIVE_SUFFIXES", "Archive", "archive_kind", "open_archive"]

ARCHIVE_SUFFIXES = (
    ".whl", ".zip", ".jar", ".war", ".ear", ".aar", ".nupkg", ".deb", ".udeb", ".apk", ".rpm", ".appimage",
    ".tar", ".tgz", ".txz", ".tbz", ".tbz2", ".tzst", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".tar.lzma",
    ".tar.lz4", ".cpio", ".squashfs", ".snap",
)  # fmt: skip
"""How archives are called (in small letters): in a directory, only files that are called so are opened as archives."""


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


_KINDS: tuple[tuple[str, ContainerKind], ...] = (
    (".whl", "wheel"),
    (".jar", "jar"),
    (".nupkg", "nupkg"),
    (".deb", "deb"),
    (".zip", "zip"),
    (".tar", "tar"),
    (".tar.gz", "tar"),
    (".tgz", "tar"),
    (".tar.xz", "tar"),
)


def archive_kind(head: bytes, name: str) -> ContainerKind | None:
    """Return what a file with these first 512 bytes and this name is to those who use it, None for no archive.

    The bytes decide whether it is an archive, the name which of the kinds that look alike.
    """
    return next((kind for suffix, kind in _KINDS if head and name.lower().endswith(suffix)), None)


def open_archive(content: Content, kind: ContainerKind) -> Archive:
    """Return what an archive holds. Raises FormatError where nothing of it can be read, OSError."""
    import io
    import zipfile

    from runworthy.formats.content import BytesContent
    from runworthy.formats.package import read_package

    if kind in ("wheel", "jar", "zip", "nupkg"):
        file = zipfile.ZipFile(io.BytesIO(content.pread(0, content.size)))
        members = [
            Member(
                path=row.filename.rstrip("/"),
                kind="dir" if row.is_dir() else "file",
                mode=(row.external_attr >> 16) & 0o7777 or 0o644,
                content=None if row.is_dir() else BytesContent(file.read(row)),
            )
            for row in file.infolist()
        ]
        return Archive(format="zip", packing="", members=tuple(members))
    return Archive(format="tar", packing="", members=tuple(read_package(content)))
