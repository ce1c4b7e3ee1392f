"""A root that is a directory of this machine."""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Hashable, Iterable

from runworthy.formats.content import Content, FileContent
from runworthy.targets.view import Entry, FileView, Resolved, failure

__all__ = ["DirectoryView"]

_LOOKS_BEFORE_LISTING = 4
_OPEN_FILES = 64


class DirectoryView(FileView):
    """Reads a directory of this machine as a root; symbolic links are followed inside it only.

    A directory that is asked for several names is listed once, so that a search over many candidates
    costs no system call each. Descriptors are kept for the last few files read.
    """

    def __init__(self, directory: str) -> None:
        super().__init__()
        self._root = os.path.abspath(directory).rstrip("/\\")
        self._looks: dict[str, int] = {}
        self._listings: dict[str, dict[str, Entry]] = {}
        self._open: OrderedDict[str, FileContent] = OrderedDict()

    def host_path(self, real: str) -> str:
        """Return where a real path of this root lies on this machine."""
        return self._root + real if self._root or real != "/" else "/"

    def entry(self, directory: str, name: str) -> Entry | None:
        """Return the entry ``name`` of a real directory, None when there is none. Raises OSError."""
        listing = self._listings.get(directory)
        if listing is None:
            looks = self._looks.get(directory, 0)
            if looks < _LOOKS_BEFORE_LISTING:
                self._looks[directory] = looks + 1
                return self._look(directory, name)
            listing = self._list(directory)
        found = listing.get(name)
        if found is not None and found.kind == "link" and not found.target:
            found = listing[name] = self._look(directory, name) or found
        return found

    def names(self, directory: str) -> Iterable[str]:
        """Return the names in a real directory. Raises OSError."""
        return self._list(directory)

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
        try:
            status = os.lstat(self.host_path(found.path))
        except OSError:
            return found.path
        return (status.st_dev, status.st_ino)

    def _look(self, directory: str, name: str) -> Entry | None:
        path = os.path.join(self.host_path(directory), name)
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:  # an embedded NUL names no file
            return None
        target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
        return Entry(_kind(status.st_mode), stat.S_IMODE(status.st_mode), status.st_size, target)

    def _list(self, directory: str) -> dict[str, Entry]:
        listing = self._listings.get(directory)
        if listing is None:
            with os.scandir(self.host_path(directory)) as entries:
                listing = {entry.name: _LISTED[_kind_of(entry)] for entry in entries}
            self._listings[directory] = listing
        return listing


_LISTED = {kind: Entry(kind) for kind in ("file", "dir", "link", "other")}


def _kind_of(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "dir"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "dir"
    return "link" if stat.S_ISLNK(mode) else "other"
