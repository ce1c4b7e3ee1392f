"""One root's files, whatever holds them: the only way in which simulators see a file system.

A backing tells what one directory entry is; this module walks paths as Linux does (``fs/namei.c``): symbolic links,
absolute ones too, are resolved inside the root and never leave it, and one walk follows 40 of them at most.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from typing import Literal

from runworthy.formats.content import Content, read_exactly
from runworthy.formats.elf import read_elf
from runworthy.model.credentials import Owner
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError, RunworthyError
from runworthy.model.records import dataclass

__all__ = ["Entry", "FileKind", "FileView", "Resolved", "UnseenError", "failure", "reason"]

FileKind = Literal["file", "dir", "link", "other"]
MAX_LINKS = 40
PATH_MAX = 4096
NAME_MAX = 255
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


class UnseenError(RunworthyError):
    """A question about a place of which the root's facts say nothing: neither what is there nor that nothing is."""


def reason(number: int) -> str:
    """Return the words that the system has for an errno."""
    return os.strerror(number)


def failure(number: int, path: str) -> OSError:
    """Return the OSError that the kernel would give for ``path``."""
    return OSError(number, os.strerror(number), path)


class FileView(ABC):
    """A root. Paths are absolute POSIX paths inside it; ``real`` paths have no symbolic link in them."""

    authority: frozenset[str] | None = None
    """None: the root is closed, a file that is not there is absent. Else it is a core root, and only the names
    (library names and loader paths) in this set are absent when they are not there."""

    open_versions: frozenset[str] = frozenset()
    """Version nodes that libraries of this root define with symbols that are not recorded: one that is not found
    under such a node is outside what is known."""

    relisted: frozenset[str] = frozenset()
    """Real directories to which libraries were added after ``/etc/ld.so.cache`` was written, and which ldconfig has
    read since: the cache is the file and what ldconfig finds in these."""

    def __init__(self) -> None:
        # Of every directory path that was walked: its real path or an errno, and how many links the walk followed.
        self._walked: dict[str, tuple[str | int, int]] = {"": ("/", 0)}
        self._failed: list[str] = []
        self._elf: dict[str, ElfFile | FormatError] = {}

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
        return read_elf(self.content(real), real)

    def identity(self, found: Resolved) -> Hashable:
        """Return what is equal for two names of one file (device and inode where there are such)."""
        return found.path

    def mode(self, real: str) -> int:
        """Return the permission bits of the entry at a real path. Raises OSError."""
        return self.lstat(real).entry.mode

    def owner(self, real: str) -> Owner | None:
        """Return to whom the entry at a real path belongs, None where that is not recorded. Raises OSError."""
        del real
        return None

    def was_taken_of(self, directory: str) -> bool:
        """Whether this root is what the directory of this machine held when it was captured."""
        del directory
        return False

    def holds(self, real: str, other: FileView, source: str) -> bool:
        """Whether the file, or everything in the directory, at a real path is known to be that of another view."""
        del real, other, source
        return False

    # -- what every root offers -------------------------------------------------------------

    def find(self, path: str) -> Resolved | int:
        """Return what ``path`` names after following every symbolic link, else the errno that open(2) would give."""
        if path[:1] != "/" or len(path) >= PATH_MAX // 4:
            number = _refused(path)
            if number:
                return number
        return self._find(path, 0)[0]

    def resolve(self, path: str) -> Resolved:
        """As :meth:`find`. Raises OSError where that returns an errno."""
        found = self.find(path)
        if isinstance(found, int):
            raise failure(found, path)
        return found

    def lstat(self, path: str) -> Resolved:
        """As :meth:`resolve`, without following a link in the last component. Raises OSError."""
        number = _refused(path)
        parent, _, name = path.rpartition("/")
        if number or name in ("", ".", ".."):
            return self.resolve(path)
        directory = self._directory(parent)
        if _too_long(name, NAME_MAX):
            raise failure(errno.ENAMETOOLONG, path)
        entry = self.entry(directory, name)
        if entry is None:
            raise failure(errno.ENOENT, path)
        return Resolved(_join(directory, name), entry)

    def exists(self, path: str) -> bool:
        """Whether ``path`` leads to something."""
        return not isinstance(self.find(path), int)

    def real_directory(self, path: str) -> str | None:
        """Return the real path of a directory, None when there is no such directory."""
        held = self._walked.get(path)
        where = held[0] if held and path else _refused(path) or self._walk(path, 0)[0]
        return where if isinstance(where, str) else None

    def readdir(self, path: str) -> list[str]:
        """Return the sorted names in the directory ``path``. Raises OSError."""
        number = _refused(path)
        if number:
            raise failure(number, path)
        return sorted(self.names(self._directory(path)))

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
    # Each step takes and returns how many links have been followed so far: what is remembered counts as if walked.

    def _find(self, path: str, links: int) -> tuple[Resolved | int, int]:
        parent, _, name = path.rpartition("/")
        directory, links = self._walk(parent, links)
        if isinstance(directory, int):
            return directory, links
        if name in ("", ".", ".."):
            return self._here(_parent(directory) if name == ".." else directory), links
        entry = self._entry(directory, name)
        if isinstance(entry, int):
            return entry, links
        if entry.kind != "link":
            return Resolved(_join(directory, name), entry), links
        return self._follow(directory, entry.target, links + 1)

    def _follow(self, directory: str, target: str, links: int) -> tuple[Resolved | int, int]:
        if links > MAX_LINKS:
            return errno.ELOOP, links
        if not target or (len(target) >= PATH_MAX // 4 and _too_long(target, PATH_MAX - 1)):
            return errno.ENAMETOOLONG if target else errno.ENOENT, links
        return self._find(target if target.startswith("/") else _join(directory, target), links)

    def _walk(self, path: str, links: int) -> tuple[str | int, int]:
        """Return the real path of the directory ``path`` or an errno."""
        held = self._walked.get(path)
        if held is None:
            held = self._walk_on(path, links)
        where, followed = held
        links += followed
        return (errno.ELOOP if links > MAX_LINKS else where), links

    def _walk_on(self, path: str, links: int) -> tuple[str | int, int]:
        """Walk from the longest prefix that is known; remember each step, but not ELOOP: it depends on the way here."""
        walked = self._walked
        pending = []
        prefix = path
        while (held := walked.get(prefix)) is None:
            prefix, _, name = prefix.rpartition("/")
            pending.append(name)
        where, followed = held
        while pending and isinstance(where, str):
            name = pending.pop()
            prefix = f"{prefix}/{name}"
            where, total = self._down(where, name, links + followed)
            followed = total - links
            if where == errno.ELOOP:
                return where, followed
            walked[prefix] = (where, followed)
            if isinstance(where, int):
                self._failed.append(prefix)
        return where, followed

    def _down(self, directory: str, name: str, links: int) -> tuple[str | int, int]:
        """Return the real path of the directory ``name`` of a real directory, or an errno."""
        if name in ("", ".", ".."):
            return (_parent(directory) if name == ".." else directory), links
        entry = self._entry(directory, name)
        if isinstance(entry, int):
            return entry, links
        if entry.kind == "dir":
            return _join(directory, name), links
        if entry.kind != "link":
            return errno.ENOTDIR, links
        found, links = self._follow(directory, entry.target, links + 1)
        if isinstance(found, int):
            return found, links
        return (found.path if found.entry.kind == "dir" else errno.ENOTDIR), links

    def _entry(self, directory: str, name: str) -> Entry | int:
        if len(name) > NAME_MAX // 4 and _too_long(name, NAME_MAX):
            return errno.ENAMETOOLONG
        try:
            return self.entry(directory, name) or errno.ENOENT
        except OSError as error:
            return error.errno or errno.EIO

    def _here(self, directory: str) -> Resolved:
        """Return a real directory as what was found."""
        parent, _, name = directory.rpartition("/")
        entry = self._entry(parent or "/", name) if name else _TOP
        return Resolved(directory, _TOP if isinstance(entry, int) else entry)

    def _forget_walks(self, *, failed_only: bool = False) -> None:
        """Forget what was walked, or only what led nowhere: a name was added and none was taken away."""
        if failed_only:
            for path in self._failed:
                self._walked.pop(path, None)
        else:
            self._walked = {"": ("/", 0)}
        self._failed = []

    def _directory(self, path: str) -> str:
        """Return the real path of the directory ``path``. Raises OSError."""
        where, _ = self._walk(path, 0)
        if isinstance(where, int):
            raise failure(where, path)
        return where


_TOP = Entry("dir", 0o755)


def _refused(path: str) -> int:
    """Return the errno for a path that is not even walked, 0 when it can be."""
    if not path.startswith("/"):
        return errno.ENOENT
    return errno.ENAMETOOLONG if len(path) >= PATH_MAX // 4 and _too_long(path, PATH_MAX - 1) else 0


def _too_long(text: str, limit: int) -> bool:
    """Whether ``text`` has more than ``limit`` bytes. A character has four at most: ask only about long ones."""
    try:
        return len(text.encode("utf-8", "surrogateescape")) > limit
    except UnicodeEncodeError:  # no file of Linux has such a name
        return len(text) > limit


def _join(directory: str, name: str) -> str:
    return f"/{name}" if directory == "/" else f"{directory}/{name}"


def _parent(directory: str) -> str:
    return directory.rpartition("/")[0] or "/"
