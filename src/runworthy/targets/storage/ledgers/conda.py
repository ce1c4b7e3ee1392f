"""Packages of conda's installers: as they are installed, and as they lie in a cache."""

from __future__ import annotations

from typing import Final

from runworthy.formats.environment.conda import CondaFiles, parse_index, parse_paths, parse_prefix_record
from runworthy.formats.environment.loading import JSON_MAX
from runworthy.model.errors import FormatError
from runworthy.model.storage import Owner
from runworthy.targets.storage.ledgers.shelf import Library, Shelf, Title
from runworthy.targets.storage.peeking import entries, peek

__all__ = ["CondaMeta", "Packages"]

_INDEX_MAX: Final = 1 << 20
_ARCHIVES: Final = (".conda", ".tar.bz2")


def _hexadecimal(row: str) -> str:
    return f"sha256:{row}" if row else ""


class CondaMeta:
    """The records in the ``conda-meta`` of an environment."""

    def __init__(self, prefix: str, installer: str, library: Library) -> None:
        self._prefix = prefix
        self._installer = installer
        self._library = library
        self._shelf: Shelf | None = None

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where no record names it."""
        if self._shelf is None:
            self._shelf = self._read()
        return self._shelf.find(path)

    def names(self, path: str) -> bool:
        """Whether a record names a file."""
        return self.find(path) is not None

    def _read(self) -> Shelf:
        shelf = Shelf(self._prefix, self._prefix)
        meta = f"{self._prefix}/conda-meta"
        for name in entries(meta, lambda entry: entry.name.endswith(".json")):
            manifest = f"{meta}/{name}"
            try:
                package = parse_prefix_record(peek(manifest, JSON_MAX), manifest)
            except (OSError, FormatError) as error:
                self._library.fails(manifest, error)
                continue
            shelf.put(
                Title(
                    package=package.name,
                    version=package.version,
                    build=package.build,
                    installer=self._installer,
                    manifest=manifest,
                    link=package.link,
                    rows=self._library.share(name, package.files),
                    hash_of=_hexadecimal,
                )
            )
        return shelf


class Packages:
    """The packages of a cache: each in a directory of its own, beside the archive that it came in."""

    def __init__(self, cache: str, installer: str, library: Library) -> None:
        self._prefix = f"{cache.rstrip('/')}/"
        self._cache = cache
        self._installer = installer
        self._library = library
        self._shelves: dict[str, Shelf | None] = {}

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where no record names it."""
        if not path.startswith(self._prefix):
            return None
        name, slash, _ = path[len(self._prefix) :].partition("/")
        if not slash:
            return self._archive(name, path)
        if name not in self._shelves:
            self._shelves[name] = self._read(name)
        shelf = self._shelves[name]
        return shelf.find(path) if shelf else None

    def _archive(self, name: str, path: str) -> Owner | None:
        stem = next((name.removesuffix(ending) for ending in _ARCHIVES if name.endswith(ending)), "")
        parts = stem.rsplit("-", 2)
        if len(parts) != 3:
            return None
        return Owner(
            environment=self._cache,
            package=parts[0],
            version=parts[1],
            build=parts[2],
            installer=self._installer,
            manifest=path,
        )

    def _read(self, name: str) -> Shelf | None:
        """Return a package. What it holds is as it came: a prefix is written into what is installed of it."""
        directory = f"{self._prefix}{name}"
        index = f"{directory}/info/index.json"
        try:
            package, version, build = parse_index(peek(index, _INDEX_MAX), index)
        except (OSError, FormatError) as error:
            self._library.fails(index, error)
            return None
        files = CondaFiles()
        try:
            files = parse_paths(peek(f"{directory}/info/paths.json", JSON_MAX))
        except (OSError, FormatError) as error:
            self._library.fails(f"{directory}/info/paths.json", error)
        shelf = Shelf(directory, self._cache)
        shelf.put(
            Title(
                package=package,
                version=version,
                build=build,
                installer=self._installer,
                manifest=index,
                rows=self._library.share(f"{name}/", files),
                hash_of=_hexadecimal,
            )
        )
        return shelf
