"""Caches whose entries are named by what they hold: uv's archives, pnpm's store, and wheels by their names."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import Final

from runworthy.formats.environment.loading import JSON_MAX
from runworthy.formats.environment.stores import INDEX_MAX, digests_of, package_of_key, parse_store_entry
from runworthy.formats.wheel import parse_wheel_name
from runworthy.model.errors import FormatError
from runworthy.model.storage import Owner
from runworthy.targets.storage.ledgers.python import shelf_of
from runworthy.targets.storage.ledgers.shelf import Library, Shelf
from runworthy.targets.storage.peeking import entries, peek, status_of

__all__ = ["PnpmStore", "UvCache", "WheelNames"]

_ARCHIVES: Final = re.compile(r"(archive-v\d{1,3}/[^/]+)/")
_FILE: Final = re.compile(r"files/([0-9a-f]{2})/([0-9a-f]{126})(?:-exec)?")
_FILES_MAX: Final = 2_000_000


class WheelNames:
    """Wheels as files: name and version are in the name (PEP 427)."""

    def __init__(self, cache: str, installer: str) -> None:
        self._cache = cache
        self._installer = installer

    def find(self, path: str) -> Owner | None:
        """Return whose a wheel is, None for any other file."""
        if not path.endswith(".whl"):
            return None
        try:
            name = parse_wheel_name(os.path.basename(path))
        except FormatError:
            return None
        return Owner(
            environment=self._cache,
            package=name.project,
            version=name.version,
            build=name.build,
            installer=self._installer,
            manifest=path,
        )


class UvCache:
    """uv's cache: in each directory of ``archive-v0`` lies what was in a wheel, its ``.dist-info`` included."""

    def __init__(self, cache: str, library: Library) -> None:
        self._cache = cache
        self._prefix = f"{cache.rstrip('/')}/"
        self._library = library
        self._shelves: dict[str, Shelf] = {}

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where no record names it."""
        found = _ARCHIVES.match(path[len(self._prefix) :])
        if not found or not path.startswith(self._prefix):
            return None
        archive = self._prefix + found[1]
        if archive not in self._shelves:
            self._shelves[archive] = shelf_of(archive, self._cache, archive, self._library)
        return self._shelves[archive].find(path)


class PnpmStore:
    """pnpm's store: files by their SHA-512, and an index of which package has which.

    A file that several packages have is told of the first by name.
    """

    def __init__(self, store: str, library: Library) -> None:
        self._store = store
        self._prefix = f"{store.rstrip('/')}/"
        self._library = library
        self._packages: dict[str, tuple[str, str]] | None = None

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None for what is no file of a package."""
        found = _FILE.fullmatch(path[len(self._prefix) :])
        if not found or not path.startswith(self._prefix):
            return None
        if self._packages is None:
            self._packages = {}
            for name, version, digests in sorted(self._entries(), key=lambda entry: entry[:2], reverse=True):
                self._packages.update(dict.fromkeys(digests, (name, version)))
            self._library.rows += len(self._packages)
        digest = found[1] + found[2]
        name, version = self._packages.get(digest, ("", ""))
        return Owner(
            environment=self._store,
            package=name,
            version=version,
            installer="pnpm",
            recorded=f"sha512:{digest}",
            manifest=path,
        )

    def _entries(self) -> Iterator[tuple[str, str, list[str]]]:
        left = _FILES_MAX
        for entry in self._read():
            left -= len(entry[2])
            if left < 0:
                return
            yield entry

    def _read(self) -> Iterator[tuple[str, str, list[str]]]:
        yield from self._of_database(f"{self._prefix}index.db")
        index = f"{self._prefix}index"
        for shard in entries(index, lambda entry: entry.is_dir(follow_symlinks=False)):
            for name in entries(f"{index}/{shard}", lambda entry: entry.name.endswith(".json")):
                path = f"{index}/{shard}/{name}"
                try:
                    yield parse_store_entry(peek(path, JSON_MAX), path)
                except (OSError, FormatError) as error:
                    self._library.fails(path, error)

    def _of_database(self, path: str) -> Iterator[tuple[str, str, list[str]]]:
        """Yield the entries of a database, read as it is: what pnpm writes meanwhile is not seen."""
        status = status_of(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return
        if status.st_size > INDEX_MAX:
            self._library.fails(path, FormatError(f"is {status.st_size} bytes, over the limit of {INDEX_MAX}"))
            return
        import sqlite3
        from urllib.parse import quote

        database = None
        try:
            database = sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1", uri=True)
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, INDEX_MAX)
            for key, data in database.execute("SELECT key, data FROM package_index LIMIT 1000000"):
                if isinstance(key, str) and isinstance(data, bytes):
                    yield (*package_of_key(key), list(digests_of(data)))
        except sqlite3.Error as error:
            self._library.fails(path, FormatError(f"is no index of a store: {error}"))
        finally:
            if database is not None:
                database.close()
