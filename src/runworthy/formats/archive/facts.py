"""What an archive holds and says of itself, without opinion; and one member of it, in archives in it too."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runworthy.formats.archive import Archive, archive_kind, open_archive
from runworthy.formats.content import Content
from runworthy.formats.elf import read_header
from runworthy.formats.elf_kind import MAGIC
from runworthy.formats.package.member import Member
from runworthy.model.arch import architecture_of_elf, machine_name
from runworthy.model.archive import ArchiveFacts, Container, ContainerKind, MemberFacts
from runworthy.model.errors import FormatError

__all__ = ["archive_facts", "member_in"]

_HEAD = 512
_MANIFEST_LIMIT = 16 << 20
_LINKS = 40
"""How many links are followed to a file, as by Linux (``MAXSYMLINKS``)."""

Metadata = Mapping[str, tuple[str, ...]]
Read = Callable[[str], bytes | None]


def archive_facts(name: str, content: Content) -> ArchiveFacts | None:
    """Return the facts of the archive ``name``, None for a file that is none. Raises OSError.

    Where it cannot be read, its container's problem says why.
    """
    kind = archive_kind(content.pread(0, _HEAD), name)
    if kind is None:
        return None
    try:
        archive = open_archive(content, kind)
    except FormatError as error:
        archive = Archive(format=kind, packing="", members=(), problem=error.message)
    container = Container(
        name=name,
        kind=kind,
        format=archive.format,
        packing=archive.packing,
        members=len(archive.members),
        oddities=archive.oddities,
        problem=archive.problem,
    )
    return ArchiveFacts(
        container=container,
        members=tuple(map(_member, archive.members)),
        metadata=_metadata(name, kind, content, archive),
    )


def member_in(content: Content, name: str, path: str) -> Content:
    """Return the bytes of a member of the archive ``name``; ``path`` may lead on into an archive in it, after a ``!``.

    Links are followed. Raises FormatError where there is no such file, OSError where its bytes are not at hand.
    """
    kind = archive_kind(content.pread(0, _HEAD), name)
    if kind is None:
        raise FormatError("is no archive", path=name)
    archive = open_archive(content, kind)
    found = _file(archive, path)
    if found is not None:
        return found
    at = -1
    while (at := path.find("!", at + 1)) >= 0:
        inner = _file(archive, path[:at])
        if inner is not None:
            return member_in(inner, path[:at], path[at + 1 :])
    raise FormatError(f"holds no file {path}" + (f"; {archive.problem}" if archive.problem else ""), path=name)


def _file(archive: Archive, path: str) -> Content | None:
    for _ in range(_LINKS):
        member = archive.find(path)
        if member is None or member.kind not in ("link", "hard-link") or member.content is not None:
            return member.content if member else None
        path = member.target if member.kind == "hard-link" else _beside(path, member.target)
    return None


def _beside(path: str, target: str) -> str:
    """Return the path that a link leads to, from the top of the archive where its text is absolute."""
    parts = [] if target.startswith("/") else path.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _member(member: Member) -> MemberFacts:
    size = member.content.size if member.content is not None else None
    return MemberFacts(
        path=member.path,
        kind=member.kind,
        mode=member.mode,
        size=size,
        target=member.target,
        machine=_machine(member),
    )


def _machine(member: Member) -> str:
    """Return for which machine an ELF file is, empty for any other, and for one whose bytes are not at hand."""
    if member.kind != "file" or member.content is None:
        return ""
    try:
        if not member.content.pread(0, len(MAGIC)).startswith(MAGIC):
            return ""
        head = read_header(member.content)
    except (FormatError, OSError):
        return ""
    arch = architecture_of_elf(head.machine, head.elf_class, head.endian, head.flags)
    return arch.name if arch else machine_name(head.machine)


# -- what it says of itself ------------------------------------------------------------------


def _metadata(name: str, kind: ContainerKind, content: Content, archive: Archive) -> Metadata:
    """Return names and values, nothing where it says nothing or says it in a way that cannot be read."""
    reader = _READERS.get(kind)
    try:
        found = reader(name, content, archive) if reader else {}
    except (FormatError, OSError):
        return {}
    return {key: values for key, values in found.items() if any(values)}


def _reading(archive: Archive) -> Read:
    def read(path: str) -> bytes | None:
        member = archive.find(path)
        if member is None or member.content is None or member.content.size > _MANIFEST_LIMIT:
            return None
        try:
            return member.content.pread(0, member.content.size)
        except (FormatError, OSError):
            return None

    return read


def _wheel(name: str, content: Content, archive: Archive) -> Metadata:
    """PyPA, "Core metadata specifications" and "Binary distribution format": fields may be there several times."""
    del content
    from runworthy.formats.wheel import read_wheel

    sizes = [(one.path, one.content.size) for one in archive.members if one.content is not None]
    facts = read_wheel(name.rpartition("/")[2], sizes, _reading(archive))
    return {
        "name": facts.metadata.get("name", ()),
        "version": facts.metadata.get("version", ()),
        "tags": facts.wheel.get("tag", ()),
        "requires-python": facts.metadata.get("requires-python", ()),
        "requires": facts.metadata.get("requires-dist", ()),
    }


def _package(name: str, content: Content, archive: Archive) -> Metadata:
    """Packages of distributions, which tell it before their files."""
    del archive
    from runworthy.formats.index.metadata import read_metadata

    found = read_metadata(content, name)
    if found is None:
        return {}
    requires = [" | ".join(one.name for one in either) for either in found.depends]
    return {
        "name": (found.name,),
        "version": (found.version,),
        "architecture": (found.arch,),
        "requires": tuple(dict.fromkeys(requires)),
    }


def _npm(name: str, content: Content, archive: Archive) -> Metadata:
    del name, content
    from runworthy.formats.layout.npm import npm_package, package_root

    root = package_root(one.path for one in archive.members)
    if root is None:
        return {}
    called, version, package = npm_package(_reading(archive), root)
    return {
        "name": (called,),
        "version": (version,),
        "os": package.os or (),
        "cpu": package.cpu or (),
        "libc": package.libc or (),
        "optional": tuple(package.optional),
    }


def _nupkg(name: str, content: Content, archive: Archive) -> Metadata:
    del name, content
    from runworthy.formats.layout.nuget import nuspec

    called, version, _ = nuspec(_reading(archive), [one.path for one in archive.members])
    return {"name": (called,), "version": (version,)}


_READERS: Mapping[ContainerKind, Callable[[str, Content, Archive], Metadata]] = {
    "wheel": _wheel,
    "deb": _package,
    "apk": _package,
    "rpm": _package,
    "npm": _npm,
    "nupkg": _nupkg,
}
