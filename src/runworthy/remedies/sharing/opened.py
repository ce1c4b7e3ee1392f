"""Stored files and their names, each opened so that nobody can put another one in its place unseen.

Directories are reached without a link on the way, and files are opened by one name in such a directory. FIFOs and
devices are told by a look before and never opened; a link that comes to lie there meanwhile is not followed (open(2),
O_NOFOLLOW, O_NONBLOCK).
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Sequence

from runworthy.remedies.applying.inodes import opened
from runworthy.remedies.applying.troubles import changed
from runworthy.remedies.applying.walking import Folder, reach

__all__ = ["BASE", "Name", "Opened", "Refused", "find_name", "is_inode", "open_file", "within"]

BASE = "/"
"""Where the ways to the files of this machine begin."""


class Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """A file is left as it is; the message says why."""


class Name:
    """One name of a file, in an open directory."""

    __slots__ = ("folder", "name", "path")

    def __init__(self, path: str, folder: Folder, name: str) -> None:
        self.path = path
        self.folder = folder
        self.name = name

    @property
    def place(self) -> tuple[int, int, str]:
        """Which entry it is: two paths may lead to one, where a directory is mounted a second time."""
        status = os.fstat(self.folder.fd)
        return status.st_dev, status.st_ino, self.name


class Opened:
    """A regular file that is open for reading. ``status`` is what fstat(2) said when it was opened."""

    __slots__ = ("fd", "name", "status")

    def __init__(self, name: Name, fd: int) -> None:
        self.name = name
        self.fd = fd
        self.status = os.fstat(fd)

    @property
    def inode(self) -> tuple[int, int]:
        """Which stored file it is."""
        return self.status.st_dev, self.status.st_ino


def within(path: str, boundaries: Sequence[str]) -> bool:
    """Whether a path is one of these, or lies in one of them; where there are none, everything does."""
    return not boundaries or any(f"{path}/".startswith(f"{one.rstrip('/')}/") for one in boundaries)


def find_name(path: str, boundaries: Sequence[str], stack: contextlib.ExitStack) -> Name:
    """Return a name that is there, its directory open until the stack is closed. Raises OSError, Refused."""
    if "\0" in path or not path.startswith("/") or path.startswith("//") or posixpath.normpath(path) != path:
        raise Refused("it is no plain absolute path")
    if not within(path, boundaries):
        raise Refused("it lies outside of what may be changed")
    spot = reach(BASE, path)
    stack.enter_context(spot.folder)
    if spot.missing:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return Name(path, spot.folder, spot.name)


def open_file(name: Name, stack: contextlib.ExitStack) -> Opened:
    """Open what a name leads to, until the stack is closed. Raises OSError, Refused for all but regular files."""
    seen = name.folder.stat(name.name)
    if seen is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name.path)
    if not stat.S_ISREG(seen.st_mode):
        raise Refused("it is no regular file")
    fd = opened(name.folder, name.name, "file")
    stack.callback(os.close, fd)
    made = Opened(name, fd)
    if made.inode != (seen.st_dev, seen.st_ino):
        raise changed()
    return made


def is_inode(status: os.stat_result | None, inode: tuple[int, int]) -> bool:
    """Whether a look at an entry saw this stored file, as a regular one."""
    return status is not None and (status.st_dev, status.st_ino) == inode and stat.S_ISREG(status.st_mode)
