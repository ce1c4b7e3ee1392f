"""Packages of a distribution, by the database of its package manager."""

from __future__ import annotations

import os
from typing import Final

from runworthy.formats.environment.conda import CondaFiles
from runworthy.formats.environment.system import (
    DATABASE_MAX,
    parse_apk,
    parse_diversions,
    parse_list,
    parse_versions,
)
from runworthy.model.errors import FormatError
from runworthy.model.storage import Owner
from runworthy.targets.storage.ledgers.shelf import Library, Shelf, Title
from runworthy.targets.storage.peeking import entries, peek

__all__ = ["Apk", "Dpkg"]

_APK: Final = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_MERGED: Final = ("usr/bin/", "usr/sbin/", "usr/lib")
"""Where directories of the root have moved to, while packages name their files as if they had not."""


class _System:
    """The packages of a root."""

    def __init__(self, root: str, library: Library) -> None:
        self._root = root
        self._prefix = f"{root.rstrip('/')}/"
        self._library = library
        self._shelf: Shelf | None = None

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where no record names it."""
        if self._shelf is None:
            self._shelf = Shelf(self._root, self._root)
            self._read(self._shelf)
        if owner := self._shelf.find(path):
            return owner
        inside = path[len(self._prefix) :]
        return self._shelf.find(self._prefix + inside[4:]) if inside.startswith(_MERGED) else None

    def _read(self, shelf: Shelf) -> None:
        raise NotImplementedError


class Dpkg(_System):
    """Debian's: a list of files for each package, and where files were put instead."""

    def __init__(self, root: str, library: Library) -> None:
        super().__init__(root, library)
        self._diverted: dict[str, str] = {}

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where no record names it."""
        if owner := super().find(path):
            return owner
        named = self._diverted.get(f"/{path[len(self._prefix) :]}")
        return super().find(self._prefix + named.lstrip("/")) if named else None

    def _read(self, shelf: Shelf) -> None:
        database = f"{self._prefix}var/lib/dpkg"
        self._diverted = parse_diversions(self._peek(f"{database}/diversions"))
        versions = parse_versions(self._peek(f"{database}/status"))
        for name in entries(f"{database}/info", lambda entry: entry.name.endswith(".list")):
            manifest = f"{database}/info/{name}"
            package, _, architecture = name.removesuffix(".list").partition(":")
            try:
                paths = dict.fromkeys((path[1:] for path in parse_list(self._peek(manifest))), "")
            except FormatError as error:
                self._library.fails(manifest, error)
                continue
            shelf.put(
                Title(
                    package=package,
                    version=versions.get((package, architecture), ""),
                    installer="dpkg",
                    manifest=manifest,
                    rows=self._library.share(name, CondaFiles(hashes=paths)),
                )
            )

    def _peek(self, path: str) -> bytes:
        try:
            return peek(path, DATABASE_MAX)
        except (OSError, FormatError) as error:
            self._library.fails(path, error)
            return b""


class Apk(_System):
    """Alpine's: one file that names all."""

    def _read(self, shelf: Shelf) -> None:
        for place in _APK:
            manifest = os.path.join(self._root, place)
            try:
                for name, version, paths in parse_apk(peek(manifest, DATABASE_MAX)):
                    files = CondaFiles(hashes=dict.fromkeys((path[1:] for path in paths), ""))
                    shelf.put(
                        Title(
                            package=name,
                            version=version,
                            installer="apk",
                            manifest=manifest,
                            rows=self._library.share(f"{name}-{version}.apk", files),
                        )
                    )
            except (OSError, FormatError) as error:
                self._library.fails(manifest, error)
