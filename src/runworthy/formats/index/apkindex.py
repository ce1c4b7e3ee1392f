"""apk's indexes and its database of what is installed.

Source: Alpine wiki, "Apk spec" (APKINDEX and installed database, format 2); apk-tools 2 ``src/package.c``
(apk_pkg_add_info, apk_blob_pull_dep), ``src/database.c``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from runworthy.formats.content import Content
from runworthy.formats.index.stanzas import StanzaIndex
from runworthy.formats.package.streams import unpack
from runworthy.formats.package.tar import is_tar, read_tar
from runworthy.model.errors import FormatError
from runworthy.model.package import Package, Relation

__all__ = ["read_apkindex", "read_installed", "relation"]

_RELATION: Final = re.compile(r"(!?)([^\s<>=~@!]+)(?:@[^\s<>=~]*)?([<>=~]*)([^\s@]*)(?:@.*)?")
_NAMES: Final = re.compile(rb"^[Pp]:(.*)", re.MULTILINE)
_OPERATORS: Final = frozenset(("", "=", "<", "<=", ">", ">=", "~", "=~", "~=", "<~", ">~", "><"))
_NEWER: Final = (b"ADB", b"ADBd", b"ADBc")


def read_apkindex(content: Content, origin: str = "", base: str = "") -> StanzaIndex:
    """Return the packages of an ``APKINDEX.tar.gz``, or of the text in it.

    ``base`` is the URL or directory of the repository for one architecture. Raises FormatError, OSError.
    """
    if content.pread(0, 3) in _NEWER:
        raise FormatError("is an index of apk 3, which is not read here")
    text = unpack(content)
    if is_tar(text.pread(0, 512)):
        members = (one.content for one in read_tar(text) if one.path == "APKINDEX")
        found = next((one for one in members if one is not None), None)
        if found is None:
            raise FormatError("is an archive without APKINDEX")
        text = found
    return StanzaIndex(text, _names, lambda stanza, offset: _package(stanza, offset, origin, base))


def read_installed(content: Content) -> StanzaIndex:
    """Return the packages that are installed, with their files. Raises FormatError, OSError."""
    return StanzaIndex(content, _names, lambda stanza, offset: _package(stanza, offset, "", ""))


def _names(text: bytes) -> tuple[str, ...]:
    words = b" ".join(_NAMES.findall(text)).decode("utf-8", "surrogateescape").split()
    found = (_RELATION.fullmatch(word) for word in words)
    return tuple(one[2] for one in found if one)


def relation(word: str) -> Relation | None:
    """Return what a word of a dependency says; ``!`` before its operator: it must not be there. None for no such."""
    found = _RELATION.fullmatch(word)
    if found is None or found[3] not in _OPERATORS:
        return None
    operator = found[3] if found[3] != "><" else ""  # a package by its hash: whatever version it has
    return Relation(name=found[2], operator=f"{found[1]}{operator}", version=found[4] if operator else "")


def _package(text: bytes, offset: int, origin: str, base: str) -> Package:
    fields: dict[str, str] = {}
    files: list[str] = []
    directory = ""
    for line in text.decode("utf-8", "surrogateescape").split("\n"):
        kind, colon, value = line.partition(":")
        if not colon or len(kind) != 1:
            raise FormatError(f"{line[:60]!r} is no field", offset=offset)
        if kind == "F":
            directory = value
        elif kind == "R":
            files.append(f"/{directory}/{value}" if directory else f"/{value}")
        else:
            fields.setdefault(kind, value)
    name, version = fields.get("P", ""), fields.get("V", "")
    if not name or not version:
        raise FormatError("a package has no name or no version", offset=offset)
    wanted = tuple(_relations(fields.get("D", "")))
    return Package(
        manager="apk",
        name=name,
        version=version,
        arch=fields.get("A", ""),
        size=_number(fields.get("S", "")),
        installed=_number(fields.get("I", "")),
        provides=tuple(_relations(fields.get("p", ""))),
        depends=tuple((one,) for one in wanted if not one.operator.startswith("!")),
        conflicts=tuple(
            Relation(name=one.name, operator=one.operator[1:], version=one.version)
            for one in wanted
            if one.operator.startswith("!")
        ),
        files=tuple(files),
        archive=f"{base.rstrip('/')}/{name}-{version}.apk" if base and "/" not in f"{name}{version}" else "",
        origin=origin,
    )


def _relations(text: str) -> Iterator[Relation]:
    return (one for one in map(relation, text.split()) if one is not None)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
