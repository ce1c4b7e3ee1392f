"""Debian's control files: lists of packages, dpkg's status, and the texts that tell of an archive.

Source: deb822(5), deb-control(5), Debian Policy 5 and 7, "Declaring relationships between packages".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from runworthy.formats.content import Content
from runworthy.formats.index.stanzas import StanzaIndex, stanzas
from runworthy.formats.package.streams import unpack
from runworthy.model.errors import FormatError
from runworthy.model.package import Package, Relation

__all__ = ["fields_of", "package_of", "paragraphs", "read_packages", "read_status", "relations"]

_FIELD: Final = re.compile(r"([!-9;-~]+):[ \t]*(.*)")
# Lists are long: what begins with letters is looked for by them, many times as fast as any line's beginning.
_FIRST: Final = re.compile(rb"package:[ \t]*(\S+)", re.IGNORECASE)
_NAME: Final = re.compile(rb"\npackage:[ \t]*(\S+)", re.IGNORECASE)
_PROVIDES: Final = re.compile(rb"\nprovides:(.*(?:\n[ \t].*)*)", re.IGNORECASE)
_INSTALLED: Final = re.compile(rb"\nstatus:[ \t]*\S+[ \t]+\S+[ \t]+(installed|triggers-\S+)", re.IGNORECASE)
_RELATION: Final = re.compile(
    r"\s*([A-Za-z0-9][A-Za-z0-9+.-]*(?::[a-z0-9-]+)?)"
    r"\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s)]+)\s*\))?\s*(?:\[[^]]*\]\s*)?(?:<[^>]*>\s*)*"
)
# What dpkg writes, in the words of :class:`Relation`; a lone < or > is an old way of writing <= and >=.
_OPERATORS: Final = {"<<": "<", ">>": ">", "<": "<=", ">": ">="}
_HEX: Final = re.compile(r"[0-9a-f]{64}")


def read_packages(content: Content, origin: str = "", base: str = "") -> StanzaIndex:
    """Return the packages of a ``Packages`` file, packed or not.

    ``base`` is the URL or directory that its file names are below. Raises FormatError, OSError.
    """
    text = unpack(content)
    return StanzaIndex(text, _names, lambda one, offset: package_of(fields_of(one, offset), offset, origin, base))


def read_status(content: Content) -> StanzaIndex:
    """Return the packages that are installed, by dpkg's status file. Raises FormatError, OSError."""
    return StanzaIndex(content, _installed, lambda text, offset: package_of(fields_of(text, offset), offset))


def _names(text: bytes) -> tuple[str, ...]:
    name = _FIRST.match(text)
    if name is None:
        text = b"\n" + text
        name = _NAME.search(text)
    if name is None:
        return ()
    called = name[1].decode("utf-8", "surrogateescape")
    provided = _PROVIDES.search(text)
    if provided is None:
        return (called,)
    words = provided[1].decode("utf-8", "surrogateescape").split(",")
    names = (word.partition("(")[0].partition(":")[0].strip() for word in words)
    return (called, *(one for one in names if one))


def _installed(text: bytes) -> tuple[str, ...]:
    return _names(text) if _INSTALLED.search(text) or _INSTALLED.match(b"\n" + text) else ()


def paragraphs(content: Content) -> Iterator[Mapping[str, str]]:
    """Yield the paragraphs of a small control file. Raises FormatError, OSError."""
    return (fields_of(text, offset) for offset, text in stanzas(content))


def fields_of(text: bytes, offset: int = 0) -> dict[str, str]:
    """Return the fields of a paragraph, their names in lower case. Raises FormatError for what is none."""
    found: dict[str, str] = {}
    name = ""
    for line in text.decode("utf-8", "surrogateescape").split("\n"):
        if line.startswith("#") or not line.strip():
            continue
        if line[0] in " \t":
            if not name:
                raise FormatError("a line goes on with a field that has not begun", offset=offset)
            found[name] += f"\n{line[1:]}"
            continue
        match = _FIELD.fullmatch(line.rstrip("\r"))
        if match is None:
            raise FormatError(f"{line[:60]!r} is no field", offset=offset)
        name = match[1].lower()
        found[name] = match[2].strip()
    return found


def package_of(fields: Mapping[str, str], offset: int = 0, origin: str = "", base: str = "") -> Package:
    """Return the package that a paragraph tells of. Raises FormatError."""
    name, version = fields.get("package", ""), fields.get("version", "")
    if not name or not version:
        raise FormatError("a package has no name or no version", offset=offset)
    wanted = (*relations(fields.get("pre-depends", "")), *relations(fields.get("depends", "")))
    against = (*relations(fields.get("conflicts", "")), *relations(fields.get("breaks", "")))
    digest = fields.get("sha256", "").lower()
    file = fields.get("filename", "").removeprefix("./")
    outside = file.startswith("/") or ".." in file.split("/")
    kilobytes = _number(fields.get("installed-size", ""))
    return Package(
        manager="apt",
        name=name,
        version=version,
        arch=fields.get("architecture", ""),
        size=_number(fields.get("size", "")),
        installed=kilobytes * 1024 if kilobytes is not None else None,
        provides=tuple(one for group in relations(fields.get("provides", "")) for one in group),
        depends=wanted,
        conflicts=tuple(one for group in against for one in group),
        archive=f"{base.rstrip('/')}/{file}" if base and file and not outside else "",
        sha256=digest if _HEX.fullmatch(digest) else "",
        origin=origin,
        multi_arch=fields.get("multi-arch", "").lower(),
    )


def relations(text: str) -> tuple[tuple[Relation, ...], ...]:
    """Return what a relationship field asks for: groups, of each of which one will do. What is none is left out."""
    groups = []
    for group in text.split(","):
        found = (_RELATION.fullmatch(one) for one in group.split("|"))
        alternatives = tuple(
            Relation(name=one[1], operator=_OPERATORS.get(one[2] or "", one[2] or ""), version=one[3] or "")
            for one in found
            if one
        )
        if alternatives:
            groups.append(alternatives)
    return tuple(groups)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
