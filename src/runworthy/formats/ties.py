"""What a package is called where it is installed, and which others are installed with it.

Sources: "Core metadata specifications" of the PyPA (Name, Requires-Dist; markers as in PEP 508) and PEP 503 for the
names; npm's documentation of package.json (name, dependencies, optionalDependencies, peerDependencies).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from runworthy.formats.wheel import normalized
from runworthy.model.archive import ContainerKind
from runworthy.model.errors import FormatError

if TYPE_CHECKING:  # what most archives have no use for
    from runworthy.formats.layout.manifest import Read

__all__ = ["Ties", "ties_of"]

_REQUIREMENT: Final = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA: Final = re.compile(r"\bextra\s*==")
_REQUIRED: Final = ("dependencies", "optionalDependencies", "peerDependencies")
_MOST: Final = 4096


class Ties(NamedTuple):
    """A package's name in its ecosystem, and the names that it requires; both empty where it says nothing."""

    name: str = ""
    requires: frozenset[str] = frozenset()


def ties_of(kind: ContainerKind, paths: Iterable[str], read: Read) -> Ties:
    """Return what a package says of itself and others, nothing for a kind that has no such thing. Raises nothing."""
    reader = _READERS.get(kind)
    try:
        return reader(list(paths), read) if reader else Ties()
    except FormatError:
        return Ties()


def _wheel(paths: list[str], read: Read) -> Ties:
    place = next((path for path in paths if path.count("/") == 1 and path.endswith(".dist-info/METADATA")), None)
    data = read(place) if place else None
    name, requires = "", set()
    for key, value in _headers(data or b""):
        if key == "name":
            name = normalized(value.strip())
        elif key == "requires-dist" and not _EXTRA.search(value.partition(";")[2]):
            found = _REQUIREMENT.match(value)
            requires.update([normalized(found[1])] if found else [])
    return Ties(name, frozenset(requires))


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode("utf-8", "replace").splitlines()[:_MOST]:
        if not line:
            return
        key, colon, value = line.partition(":")
        if colon:
            yield key.lower(), value


def _npm(paths: list[str], read: Read) -> Ties:
    from runworthy.formats.layout.manifest import json_object, text
    from runworthy.formats.layout.npm import package_root

    root = package_root(paths)
    if root is None:
        return Ties()
    held = json_object(read, f"{root}package.json")
    wanted = [held.get(key) for key in _REQUIRED]
    names = {name for one in wanted if isinstance(one, dict) for name in list(one)[:_MOST]}
    return Ties(text(held.get("name")), frozenset(filter(None, map(text, names))))


_READERS: Final[dict[ContainerKind, Callable[[list[str], Read], Ties]]] = {"wheel": _wheel, "npm": _npm}
