"""What a package says of itself: its name, version, dependencies and files, out of the package.

Source: deb(5); Alpine wiki, "Apk spec" (PKGINFO); rpm ``include/rpm/rpmtag.h`` and ``rpmds.h`` (flags of relations).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from runworthy.formats.content import BytesContent, Content
from runworthy.formats.index import apkindex
from runworthy.formats.index.control import fields_of, package_of
from runworthy.formats.index.repodata import rich_relation
from runworthy.formats.package import DEB_MAGIC, part_of_deb
from runworthy.formats.package.rpm import RPM_MAGIC, Tags, rpm_tags
from runworthy.formats.package.streams import compression_of, pieces, reader, unpack
from runworthy.formats.package.tar import read_tar
from runworthy.model.errors import FormatError
from runworthy.model.package import Package, Relation
from runworthy.model.records import replace

__all__ = ["of_tags", "read_metadata"]

_TEXT: Final = 4 << 20
_LESS, _GREATER, _EQUAL, _RPMLIB = 1 << 1, 1 << 2, 1 << 3, 1 << 24
_NAME, _VERSION, _RELEASE, _EPOCH, _SIZE, _ARCH = 1000, 1001, 1002, 1003, 1009, 1022
# Names, flags and versions of relations.
_PROVIDES, _REQUIRES = (1047, 1112, 1113), (1049, 1048, 1050)
_CONFLICTS, _OBSOLETES = (1054, 1053, 1055), (1090, 1114, 1115)
_INDEXES, _BASE_NAMES, _DIRECTORIES = 1116, 1117, 1118
_OF_RPM: Final = ("rpmlib(", "config(")


def read_metadata(content: Content, archive: str = "") -> Package | None:
    """Return what the package ``archive`` tells of itself, None where it is an archive that tells nothing.

    Only what stands before its files is read: of those, rpm alone names any. Raises FormatError, OSError.
    """
    head = content.pread(0, 512)
    found: Package | None
    if head.startswith(DEB_MAGIC):
        found = _deb(content)
    elif head.startswith(RPM_MAGIC):
        found = of_tags(rpm_tags(content))
    else:
        found = _apk(content)
    if found is None:
        return None
    return replace(found, archive=archive, size=content.size, origin=archive)


def _deb(content: Content) -> Package:
    for member in read_tar(unpack(part_of_deb(content, "control.tar"))):
        if member.path == "control" and member.content is not None:
            return package_of(fields_of(_text(member.content)))
    raise FormatError("is a package without a control file")


def _apk(content: Content) -> Package | None:
    for member in read_tar(_beginning(content)):
        if member.path == ".PKGINFO" and member.content is not None:
            return _of_pkginfo(_text(member.content).decode("utf-8", "surrogateescape"))
        if not member.path.startswith(".SIGN."):
            return None
    return None


def _beginning(content: Content) -> Content:
    """Return the first bytes of what is packed."""
    kind = compression_of(content.pread(0, 8))
    found = b""
    for piece in pieces(reader(content), kind) if kind else iter((content.pread(0, _TEXT),)):
        found += piece
        if len(found) >= _TEXT:
            break
    return BytesContent(found)


def _of_pkginfo(text: str) -> Package:
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition(" = ")
        if equals and not line.startswith("#"):
            fields.setdefault(name.strip(), []).append(value.strip())
    name, version, arch, size = (fields.get(key, [""])[0] for key in ("pkgname", "pkgver", "arch", "size"))
    if not name or not version:
        raise FormatError("a package has no name or no version")
    wanted = [one for word in fields.get("depend", ()) if (one := apkindex.relation(word))]
    return Package(
        manager="apk",
        name=name,
        version=version,
        arch=arch,
        installed=int(size) if size.isascii() and size.isdigit() and len(size) < 20 else None,
        provides=tuple(one for word in fields.get("provides", ()) if (one := apkindex.relation(word))),
        depends=tuple((one,) for one in wanted if not one.operator.startswith("!")),
        conflicts=tuple(replace(one, operator=one.operator[1:]) for one in wanted if one.operator.startswith("!")),
    )


def _text(content: Content) -> bytes:
    if content.size > _TEXT:
        raise FormatError(f"what it says of itself is {content.size} bytes")
    return content.pread(0, content.size)


# -- rpm -------------------------------------------------------------------------------------------


def of_tags(tags: Tags) -> Package:
    """Return the package that a header of rpm tells of. Raises FormatError."""
    name, version, release = (_first(tags, tag) for tag in (_NAME, _VERSION, _RELEASE))
    if not name or not version:
        raise FormatError("a package has no name or no version")
    epoch = _number(tags, _EPOCH)
    provides = tuple(_relations(tags, _PROVIDES))
    own = {one.name for one in provides}
    requires = (rich_relation(one) for one in _relations(tags, _REQUIRES))
    return Package(
        manager="dnf",
        name=name,
        version=f"{epoch}:{version}-{release}" if epoch else f"{version}-{release}",
        arch=_first(tags, _ARCH),
        installed=_number(tags, _SIZE),
        provides=provides,
        depends=tuple(dict.fromkeys(one for one in requires if one and not any(each.name in own for each in one))),
        conflicts=(*_relations(tags, _CONFLICTS), *_relations(tags, _OBSOLETES)),
        files=tuple(_files(tags)),
    )


def _first(tags: Tags, tag: int) -> str:
    value = tags.get(tag, ("",))[:1]
    return value[0] if value and isinstance(value[0], str) else ""


def _number(tags: Tags, tag: int) -> int | None:
    value = tags.get(tag, ())[:1]
    return value[0] if value and isinstance(value[0], int) else None


def _relations(tags: Tags, columns: tuple[int, int, int]) -> Iterator[Relation]:
    names, flags, versions = (tags.get(tag, ()) for tag in columns)
    for at, name in enumerate(names):
        flag = flags[at] if at < len(flags) else 0
        version = versions[at] if at < len(versions) else ""
        if not isinstance(name, str) or not isinstance(flag, int) or not isinstance(version, str):
            raise FormatError("a relation of an rpm header is damaged")
        if not name.startswith(_OF_RPM) and not flag & _RPMLIB:
            signs = ((_LESS, "<"), (_GREATER, ">"), (_EQUAL, "="))
            operator = "".join(sign for bit, sign in signs if flag & bit) if version else ""
            yield Relation(name=name, operator=operator, version=version.removeprefix("0:") if operator else "")


def _files(tags: Tags) -> Iterator[str]:
    directories = tags.get(_DIRECTORIES, ())
    for name, index in zip(tags.get(_BASE_NAMES, ()), tags.get(_INDEXES, ()), strict=False):
        if isinstance(index, int) and 0 <= index < len(directories):
            yield f"{directories[index]}{name}"
