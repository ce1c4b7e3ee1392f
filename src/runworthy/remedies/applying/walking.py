"""Ways to a file that never leave the directory in which they begin: each step is taken from an open directory.

A path that is handed to the kernel as a whole is looked up anew each time, and whoever can write to one of its
directories can have it lead elsewhere in between (``path_resolution(7)``, ``openat(2)``, RATIONALE). Here every
directory is opened by one name in the one above it, and a symbolic link is never followed by the kernel: its text is
read and walked like the rest, and an absolute one begins again at the base.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import struct
import sys
from collections import deque
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Final, Self

from runworthy.model.records import dataclass

__all__ = ["Folder", "Spot", "find", "reach"]

_LINKS = 40
"""How many links one way may have: MAXSYMLINKS, ``include/linux/namei.h``."""

# Not everywhere: what asks for them runs on Linux, what imports this need not.
_DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_PATH: Final = getattr(os, "O_PATH", 0) | _DIRECTORY


class Folder:
    """An open directory. ``base`` is where its way began, ``path`` how it is called below that: without links."""

    __slots__ = ("base", "fd", "path")

    def __init__(self, fd: int, base: str, path: str) -> None:
        self.fd = fd
        self.base = base
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        os.close(self.fd)

    def stat(self, name: str) -> os.stat_result | None:
        """Return what lstat says of an entry, None where there is none. Raises OSError."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def sync(self) -> None:
        """Have the names that it holds written to the device. Raises OSError."""
        try:
            os.fsync(self.fd)
        except OSError as error:
            # It may be written to but not read (EBADF), or its file system knows no such thing (EINVAL).
            if error.errno not in (errno.EBADF, errno.EINVAL):
                raise


@dataclass(slots=True, kw_only=True)
class Spot:
    """Where a path leads: the entry ``name`` below ``missing``, directories that are not there, in an open one."""

    folder: Folder
    missing: tuple[str, ...]
    name: str

    @property
    def path(self) -> str:
        """How it is called below the base, without links."""
        return "/".join((self.folder.path.rstrip("/"), *self.missing, self.name))


def find(base: str, path: str, *, follow: bool, strict: bool = False) -> Spot:
    """Return where ``path`` leads below the directory ``base``; the last link too is followed where ``follow`` says.

    ``strict``: no link may be on the way. Whoever gets the spot closes its folder. Raises OSError.
    """
    way = _Way(base, strict=strict)
    try:
        return way.walk(path, follow=follow)
    finally:
        way.close()


def reach(base: str, path: str) -> Spot:
    """Return a place that was found before: its way has no links, and no directory of it is made. Raises OSError."""
    directory, _, name = path.rpartition("/")
    if base == "/" and name not in ("", ".", "..") and directory and posixpath.normpath(path) == path:
        fd = _at_once(directory)
        if fd >= 0:
            return Spot(folder=Folder(fd, base, directory), missing=(), name=name)
    return find(base, path, follow=False, strict=True)


_OPENAT2, _HERE = 437, -100  # arch/*/entry/syscalls/syscall*.tbl (one number but on alpha), AT_FDCWD of linux/fcntl.h
_NO_LINKS: Final = struct.Struct("=3Q").pack(os.O_RDONLY | _DIRECTORY, 0, 0x04)
"""struct open_how of linux/openat2.h: flags, mode, RESOLVE_NO_SYMLINKS."""


def _at_once(directory: str) -> int:
    """Open a directory to which no link leads, in one call: openat2(2), Linux 5.6.

    Returns -1 where that fails: step by step it is seen why.
    """
    call = _openat2()
    if call is None:
        return -1
    try:
        return call(os.fsencode(directory))
    except UnicodeEncodeError:
        return -1


@cache
def _openat2() -> Callable[[bytes], int] | None:
    if not sys.platform.startswith("linux") or os.uname().machine == "alpha":
        return None
    import ctypes

    call = ctypes.CDLL(None).syscall
    call.restype = ctypes.c_long
    call.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
    return lambda directory: call(_OPENAT2, _HERE, directory, _NO_LINKS, len(_NO_LINKS))


class _Way:
    """The open directories from the base down to where the walk is."""

    def __init__(self, base: str, *, strict: bool) -> None:
        self.base = base
        self._strict = strict
        self._open = [("", os.open(base, _PATH & ~getattr(os, "O_NOFOLLOW", 0)))]
        self._links = 0

    def close(self) -> None:
        while self._open:
            os.close(self._open.pop()[1])

    def walk(self, path: str, *, follow: bool) -> Spot:
        todo = deque(part for part in path.split("/") if part not in ("", "."))
        if not todo or todo[-1] == "..":
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        while True:
            name = todo.popleft()
            if name in ("", "."):
                continue
            if name == "..":
                self._up(path)
                continue
            status = self._status(name)
            if status is None:
                if ".." in todo:
                    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
                *missing, last = (name, *todo)
                return self._spot(tuple(missing), last)
            if stat.S_ISLNK(status.st_mode) and (todo or follow):
                todo.extendleft(reversed(self._text(name, path)))
                if not any(part not in ("", ".") for part in todo):
                    raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            elif not todo:
                return self._spot((), name)
            else:
                self._down(name)

    def _status(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._open[-1][1], follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _down(self, name: str) -> None:
        self._open.append((name, os.open(name, _PATH, dir_fd=self._open[-1][1])))

    def _up(self, path: str) -> None:
        if len(self._open) > 1:
            os.close(self._open.pop()[1])
        elif self._strict:
            raise OSError(errno.EXDEV, "it leads out of the tree", path)

    def _text(self, name: str, path: str) -> list[str]:
        """Return the parts of a link's text, having gone back to the base for an absolute one."""
        self._links += 1
        if self._strict or self._links > _LINKS:
            raise OSError(errno.ELOOP, "a symbolic link is on the way", path)
        text = os.readlink(name, dir_fd=self._open[-1][1])
        if text.startswith("/"):
            while len(self._open) > 1:
                os.close(self._open.pop()[1])
        return text.split("/")

    def _spot(self, missing: tuple[str, ...], name: str) -> Spot:
        path = "/".join(part for part, _ in self._open) or "/"
        return Spot(folder=Folder(_readable(self._open[-1][1]), self.base, path), missing=missing, name=name)


def _readable(fd: int) -> int:
    """Return a directory opened once more so that it can be listed and synced, where that is allowed."""
    try:
        return os.open(".", os.O_RDONLY | _DIRECTORY, dir_fd=fd)
    except PermissionError:
        return os.dup(fd)
