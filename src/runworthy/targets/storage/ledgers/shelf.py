"""Records of packages by the directories in which they have files, so that a file's package is found at once.

Environments are much alike: what two of them record of one package is kept once, as long as it is equal.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, Literal, Protocol

from runworthy.formats.environment.conda import CondaFiles
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass
from runworthy.model.storage import Owner
from runworthy.targets.storage.peeking import below

__all__ = ["Ledger", "Library", "Rows", "Shelf", "Title"]

_VARIANTS_MAX: Final = 4
"""Different records of one package that are compared with a new one."""


class Ledger(Protocol):
    """What is known of the files of one environment."""

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where no record names it. Raises nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The files that a record names, and the directories that these are in; paths are relative."""

    files: CondaFiles
    directories: frozenset[str]

    @staticmethod
    def of(files: CondaFiles) -> Rows:
        """Return rows with the directories of some files."""
        return Rows(files=files, directories=frozenset(path.rpartition("/")[0] for path in files.hashes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A package, as its record in one environment tells of it. ``hash_of`` makes a hash of what a row has."""

    package: str
    version: str
    manifest: str
    rows: Rows
    hash_of: Callable[[str], str] = str
    build: str = ""
    installer: str = ""
    editable: bool = False
    link: Literal["hard", "soft", "copy", ""] = ""


class Library:
    """What is kept of all environments together. ``rows`` counts the rows, ``problems`` are (path, why)."""

    def __init__(self) -> None:
        self.rows = 0
        self.problems: dict[str, str] = {}
        self._shared: dict[str, list[Rows]] = {}

    def share(self, name: str, files: CondaFiles) -> Rows:
        """Return the rows of a package that is called so: those that are kept already where they are equal."""
        variants = self._shared.setdefault(name, [])
        for held in variants:
            if held.files == files:
                return held
        rows = Rows.of(files)
        self.rows += len(files.hashes)
        if len(variants) < _VARIANTS_MAX:
            variants.append(rows)
        return rows

    def fails(self, path: str, error: Exception) -> None:
        """Note a record that cannot be read, but for one that is not there."""
        if isinstance(error, FormatError):
            self.problems[error.path or path] = error.message
        elif isinstance(error, OSError) and not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            self.problems[path] = error.strerror or "cannot be read"


class Shelf:
    """The packages whose files lie below ``base``, in an environment that is called ``environment``.

    Where several name one file the first that was put here is told.
    """

    def __init__(self, base: str, environment: str) -> None:
        self._prefix = f"{base.rstrip('/')}/"
        self._environment = environment
        self._places: dict[str, list[Title]] = {}
        self._single: dict[str, tuple[Title, str]] = {}

    def put(self, title: Title) -> None:
        """Add a package with all its rows."""
        for directory in title.rows.directories:
            self._places.setdefault(directory, []).append(title)

    def put_single(self, path: str, title: Title, row: str, bound: str) -> None:
        """Add a file by its whole path, or by one relative to the base, where it lies below ``bound``."""
        found = os.path.normpath(os.path.join(self._prefix, path))
        if below(found, bound):
            self._single.setdefault(found, (title, row))

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where no record names it."""
        if path.startswith(self._prefix):
            relative = path[len(self._prefix) :]
            for title in self._places.get(relative.rpartition("/")[0], ()):
                row = title.rows.files.hashes.get(relative)
                if row is not None:
                    return self._owner(title, row, relative)
        single = self._single.get(path)
        return self._owner(single[0], single[1], "") if single else None

    def _owner(self, title: Title, row: str, relative: str) -> Owner:
        files = title.rows.files
        patched = relative in files.patched
        copied = patched or relative in files.unlinked
        return Owner(
            environment=self._environment,
            package=title.package,
            version=title.version,
            build=title.build,
            installer=title.installer,
            recorded=title.hash_of(row),
            patched=patched,
            editable=title.editable,
            link="copy" if copied else "soft" if relative in files.soft else title.link,
            manifest=title.manifest,
        )
