"""One root's files, whatever holds them: the only way in which simulators see a file system.

A backing tells what one directory entry is; this module walks paths. Symbolic links, absolute ones
too, are resolved inside the root and never leave it, with Linux's limit of 40 links.
"""

from __future__ import annotations

import errno
import os
import posixpath
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf import read_elf
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError

__all__ = ["Entry", "FileView", "Resolved", "failure"]

FileKind = Literal["file", "dir", "link", "other"]
MAX_LINKS = 40
PATH_MAX = 4096
TEXT_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory entry. ``size`` is in bytes (-1: not known); ``target`` is the text of a symbolic link."""

    kind: FileKind
    mode: int = 0o644
    size: int = -1
    target: str = ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A path without symbolic links, and what lies there."""

    path: str
    entry: Entry


def failure(number: int, path: str) -> OSError:
    """Return the OSError that the kernel would give for ``path``."""
    return OSError(number, os.strerror(number), path)


class FileView(ABC):
    """A root. Paths are absolute POSIX paths inside it; ``real`` paths have no symbolic link in them."""

    def __init__(self) -> None:
        self._directories: dict[str, str | int] = {"/": "/"}
        self._elf: dict[str, ElfFile | FormatError] = {}

    authority: frozenset[str] | None = None
    """None: the root is closed, a file that is not there is absent. Else it is a core root, and only the names
    (library names and loader paths) in this set are absent when they are not there."""

    # -- what a backing provides ------------------------------------------------------------

    @abstractmethod
    def entry(self, directory: str, name: str) -> Entry | None:
        """Return the entry ``name`` of the real directory, None when there is none. Raises OSError."""

    @abstractmethod
    def names(self, directory: str) -> Iterable[str]:
        """Return the names in a real directory. Raises OSError."""

    @abstractmethod
    def content(self, real: str) -> Content:
        """Return the bytes of the regular file at a real path. Raises OSError (ENODATA: bytes not recorded)."""

    def load_elf(self, real: str) -> ElfFile:
        """Return the ELF file at a real path. Raises FormatError, OSError. Backings with recorded facts override it."""
        return read_elf(self.content(real))

    def identity(self, found: Resolved) -> Hashable:
        """Return what is equal for two names of one file (device and inode where there are such)."""
        return found.path

    # -- what every root offers -------------------------------------------------------------

    def resolve(self, path: str) -> Resolved:
        """Return what ``path`` names after following every symbolic link. Raises OSError as open(2) would."""
        return self._resolve(path, [MAX_LINKS])

    def lstat(self, path: str) -> Resolved:
        """As :meth:`resolve`, without following a link in the last component. Raises OSError."""
        parent, name = posixpath.split(posixpath.normpath(path))
        if not name:
            return Resolved("/", Entry("dir", 0o755))
        directory = self._directory(parent, [MAX_LINKS])
        entry = self.entry(directory, name)
        if entry is None:
            raise failure(errno.ENOENT, path)
        return Resolved(_join(directory, name), entry)

    def exists(self, path: str) -> bool:
        """Whether ``path`` leads to something."""
        try:
            self.resolve(path)
        except OSError:
            return False
        return True

    def real_directory(self, path: str) -> str | None:
        """Return the real path of a directory, None when there is no such directory."""
        try:
            return self._directory(path, [MAX_LINKS])
        except OSError:
            return None

    def readdir(self, path: str) -> list[str]:
        """Return the sorted names in the directory ``path``. Raises OSError."""
        return sorted(self.names(self._directory(path, [MAX_LINKS])))

    def read(self, path: str, limit: int = TEXT_LIMIT) -> bytes:
        """Return the bytes of a small regular file. Raises OSError; FormatError when it is over ``limit``."""
        found = self.resolve(path)
        if found.entry.kind != "file":
            raise failure(errno.EISDIR if found.entry.kind == "dir" else errno.EACCES, path)
        content = self.content(found.path)
        if content.size > limit:
            raise FormatError(f"is {content.size} bytes, over the limit of {limit}", path=path)
        return read_exactly(content, 0, content.size, "file")

    def elf(self, real: str) -> ElfFile:
        """Return the ELF file at a real path, read once. Raises FormatError (with the path) and OSError."""
        held = self._elf.get(real)
        if held is None:
            try:
                held = self.load_elf(real)
            except FormatError as error:
                held = error.at(real)
            self._elf[real] = held
        if isinstance(held, FormatError):
            raise held
        return held

    # -- walking ----------------------------------------------------------------------------

    def _resolve(self, path: str, links: list[int]) -> Resolved:
        if not path.startswith("/"):
            raise failure(errno.ENOENT, path)
        if len(path) > PATH_MAX:
            raise failure(errno.ENAMETOOLONG, path)
        parent, name = _split(path)
        directory = self._directory(parent, links)
        if name in ("", "."):
            return Resolved(directory, Entry("dir", 0o755))
        if name == "..":
            above = posixpath.dirname(directory)
            return Resolved(above, Entry("dir", 0o755))
        entry = self.entry(directory, name)
        if entry is None:
            raise failure(errno.ENOENT, path)
        if entry.kind != "link":
            return Resolved(_join(directory, name), entry)
        links[0] -= 1
        if links[0] < 0:
            raise failure(errno.ELOOP, path)
        return self._resolve(_absolute(directory, entry.target, path), links)

    def _directory(self, path: str, links: list[int]) -> str:
        """Return the real path of the directory ``path``, remembered for the next time."""
        held = self._directories.get(path)
        if held is None:
            try:
                found = self._resolve(path, links)
                held = found.path if found.entry.kind == "dir" else errno.ENOTDIR
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise
                held = error.errno or errno.ENOENT
            except RecursionError:
                held = errno.ENAMETOOLONG
            self._directories[path] = held
        if isinstance(held, int):
            raise failure(held, path)
        return held


def _split(path: str) -> tuple[str, str]:
    """Split off the last component; a trailing slash leaves it empty, so that the rest must be a directory."""
    parent, _, name = path.rpartition("/")
    return parent.rstrip("/") or "/", name


def _join(directory: str, name: str) -> str:
    return f"/{name}" if directory == "/" else f"{directory}/{name}"


def _absolute(directory: str, target: str, path: str) -> str:
    if not target:
        raise failure(errno.ENOENT, path)
    return target if target.startswith("/") else _join(directory, target)
