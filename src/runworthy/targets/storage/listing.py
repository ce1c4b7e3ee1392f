"""What directories hold, looked at one by one: candidates, marks of environments, and directories below.

This is what several processes do at once, so that it is told as plain data.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from runworthy.targets.mounts import PSEUDO, mount_of, read_mounts
from runworthy.targets.storage.apart import LEFTOVER
from runworthy.targets.storage.files import row_of

__all__ = ["MARKS", "PASSED_OVER", "Lister", "Listing"]

MARKS: Final = frozenset(
    (
        ".cache.lock",
        ".modules.yaml",
        ".package-lock.json",
        ".pnpm",
        "CACHEDIR.TAG",
        "_cacache",
        "archive-v0",
        "conda-meta",
        "files",
        "http-v2",
        "ld-musl-x86_64.so.1",
        "node_modules",
        "os-release",
        "package.json",
        "paths.json",
        "pixi.toml",
        "pkgs",
        "pyvenv.cfg",
        "selfcheck",
        "site-packages",
        "urls.txt",
    )
)
"""Names of entries by which environments and caches are recognised."""

PASSED_OVER: Final = ("small", "called otherwise", "link", "special", "pseudo")
"""What is no candidate, in the order in which it is counted."""

_AT_A_TIME: Final = 300
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_BY_DESCRIPTOR = os.scandir in os.supports_fd


class Listing(NamedTuple):
    """What a directory holds.

    ``below`` are directories, ``rows`` and ``names`` candidates, and ``several`` are (name, row) of files that may have
    been met already. ``counts`` are how many other files there are, how many bytes they take, and how many of what
    is no candidate are passed over.
    What could not be looked at is in ``failed`` with the number of the error; the directory itself has no name there.
    """

    path: str
    device: int = 0
    inode: int = 0
    marks: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    counts: tuple[int, int, tuple[int, ...]] = (0, 0, ())
    rows: bytes | bytearray = b""
    names: Sequence[str] = ()
    several: Sequence[tuple[str, bytes]] = ()
    failed: Sequence[tuple[str, int]] = ()


class Lister:
    """Lists directories, and knows which files are candidates and where files are mounted."""

    def __init__(
        self,
        tops: Iterable[str],
        *,
        smallest: int,
        only: Callable[[str], object] | None = None,
        sizes: frozenset[int] | None = None,
    ) -> None:
        self._smallest = smallest
        self._only = only
        self._sizes = sizes
        mounts = read_mounts() or ()
        self._closed = {mount.point for mount in mounts if mount.fstype in PSEUDO}
        self._closed |= {top for top in tops if (mount := mount_of(top, mounts)) and mount.fstype in PSEUDO}
        self._mounted: dict[str, set[str]] = {}
        for mount in mounts:
            directory, _, name = mount.point.rpartition("/")
            self._mounted.setdefault(directory or "/", set()).add(name)

    def wants_size(self, size: int) -> bool:
        """Whether a file is a candidate by its size."""
        return size >= self._smallest and (self._sizes is None or size in self._sizes)

    def wants_name(self, name: str) -> bool:
        """Whether a file is a candidate by its name."""
        return (self._only is None or self._only(name) is not None) and not name.startswith(LEFTOVER)

    def some(self, directories: Sequence[str]) -> tuple[list[tuple[object, ...]], list[str]]:
        """Return what some directories hold, those first that come last, and the directories that are left to list."""
        pending = list(directories)
        found: list[tuple[object, ...]] = []
        while pending and len(found) < _AT_A_TIME:
            listing = self.list(pending.pop())
            found.append(tuple(listing))
            pending += listing.below
        return found, pending

    def list(self, directory: str) -> Listing:
        """Return what a directory holds. One behind which there are no real files holds nothing."""
        if directory in self._closed:
            return Listing(directory, counts=(0, 0, (0, 0, 0, 0, 1)))
        handle: int | str = directory
        try:
            if _BY_DESCRIPTOR:
                handle = os.open(directory, _DIRECTORY)
            try:
                return self._held(directory, handle)
            finally:
                if isinstance(handle, int):
                    os.close(handle)
        except OSError as error:
            return Listing(directory, failed=(("", error.errno or 0),))

    def _held(self, directory: str, handle: int | str) -> Listing:
        """Look at each entry. This runs for every file: it is most of what a scan takes. Raises OSError."""
        smallest, sizes, named = self._smallest, self._sizes, self.wants_name
        mounted = self._mounted.get(directory, ())
        rows = bytearray()
        names: list[str] = []
        marks: list[str] = []
        several: list[tuple[str, bytes]] = []
        failed: list[tuple[str, int]] = []
        others: list[os.DirEntry[str]] = []
        count = allocated = small = 0
        with os.scandir(handle) as entries:
            for entry in entries:
                name = entry.name
                if name in MARKS:
                    marks.append(name)
                if not entry.is_file(follow_symlinks=False):
                    others.append(entry)
                    continue
                try:
                    status = entry.stat(follow_symlinks=False) if _BY_DESCRIPTOR else os.lstat(entry.path)
                except OSError as error:
                    failed.append((name, error.errno or 0))
                    continue
                if status.st_nlink > 1 or name in mounted:
                    several.append((name, row_of(status)))
                    continue
                count += 1
                allocated += status.st_blocks * 512
                size = status.st_size
                if size < smallest or (sizes is not None and size not in sizes):
                    small += 1
                elif named(name):
                    names.append(name)
                    rows += row_of(status)
        where = os.stat(handle)
        below, links, special = _not_files(directory, others) if others else ((), 0, 0)
        passed_over = (small, count - small - len(names), links, special)
        counts = (count, allocated, passed_over)
        return Listing(directory, where.st_dev, where.st_ino, tuple(marks), below, counts, rows, names, several, failed)


def _not_files(directory: str, entries: Iterable[os.DirEntry[str]]) -> tuple[tuple[str, ...], int, int]:
    """Return the directories among entries, the last one first, and how many links and devices there are."""
    prefix = directory if directory.endswith("/") else f"{directory}/"
    below: list[str] = []
    links = special = 0
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            below.append(prefix + entry.name)
        elif entry.is_symlink():
            links += 1
        else:
            special += 1
    below.sort(reverse=True)
    return tuple(below), links, special
