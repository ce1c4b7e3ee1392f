"""Every stored file below some directories, with its names, without reading any.

Symbolic links are not followed. A directory that is reached twice (bind-mounted, given twice, one inside another) is
entered once, and a file that has several names is one stored file: both are told by device and inode. File systems
behind which the kernel shows itself are passed over; others are entered, and each stored file knows its device.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runworthy.model.errors import UsageError
from runworthy.model.records import dataclass, field, replace
from runworthy.targets.storage.crew import at_once, collecting_later, in_crew
from runworthy.targets.storage.files import ALLOCATED, DEVICE, INODE, LINKS, SIZE, Files, Identity, fields_of, row_of
from runworthy.targets.storage.listing import PASSED_OVER, Lister, Listing

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["Selection", "Walk", "walk", "with_caches"]

# A name that goes away, or turns into something else, between the listing and the look.
_GONE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which files are candidates: those of ``min_size`` bytes and more, and called like one of ``only``.

    ``only`` are shell patterns of base names; where there are none, every name will do. Empty files never are.
    """

    min_size: int = 65536
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What lies below ``tops``, which are real paths and not inside one another.

    ``files`` are the candidates. ``marks`` say which of MARKS a directory holds, ``sizes`` how many files lie directly
    in it and how many bytes they take, each stored file counted once. ``devices`` are those of the tops, and of
    directories whose device differs from their parent's. ``passed_over`` counts what is never a candidate, by reason;
    ``problems`` are (path, why) of what could not be looked at. ``added`` are candidates that lie in caches alone.
    ``entered`` are the directories that were listed.
    """

    tops: tuple[str, ...]
    files: Files
    marks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    devices: Mapping[str, int] = field(default_factory=dict)
    passed_over: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[tuple[str, str], ...] = ()
    added: frozenset[Identity] = frozenset()
    entered: frozenset[Identity] = frozenset()


def walk(paths: Iterable[str], selection: Selection, watch: Watch | None = None) -> Walk:
    """Return what lies below ``paths``. Raises UsageError for a path where nothing is."""
    tops = _tops(paths)
    lister = Lister(tops, smallest=max(1, selection.min_size), only=_only(selection.only))
    return _Gathered(lister, None, watch).walk(tops)


def with_caches(walked: Walk, directories: Iterable[str], watch: Watch | None = None) -> Walk:
    """Return a walk that knows of caches too: further names of its files, and files that may equal one of them.

    What is no directory is passed over: a cache need not be there. ``sizes`` count a cache's files whether or not they
    have names in environments too.
    """
    tops = [top for top in _collapsed(map(os.path.realpath, directories)) if os.path.isdir(top)]
    lister = Lister(tops, smallest=1, sizes=frozenset(walked.files.column(SIZE)))
    more = _Gathered(lister, walked, watch).walk(tops)
    return replace(
        more,
        tops=walked.tops,
        marks={**more.marks, **walked.marks},
        sizes={**more.sizes, **walked.sizes},
        devices={**more.devices, **walked.devices},
        passed_over=walked.passed_over,
        problems=walked.problems + more.problems,
        added=walked.added | set(list(more.files)[len(walked.files) :]),
    )


# -- what to walk ----------------------------------------------------------------------------


def _tops(paths: Iterable[str]) -> tuple[str, ...]:
    real = []
    for path in paths:
        try:
            real.append(os.path.realpath(path, strict=True))
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}") from error
    return _collapsed(real)


def _collapsed(paths: Iterable[str]) -> tuple[str, ...]:
    """Return real paths without those that lie inside of others."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda path: path.split(os.sep)):
        if not kept or not path.startswith(kept[-1].rstrip(os.sep) + os.sep):
            kept.append(path)
    return tuple(kept)


def _only(patterns: tuple[str, ...]) -> Callable[[str], object] | None:
    if not patterns:
        return None
    import re
    from fnmatch import translate

    return re.compile("|".join(translate(pattern) for pattern in patterns)).match


# -- gathering -------------------------------------------------------------------------------


class _Gathered:
    """What was found, put together."""

    def __init__(self, lister: Lister, known: Walk | None, watch: Watch | None) -> None:
        self._lister = lister
        self._watch = watch
        self._files = known.files.copy() if known is not None else Files()
        self._linked = _linked(known.files) if known is not None else {}
        self._entered = set(known.entered) if known is not None else set()
        self._counted: set[Identity] = set()
        self._seen = self._candidates = 0
        self._waiting: dict[Identity, list[str]] = {}
        self._late: list[tuple[str, tuple[int, ...]]] = []
        self._marks: dict[str, frozenset[str]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._devices: dict[str, int] = {}
        self._device_of: dict[str, int] = {}
        self._passed_over: dict[str, int] = {}
        self._problems: dict[str, str] = {}

    def walk(self, tops: Iterable[str]) -> Walk:
        """Return what lies below ``tops``, and what was known before."""
        tops = tuple(tops)
        with collecting_later():
            self._gather(tops)
        return Walk(
            tops=tops,
            files=self._files,
            marks=self._marks,
            sizes=self._sizes,
            devices=self._devices,
            passed_over={what: count for what, count in sorted(self._passed_over.items()) if count},
            problems=tuple(sorted(self._problems.items())),
            entered=frozenset(self._entered),
        )

    def _gather(self, tops: Iterable[str]) -> None:
        listings = self._listings([top for top in tops if not self._is_file(top)])
        listings.sort(key=lambda listing: listing.path.replace("/", "\0"), reverse=True)
        while listings:
            self._take(listings.pop())
        for path, fields in self._late:
            self._take_late(path, fields)

    def _is_file(self, top: str) -> bool:
        """Whether what was asked for is no directory; a file is taken at the end."""
        try:
            status = os.lstat(top)
        except OSError as error:
            self._fails(top, error.errno or 0)
            return True
        if stat.S_ISREG(status.st_mode):
            self._late.append((top, fields_of(row_of(status))))
            self._count(os.path.dirname(top), (status.st_dev, status.st_ino), status.st_blocks * 512)
        return not stat.S_ISDIR(status.st_mode)

    def _count(self, directory: str, identity: Identity, allocated: int) -> None:
        """Count a file that was asked for by itself among those of its directory, unless it was by another name."""
        if identity not in self._counted:
            self._counted.add(identity)
            files, held = self._sizes.get(directory, (0, 0))
            self._sizes[directory] = files + 1, held + allocated

    def _listings(self, tops: Sequence[str]) -> list[Listing]:
        """Return what each directory holds: what lies in few of them is listed here, the rest by several processes."""
        found: list[Listing] = []
        listings, left = self._lister.some(tops)
        self._hold(found, listings)
        tasks = deque([directory] for directory in left)
        for listings, rest in in_crew(self._lister.some, tasks, at_once() if tasks else 1):
            self._hold(found, listings)
            tasks += [part for part in (rest[: len(rest) // 2], rest[len(rest) // 2 :]) if part]
        return found

    def _hold(self, found: list[Listing], listings: Iterable[Iterable[Any]]) -> None:
        before = len(found)
        found += map(Listing._make, listings)
        if self._watch is not None:
            fresh = found[before:]
            self._seen += sum(listing.counts[0] + len(listing.several) for listing in fresh)
            self._candidates += sum(len(listing.names) + len(listing.several) for listing in fresh)
            self._watch("scan", self._seen, self._candidates)

    def _take(self, listing: Listing) -> None:
        """Take what a directory holds, unless it was reached by another path."""
        directory, device = listing.path, listing.device
        prefix = directory if directory.endswith("/") else f"{directory}/"
        for name, number in listing.failed:
            self._fails(prefix + name if name else directory, number)
        identity = device, listing.inode
        if identity in self._entered or (listing.failed and not listing.inode):
            return
        if listing.inode:
            self._entered.add(identity)
            self._device_of[directory] = device
            if self._device_of.get(directory.rpartition("/")[0] or "/") != device or directory == "/":
                self._devices[directory] = device
        count, allocated, passed_over = listing.counts
        self._pass_over(passed_over)
        if listing.marks:
            self._marks[directory] = frozenset(listing.marks)
        files, start = self._files, len(self._files.names)
        if listing.names:
            files.rows += listing.rows
            files.names += listing.names
        for name, row in listing.several:
            taken, more = self._meet(prefix + name, name, row)
            count += taken
            allocated += more
        if len(files.names) > start:
            files.directories.append(directory)
            files.starts.append(start)
        if count:
            self._sizes[directory] = count, allocated

    def _pass_over(self, counts: Sequence[int]) -> None:
        for what, count in zip(PASSED_OVER, counts, strict=False):
            if count:
                self._passed_over[what] = self._passed_over.get(what, 0) + count

    def _meet(self, path: str, name: str, row: bytes) -> tuple[int, int]:
        """Take note of a name of a file that may have several; return how many files it adds, and their bytes.

        A candidate's other names are its names whatever they are.
        """
        fields = fields_of(row)
        identity = fields[DEVICE], fields[INODE]
        if fields[LINKS] < 2:
            self._late.append((path, fields))
            return 1, fields[ALLOCATED]
        fresh = identity not in self._counted
        self._counted.add(identity)
        if self._lister.wants_size(fields[SIZE]):
            number = self._linked.get(identity)
            if number is not None:
                self._files.further.setdefault(number, []).append(path)
            elif self._lister.wants_name(name):
                self._linked[identity] = number = len(self._files.names)
                self._files.rows += row
                self._files.names.append(name)
                if others := self._waiting.pop(identity, None):
                    self._files.further[number] = others
            else:
                self._waiting.setdefault(identity, []).append(path)
        elif fresh:
            self._pass_over((1,))
        return (1, fields[ALLOCATED]) if fresh else (0, 0)

    def _take_late(self, path: str, fields: tuple[int, ...]) -> None:
        """Take a file that was asked for by itself, or is mounted: it may have been met, by whatever name."""
        if not self._lister.wants_size(fields[SIZE]):
            return
        number = self._files.number((fields[DEVICE], fields[INODE]))
        if number is not None:
            self._files.further.setdefault(number, []).append(path)
        elif self._lister.wants_name(os.path.basename(path)):
            self._files.append(path, fields)

    def _fails(self, path: str, number: int) -> None:
        """Note what cannot be looked at, but for what has gone meanwhile."""
        if number not in _GONE:
            self._problems[path] = os.strerror(number) if number else "cannot be read"


def _linked(files: Files) -> dict[Identity, int]:
    """Return the numbers of the files that have several names."""
    links = files.column(LINKS)
    return {identity: number for number, identity in enumerate(files) if links[number] > 1}
