"""rpm's repositories: ``repomd.xml``, and the lists that it names.

Source: createrepo_c ``src/xml_dump_primary.c``, ``xml_dump_filelists.c``, ``xml_dump_repomd.c``; rpm
"Boolean dependencies" (docs/manual/boolean_dependencies.md).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from runworthy.formats.content import Content
from runworthy.formats.index.xml import Element, parse, scan, whole
from runworthy.formats.package.streams import reader, unpack
from runworthy.model.errors import FormatError
from runworthy.model.package import Package, Relation
from runworthy.model.records import dataclass

__all__ = ["Listed", "PrimaryIndex", "file_owners", "read_repomd", "rich_relation"]

_MOST: Final = 1_000_000
_LONGEST: Final = 32 << 20
_FLAGS: Final = {"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_OPERAND: Final = re.compile(r"\s*([^\s]+)(?:\s+(<=|>=|<|>|=)\s+([^\s()]+))?\s*")
_CALLED: Final = re.compile(rb"<(?:[^<>\s]+:)?name\s*>([^<]*)<")
_FILE: Final = re.compile(rb"<(?:[^<>\s]+:)?file(?:\s[^<>]*)?>(/[^<]*)<")
_CONDITIONS: Final = (" if ", " unless ", " without ")
_JOINED: Final = (" and ", " with ")
# Capabilities that rpm itself has, and files that every root brings: nothing is to be installed for them.
_OF_RPM: Final = ("rpmlib(", "config(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file that ``repomd.xml`` names: where it lies below the repository, and its hash (SHA-256, hexadecimal)."""

    path: str
    sha256: str = ""
    size: int | None = None


def read_repomd(content: Content) -> dict[str, Listed]:
    """Return by kind (``primary``, ``filelists``) the lists of a repository. Raises FormatError, OSError."""
    top = whole(content)
    if top.name != "repomd":
        raise FormatError(f"is no repomd.xml: it begins with <{top.name[:40]}>")
    found = {}
    for data in top.children:
        path = data.child("location").get("href")
        if data.name == "data" and path and not path.startswith("/") and ".." not in path.split("/"):
            sum_ = data.child("checksum")
            digest = sum_.text.strip().lower() if sum_.get("type") == "sha256" else ""
            size = data.child("size").text.strip()
            found[data.get("type")] = Listed(
                path=path,
                sha256=digest if _HEX.fullmatch(digest) else "",
                size=int(size) if size.isascii() and size.isdigit() and len(size) < 16 else None,
            )
    return found


class PrimaryIndex:
    """The packages of a ``primary.xml``: looked through once, each read when somebody asks for it."""

    def __init__(self, content: Content, origin: str = "", base: str = "") -> None:
        """``base`` is the URL or directory of the repository. Raises FormatError, OSError."""
        self._content = unpack(content)
        self._origin = origin
        self._base = base.rstrip("/")
        self._places = array("Q")
        self._ends = array("Q")
        self._by_name: dict[str, list[int]] = {}
        self._read: dict[int, Package] = {}
        self._section = ""
        scan(reader(self._content), self._start, self._end)

    def __len__(self) -> int:
        return len(self._ends)

    def find(self, name: str) -> tuple[Package, ...]:
        """Return the packages that are called so, or provide it; a path as well. Raises FormatError, OSError."""
        return tuple(self._package(number) for number in dict.fromkeys(self._by_name.get(name, ())))

    def names(self) -> Iterator[str]:
        """Yield each name by which something is found."""
        return iter(self._by_name)

    def packages(self) -> Iterator[Package]:
        """Yield every package. Raises FormatError, OSError."""
        return (self._package(number) for number in range(len(self)))

    def _start(self, name: str, attributes: Mapping[str, str], offset: int) -> None:
        if name == "package":
            if len(self._places) != len(self._ends) or len(self._places) >= _MOST:
                raise FormatError(f"has a package in a package, or more than {_MOST}", offset=offset)
            self._places.append(offset)
        elif name in ("provides", "requires", "conflicts", "obsoletes"):
            self._section = name
        elif name == "entry" and self._section == "provides" and "name" in attributes:
            self._by_name.setdefault(attributes["name"], []).append(len(self._places) - 1)

    def _end(self, name: str, offset: int) -> None:
        if name == "package":
            self._ends.append(offset)
            number = len(self._ends) - 1
            for each in _called(self._text(number), self._places[number]):
                self._by_name.setdefault(each, []).append(number)
        elif name == self._section:
            self._section = ""

    def _package(self, number: int) -> Package:
        held = self._read.get(number)
        if held is None:
            start = self._places[number]
            held = self._read[number] = _package(_element(self._text(number), start), start, self._origin, self._base)
        return held

    def _text(self, number: int) -> bytes:
        """Return a package's entry, without its end. Raises FormatError, OSError."""
        start, end = self._places[number], self._ends[number]
        if end - start > _LONGEST:
            raise FormatError(f"has an entry of over {_LONGEST} bytes", offset=start)
        return self._content.pread(start, end - start)


def _element(text: bytes, offset: int) -> Element:
    """Return an entry as a tree. Its own prefixes are enough: no name space is looked at. Raises FormatError."""
    return parse(text + b"</package>", offset)


def _called(text: bytes, offset: int) -> Iterator[str]:
    """Yield the name of the package of an entry, and its files; most entries need no parser for that."""
    words = [*_CALLED.findall(text)[:1], *_FILE.findall(text)]
    if b"<!" not in text and b"<?" not in text and not any(b"&" in word for word in words):
        yield from (word.decode("utf-8", "surrogateescape").strip() for word in words)
        return
    element = _element(text, offset)
    yield element.child("name").text.strip()
    yield from (one.text for one in element.child("format").children if one.name == "file" and one.text[:1] == "/")


def _package(element: Element, offset: int, origin: str, base: str) -> Package:
    name, arch = element.child("name").text.strip(), element.child("arch").text.strip()
    version = _version(element.child("version"))
    if not name or not version:
        raise FormatError("a package has no name or no version", offset=offset)
    about = element.child("format")
    sum_, size = element.child("checksum"), element.child("size")
    digest = sum_.text.strip().lower() if sum_.get("type") == "sha256" else ""
    path = element.child("location").get("href")
    outside = path.startswith("/") or ".." in path.split("/")
    provides = tuple(_relations(about.child("provides")))
    own = {one.name for one in provides}
    requires = (rich_relation(one) for one in _relations(about.child("requires")))
    against = (*_relations(about.child("conflicts")), *_relations(about.child("obsoletes")))
    return Package(
        manager="dnf",
        name=name,
        version=version,
        arch=arch,
        size=_number(size.get("package")),
        installed=_number(size.get("installed")),
        provides=provides,
        depends=tuple(dict.fromkeys(one for one in requires if one and not any(each.name in own for each in one))),
        conflicts=tuple(one for one in against if not one.name.startswith("(")),
        files=tuple(one.text for one in about.children if one.name == "file" and one.text.startswith("/")),
        archive=f"{base}/{path}" if base and path and not outside else "",
        sha256=digest if _HEX.fullmatch(digest) else "",
        origin=origin,
    )


def _relations(element: Element) -> Iterator[Relation]:
    for entry in element.children:
        name = entry.get("name")
        if entry.name == "entry" and name and not name.startswith(_OF_RPM):
            operator = _FLAGS.get(entry.get("flags"), "")
            yield Relation(name=name, operator=operator, version=_version(entry) if operator else "")


def rich_relation(wanted: Relation) -> tuple[Relation, ...]:
    """Return the alternatives that a requirement of rpm names, none for one that only applies under a condition.

    Of what has to be there together, or in one package, the first is taken: the rest is what makes it narrower.
    """
    text = wanted.name
    if not text.startswith("("):
        return (wanted,)
    inner = text[1:].removesuffix(")")
    if any(word in inner for word in _CONDITIONS):
        return ()
    for word in _JOINED:
        inner = inner.partition(word)[0] if " or " not in inner else inner
    found = (_OPERAND.fullmatch(one.strip(" ()") if " " in one.strip() else one) for one in inner.split(" or "))
    return tuple(Relation(name=one[1], operator=one[2] or "", version=one[3] or "") for one in found if one)


def _version(element: Element) -> str:
    """Return ``EPOCH:VERSION-RELEASE`` without an epoch of 0, and without what there is not."""
    epoch, version, release = (element.get(name) for name in ("epoch", "ver", "rel"))
    text = f"{version}-{release}" if release else version
    return f"{epoch}:{text}" if version and epoch not in ("", "0") else text


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def file_owners(content: Content, paths: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return of each of ``paths`` the names of the packages that bring it, by ``filelists.xml``.

    The list is passed through once. Raises FormatError, OSError.
    """
    found: dict[str, tuple[str, ...]] = {}
    text = unpack(content)
    name, opened = "", -1

    def start(element: str, attributes: Mapping[str, str], offset: int) -> None:
        nonlocal name, opened
        if element == "package":
            name = attributes.get("name", "")
        opened = offset if element == "file" else -1

    def end(element: str, offset: int) -> None:
        nonlocal opened
        if element == "file" and opened >= 0 and offset - opened < 1 << 14:
            path = parse(text.pread(opened, offset - opened) + b"</file>", opened).text
            if path in paths:
                found[path] = (*found.get(path, ()), name)
        opened = -1

    scan(reader(text), start, end)
    return found
