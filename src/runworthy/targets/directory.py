"""A root that is a directory of this machine."""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from runworthy.formats.content import Content, FileContent
from runworthy.model.credentials import Owner
from runworthy.model.elf import ElfFacts, ElfFile
from runworthy.targets.view import Entry, FileKind, FileView, Resolved, failure

if TYPE_CHECKING:
    from runworthy.targets.cache import Cache, Signature

__all__ = ["DirectoryView", "Trail"]

_LOOKS_BEFORE_LISTING = 4
_OPEN_FILES = 64
_ABSENT: Final = Entry("other")
_UNASKED: Final = Entry("other")
_ABSENCES = 16
_ACL = "system.posix_acl_access"
_FOREIGN_SEPARATORS: Final = "" if os.sep == "/" else f"{os.sep}:"


class Trail:
    """Paths of this machine that answers depend on: those of which one entry was asked, and directories listed.

    Of the ``foreign`` ones it counts only that they hold no ELF file. ``passed`` are the directories among those looked
    at, each with the device and inode that it had then.
    """

    __slots__ = ("foreign", "listed", "looked", "passed")

    def __init__(self) -> None:
        self.looked: list[str] = []
        self.listed: list[str] = []
        self.foreign: list[str] = []
        self.passed: dict[str, tuple[int, int]] = {}

    def add(self, other: Trail) -> None:
        """Write down what was looked at and listed elsewhere."""
        self.looked += other.looked
        self.listed += other.listed
        self.foreign += other.foreign
        self.passed = other.passed | self.passed

    def take(self) -> Trail:
        """Return what was added since the last time."""
        taken = Trail()
        taken.add(self)
        self.looked, self.listed, self.foreign, self.passed = [], [], [], {}
        return taken


class DirectoryView(FileView):
    """Reads a directory of this machine as a root; symbolic links are followed inside it only.

    A directory that is asked for several names is listed once, so that a search over many candidates
    costs no system call each. Descriptors are kept for the last few files read.
    """

    cache: Cache | None = None
    """Where facts are kept between runs."""

    def __init__(self, directory: str) -> None:
        super().__init__()
        self._root = os.path.realpath(directory).rstrip("/\\")
        self._looks: dict[str, int] = {}
        # A name's entry once somebody has asked for it. No listing at all: each name has to be looked up.
        self._listings: dict[str, dict[str, Entry | None] | None] = {}
        self._owners: dict[str, Owner] = {}
        self._identities: dict[str, Hashable] = {}
        self._open: OrderedDict[str, FileContent] = OrderedDict()
        self._absences: dict[str, int] = {}
        self.trail = Trail()
        """Where is written down what was looked at."""

    def host_path(self, real: str) -> str:
        """Return where a real path of this root lies on this machine."""
        return self._root + real if real != "/" else self._root or "/"

    def entry(self, directory: str, name: str) -> Entry | None:
        """Return the entry ``name`` of a real directory, None when there is none. Raises OSError."""
        listing = self._listings.get(directory)
        if listing is None:
            listing = self._listing(directory)
            if listing is None:
                return self._look(directory, name)
        found = listing.get(name, _UNASKED)
        if found is _ABSENT:
            return None
        if found is None:
            found = listing[name] = self._look(directory, name)
        elif found is _UNASKED:
            listing[name] = _ABSENT
            self._note_absence(directory, name)
            return None
        return found

    def names(self, directory: str) -> Iterable[str]:
        """Return the names in a real directory. Raises OSError."""
        self.trail.listed.append(self.host_path(directory))
        listing = self._listings.get(directory)
        if listing is None:
            return os.listdir(self.host_path(directory))
        return [name for name, entry in listing.items() if entry is not _ABSENT]

    def content(self, real: str) -> Content:
        """Return the bytes of the regular file at a real path. Raises OSError."""
        held = self._open.get(real)
        if held is not None:
            self._open.move_to_end(real)
            return held
        path = self.host_path(real)
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise failure(errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EACCES, real)
        content = FileContent(path, status.st_size)
        self._open[real] = content
        if len(self._open) > _OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return content

    def identity(self, found: Resolved) -> Hashable:
        """Return device and inode, so that hard links are known as one file."""
        held = self._identities.get(found.path)
        if held is None:
            try:
                status = os.lstat(self.host_path(found.path))
                held = (status.st_dev, status.st_ino)
            except OSError:
                held = found.path
            self._identities[found.path] = held
        return held

    def owner(self, real: str) -> Owner:
        """Return to whom the entry at a real path belongs. Raises OSError."""
        held = self._owners.get(real)
        if held is not None:
            return held
        path = self.host_path(real)
        status = os.lstat(path)
        try:
            acl = os.getxattr(path, _ACL, follow_symlinks=False)
        except (AttributeError, OSError):  # no Linux; none, or no such thing on this file system
            acl = b""
        held = self._owners[real] = Owner(uid=status.st_uid, gid=status.st_gid, acl=acl)
        return held

    def load_elf(self, real: str) -> ElfFile:
        """Return the ELF file at a real path, from the cache where that has it. Raises FormatError, OSError."""
        cache = self.cache
        if cache is None:
            return super().load_elf(real)
        signature = cache.signature(self.host_path(real))
        held = cache.recall(signature, real)
        if held is not None:
            held.source = partial(self._with_symbols, cache, signature, real, held.facts)
        elf = held or super().load_elf(real)
        cache.learn(signature, elf)
        return elf

    def _with_symbols(self, cache: Cache, signature: Signature, real: str, facts: ElfFacts) -> ElfFile:
        """Return a file of which the eager facts alone came out of the cache."""
        held = cache.symbols(signature, real, facts)
        if held is None:
            return super().load_elf(real)
        held.source = partial(super().load_elf, real)
        return held

    def _look(self, directory: str, name: str) -> Entry | None:
        if any(mark in name for mark in _FOREIGN_SEPARATORS):
            return None
        path = f"{self.host_path(directory)}/{name}"
        self.trail.looked.append(path)
        try:
            status = os.lstat(path)
            target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:  # no file has such a name: an embedded NUL, a character that cannot be encoded
            return None
        if stat.S_ISDIR(status.st_mode):
            self.trail.passed.setdefault(path, (status.st_dev, status.st_ino))
        return Entry(_kind(status.st_mode), stat.S_IMODE(status.st_mode), status.st_size, target)

    def _note_absence(self, directory: str, name: str) -> None:
        """Write down that a name is not there; of a directory that is asked for many, that all of it counts."""
        absences = self._absences[directory] = self._absences.get(directory, 0) + 1
        if absences <= _ABSENCES:
            self.trail.looked.append(f"{self.host_path(directory)}/{name}")
        elif absences == _ABSENCES + 1:
            self.trail.listed.append(self.host_path(directory))

    def _listing(self, directory: str) -> dict[str, Entry | None] | None:
        """List the directory if it has been asked for some names already and lets itself be listed and searched."""
        if directory in self._listings:
            return None
        looks = self._looks.get(directory, 0)
        self._looks[directory] = looks + 1
        if looks < _LOOKS_BEFORE_LISTING:
            return None
        path = self.host_path(directory)
        listing: dict[str, Entry | None] | None = None
        if os.access(path, os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            try:
                listing = dict.fromkeys(os.listdir(path))
            except OSError:
                listing = None
        self._listings[directory] = listing
        return listing


def _kind(mode: int) -> FileKind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "dir"
    return "link" if stat.S_ISLNK(mode) else "other"
