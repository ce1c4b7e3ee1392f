"""What a plan of sharing rests on, asked of this machine when it is needed."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from typing import Final, Literal

from runworthy.model.storage import Copies, Environment, Owner, Place, StoredFile, Together
from runworthy.storage.planning import Ground
from runworthy.targets.storage.apart import kept_apart
from runworthy.targets.storage.places import Places

__all__ = ["Reflinks", "ground_of"]

_SHARING: Final[Mapping[str, Literal["extents", "clone"]]] = {
    "btrfs": "extents",
    "xfs": "extents",
    "ocfs2": "extents",
    "bcachefs": "clone",
    "zfs": "clone",
}
"""How files share extents on each type of file system: those whose ``remap_file_range`` takes REMAP_FILE_DEDUP compare
bytes themselves (Linux, fs/*/); the others have FICLONE alone."""


class Reflinks:
    """How files share extents, by where they lie. Each file system is asked once."""

    def __init__(self) -> None:
        self._known: dict[str, Literal["extents", "clone", ""]] = {}

    def of(self, place: Place) -> Literal["extents", "clone", ""]:
        """Return how files at a place share extents, empty where they cannot."""
        found = self._known.get(place.filesystem)
        if found is None:
            found = self._known[place.filesystem] = self._ask(place)
        return found

    def _ask(self, place: Place) -> Literal["extents", "clone", ""]:
        way = _SHARING.get(place.type, "")
        return way if way and (place.type != "xfs" or _xfs_shares(place.path)) else ""


def _xfs_shares(directory: str) -> bool:
    from runworthy.targets.storage.ioctls import xfs_shares_extents

    try:
        fd = os.open(directory, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return False
    try:
        return xfs_shares_extents(fd)
    except OSError:
        return False
    finally:
        os.close(fd)


def ground_of(
    copies: Iterable[Copies],
    environments: Mapping[str, Environment],
    owner: Callable[[str], Owner],
    places: Places,
    reflinks: Reflinks,
) -> Ground:
    """Return the ground for a plan about ``copies``."""
    loadings = _Loadings(copies, environments, owner)
    return Ground(
        owner=owner,
        place=_placed(places),
        attributes=_attributes,
        together=loadings.together,
        kept_apart=kept_apart,
        reflinks=reflinks.of,
    )


def _placed(places: Places) -> Callable[[str], Place]:
    @cache
    def of_directory(directory: str) -> Place:
        return places.place(directory)

    return lambda name: of_directory(posixpath.dirname(name))


def _attributes(file: StoredFile) -> Hashable:
    """Return the extended attributes of a file: capabilities, ACLs and labels among them (``xattr(7)``).

    Those that cannot be read are like no others.
    """
    if not hasattr(os, "listxattr"):
        return ()
    path = file.names[0]
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
        return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)
    except OSError:
        return (file.device, file.inode)


class _Loadings:
    """What processes of each environment load, simulated when the first pair of its files is asked about."""

    def __init__(
        self, copies: Iterable[Copies], environments: Mapping[str, Environment], owner: Callable[[str], Owner]
    ) -> None:
        self._copies = copies
        self._environments = environments
        self._owner = owner
        self._loadings: dict[str, Callable[[str, str], Together]] = {}
        self._asked: dict[str, list[str]] | None = None

    def together(self, environment: str, one: str, other: str) -> Together:
        """Return whether a process of an environment may load two of its files as two libraries."""
        ask = self._loadings.get(environment)
        if ask is None:
            from runworthy.engine.dedupe.loading import Loading

            held = self._environments.get(environment)
            if held is None:
                return Together(answer="unknown", why=("it is not known which environment they lie in",))
            ask = self._loadings[environment] = Loading(held, self._names().get(environment, ())).together
        return ask(one, other)

    def _names(self) -> dict[str, list[str]]:
        """Return, by environment, the names that it has of contents that it has as two files or more."""
        if self._asked is None:
            self._asked = {}
            for one in self._copies:
                for environment, names in self._twice(one).items():
                    self._asked.setdefault(environment, []).extend(names)
        return self._asked

    def _twice(self, copies: Copies) -> dict[str, list[str]]:
        held: dict[str, dict[int, list[str]]] = {}
        for number, file in enumerate(copies.files):
            for name in file.names:
                held.setdefault(self._owner(name).environment, {}).setdefault(number, []).append(name)
        return {
            environment: [name for names in files.values() for name in names]
            for environment, files in held.items()
            if len(files) > 1
        }
