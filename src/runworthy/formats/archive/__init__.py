"""Archives as subjects: the members of zip, tar, .deb, .apk, .rpm and squashfs files, each readable at any offset.

Nothing is unpacked to disk. What is hostile or damaged in an archive is told of its member, and the others are read.
"""

from __future__ import annotations

from collections.abc import Mapping

from runworthy.formats.archive.gathering import Gathering
from runworthy.formats.archive.kinds import archive_kind, claimed_kind
from runworthy.formats.archive.streamed import read_streamed
from runworthy.formats.content import Content
from runworthy.formats.package import part_of_deb
from runworthy.formats.package.member import Member
from runworthy.formats.package.rpm import payload_of_rpm
from runworthy.formats.package.streams import Slice
from runworthy.model.archive import ContainerKind, Oddity
from runworthy.model.errors import FormatError
from runworthy.model.package import Relation
from runworthy.model.records import dataclass, field

__all__ = ["ARCHIVE_SUFFIXES", "Archive", "archive_kind", "claimed_kind", "open_archive", "package_metadata"]

ARCHIVE_SUFFIXES = (
    ".whl", ".egg", ".conda", ".zip", ".jar", ".war", ".ear", ".aar", ".aab", ".nupkg", ".vsix", ".xpi", ".deb",
    ".udeb", ".apk", ".rpm", ".appimage", ".tar", ".tgz", ".txz", ".tbz", ".tbz2", ".tzst", ".tar.gz", ".tar.xz",
    ".tar.bz2", ".tar.zst", ".tar.lzma", ".tar.lz4", ".crate", ".gem", ".cpio", ".squashfs", ".snap",
)  # fmt: skip
"""How archives are called (in small letters): in a directory, only files that are called so are opened as archives."""

_ROOTED: frozenset[ContainerKind] = frozenset(("deb", "apk", "rpm"))
_ZIPS: frozenset[ContainerKind] = frozenset(("wheel", "jar", "nupkg", "zip"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The members of an archive in its order, without those that cannot be (``oddities`` tells of them).

    Paths of members are relative and harmless (``formats.package.member``), and each is there once; every ``content``
    can be read at any offset, again and again. Where bytes are not at hand (encrypted, packed in an unknown way,
    damaged, not kept), reading raises OSError. A hard link has the content of the file that it is another name of.
    ``problem`` says why the archive could not be read to its end.
    """

    format: str
    packing: str
    members: tuple[Member, ...]
    oddities: tuple[Oddity, ...] = ()
    problem: str = ""
    by_path: Mapping[str, Member] = field(default_factory=dict)

    def find(self, path: str) -> Member | None:
        """Return the member at a path, None where there is none."""
        return self.by_path.get(path)


def open_archive(content: Content, kind: ContainerKind) -> Archive:
    """Return what an archive holds. Raises FormatError where nothing of it can be read, OSError."""
    gathering = Gathering(rooted=kind in _ROOTED)
    form, packing, problem = _read(content, kind, gathering)
    try:
        oddities = gathering.oddities()
    except FormatError as error:
        oddities, problem = (), problem or error.message
    return Archive(
        format=form,
        packing=packing,
        members=tuple(gathering.members.values()),
        oddities=oddities,
        problem=problem,
        by_path=gathering.members,
    )


def package_metadata(content: Content, kind: ContainerKind) -> Mapping[str, str]:
    """Return what a package of a system says of itself: ``name``, ``version``, ``architecture`` and ``depends``.

    ``depends`` is written as Debian does (``a, b (>= 1) | c``). Empty for archives of other kinds, and for what tells
    nothing. Raises FormatError, OSError.
    """
    if kind not in _ROOTED:
        return {}
    from runworthy.formats.index.metadata import read_metadata

    found = read_metadata(content)
    if found is None:
        return {}
    depends = ", ".join(" | ".join(map(_relation, group)) for group in found.depends)
    return {"name": found.name, "version": found.version, "architecture": found.arch, "depends": depends}


def _relation(one: Relation) -> str:
    return f"{one.name} ({one.operator} {one.version})" if one.operator else one.name


def _read(content: Content, kind: ContainerKind, gathering: Gathering) -> tuple[str, str, str]:
    """Gather the members; return the archive's format, its packing and what is wrong with it."""
    if kind in _ZIPS:
        from runworthy.formats.archive.zipped import read_zip

        return "zip", "", read_zip(content, kind, gathering)
    if kind in ("appimage", "squashfs"):
        from runworthy.formats.archive.squashed import read_squashfs

        return read_squashfs(content, kind, gathering)
    if kind == "deb":
        content = part_of_deb(content, "data.tar")
    elif kind == "rpm":
        start = payload_of_rpm(content)
        content = Slice(content, start, content.size - start)
    return read_streamed(content, kind, gathering)
