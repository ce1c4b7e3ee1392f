"""Every stored file below some directories, with its names, without reading any.

Symbolic links are not followed. A directory that is reached twice (bind-mounted, given twice, one inside another) is
entered once, and a file that has several names is one stored file: both are told by device and inode. File systems
behind which the kernel shows itself are passed over; others are entered, and each stored file knows its device.
What is kept of a file is 80 bytes and its name, for trees have hundreds of thousands of them.
"""

from __future__ import annotations

import errno
import os
import stat
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runworthy.model.errors import UsageError
from runworthy.model.records import dataclass, field, replace
from runworthy.model.storage import StoredFile
from runworthy.targets.mounts import PSEUDO, mount_of, read_mounts
from runworthy.targets.storage.apart import LEFTOVER
from runworthy.targets.storage.crew import at_once, collecting_later, in_crew

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["MARKS", "Files", "Selection", "Walk", "walk", "with_caches"]

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

Identity = tuple[int, int]
"""st_dev and st_ino."""

_fields = attrgetter(*StoredFile._fields[:-1])

_ROW = Struct("=3Q2q5Q")
_SIGNATURE = Struct("=3Q2q")
_SIGNED = Struct("40s40x")
DEVICE, INODE, SIZE, CTIME, ALLOCATED, LINKS = 0, 1, 2, 4, 5, 9
_AT_A_TIME: Final = 300
_PASSED_OVER: Final = ("small", "called otherwise", "link", "special", "pseudo")
_FIELDS = 10
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_BY_DESCRIPTOR = os.scandir in os.supports_fd
# A name that goes away, or turns into something else, between the listing and the look.
_GONE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which files are candidates: those of ``min_size`` bytes and more, and called like one of ``only``.

    ``only`` are shell patterns of base names; where there are none, every name will do. Empty files never are.
    """

    min_size: int = 65536
    only: tuple[str, ...] = ()


class Files(Mapping[Identity, StoredFile]):
    """Stored files by device and inode; also by number, in the order in which they were found.

    ``rows`` holds the fields of each, ``names`` its base name. Files from one of ``starts`` to the next are those of
    one of ``directories``. ``further`` are the whole paths of other names.
    """

    __slots__ = ("_index", "_places", "_prefixes", "directories", "further", "names", "rows", "starts")

    def __init__(self) -> None:
        self.rows = bytearray()
        self.names: list[str] = []
        self.directories: list[str] = []
        self.starts: list[int] = []
        self.further: dict[int, list[str]] = {}
        self._index: dict[Identity, int] | None = None
        self._places = array("I")
        self._prefixes: list[str] = []

    @classmethod
    def of(cls, files: Iterable[StoredFile]) -> Files:
        """Return files that are known already."""
        made = cls()
        for number, file in enumerate(files):
            made.append(file.names[0], _fields(file))
            if len(file.names) > 1:
                made.further[number] = list(file.names[1:])
        return made

    def append(self, path: str, fields: tuple[int, ...]) -> None:
        """Add one file, in a place of its own."""
        directory, _, name = path.rpartition("/")
        self.directories.append(directory)
        self.starts.append(len(self.names))
        self.rows += _ROW.pack(*fields)
        self.names.append(name)

    def copy(self) -> Files:
        """Return files to which more can be added."""
        made = Files()
        made.rows, made.names, made.directories = self.rows[:], self.names[:], self.directories[:]
        made.starts = self.starts[:]
        made.further = {number: names[:] for number, names in self.further.items()}
        return made

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Identity]:
        return iter(zip(self.column(DEVICE), self.column(INODE), strict=True))

    def __getitem__(self, identity: Identity) -> StoredFile:
        number = self.number(identity)
        if number is None:
            raise KeyError(identity)
        return self.stored(number)

    def number(self, identity: Identity) -> int | None:
        """Return the number of a file, None where it is not among these."""
        if self._index is None or len(self._index) != len(self):
            self._index = {identity: number for number, identity in enumerate(self)}
        return self._index.get(identity)

    def column(self, number: int) -> list[int]:
        """Return one field of every file: DEVICE, INODE, SIZE, CTIME, ALLOCATED, LINKS."""
        return memoryview(self.rows).cast("Q")[number::_FIELDS].tolist()

    def path(self, number: int) -> str:
        """Return the name of a file that was found first."""
        if len(self._places) != len(self.names):
            self._places = self._placed()
            self._prefixes = [directory if directory == "/" else f"{directory}/" for directory in self.directories]
        return self._prefixes[self._places[number]] + self.names[number]

    def first(self, numbers: Sequence[int]) -> tuple[str, int]:
        """Return the least name that one of some files has, and the file."""
        if self.further.keys().isdisjoint(numbers):
            names = list(map(self.path, numbers))
        else:
            names = [min(self.names_of(number)) for number in numbers]
        least = min(names)
        return least, numbers[names.index(least)]

    def _placed(self) -> array[int]:
        """Return the place of each file's directory among the directories."""
        places = array("I")
        ends = [*self.starts[1:], len(self.names)]
        for place, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            places.extend([place] * (end - start))
        return places

    def is_same(self, number: int, status: os.stat_result) -> bool:
        """Whether device, inode, size and times of a file are still what they were."""
        return _SIGNATURE.unpack_from(self.rows, number * _ROW.size) == (
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )

    def signatures(self) -> list[bytes]:
        """Return of each file device, inode, size and the times of the last changes of contents and of status."""
        return [signature for (signature,) in _SIGNED.iter_unpack(self.rows)]

    def digest(self, besides: str) -> bytes:
        """Return 16 bytes that are others as soon as a name or a field of a file is another, or ``besides`` is."""
        from hashlib import blake2b

        told = blake2b(self.rows, digest_size=16)
        told.update(array("Q", self.starts).tobytes())
        for text in ("\0".join(self.names), "\0".join(self.directories), repr(sorted(self.further.items())), besides):
            told.update(f"{len(text)} {text}".encode("utf-8", "surrogateescape"))
        return told.digest()

    def names_of(self, number: int) -> tuple[str, ...]:
        """Return the names of a file that are known, in no order."""
        further = self.further.get(number)
        return (self.path(number), *further) if further else (self.path(number),)

    def fields(self, number: int) -> tuple[int, ...]:
        """Return device, inode, size, the times of the last changes, blocks in bytes, mode, owner, group and links."""
        return _ROW.unpack_from(self.rows, number * _ROW.size)

    def stored(self, number: int) -> StoredFile:
        """Return a file with all names that are known."""
        fields = _ROW.unpack_from(self.rows, number * _ROW.size)
        if number in self.further:
            return StoredFile._make((*fields, tuple(sorted(self.names_of(number)))))
        return StoredFile._make((*fields, (self.path(number),)))


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
    lister = _Lister(tops, smallest=max(1, selection.min_size), only=_only(selection.only))
    return _Gathered(lister, None, watch).walk(tops)


def with_caches(walked: Walk, directories: Iterable[str], watch: Watch | None = None) -> Walk:
    """Return a walk that knows of caches too: further names of its files, and files that may equal one of them.

    What is no directory is passed over: a cache need not be there. ``sizes`` count a cache's files whether or not they
    have names in environments too.
    """
    tops = [top for top in _collapsed(map(os.path.realpath, directories)) if os.path.isdir(top)]
    lister = _Lister(tops, smallest=1, sizes=frozenset(walked.files.column(SIZE)))
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


# -- listing ---------------------------------------------------------------------------------


class _Listing(NamedTuple):
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


class _Lister:
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

    def list(self, directory: str) -> _Listing:
        """Return what a directory holds. One behind which there are no real files holds nothing."""
        if directory in self._closed:
            return _Listing(directory, counts=(0, 0, (0, 0, 0, 0, 1)))
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
            return _Listing(directory, failed=(("", error.errno or 0),))

    def _held(self, directory: str, handle: int | str) -> _Listing:
        """Look at each entry. This runs for every file: it is most of what a scan takes. Raises OSError."""
        smallest, sizes, named, pack = self._smallest, self._sizes, self.wants_name, _ROW.pack
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
                    several.append((name, pack(*_status_fields(status))))
                    continue
                count += 1
                allocated += status.st_blocks * 512
                size = status.st_size
                if size < smallest or (sizes is not None and size not in sizes):
                    small += 1
                elif named(name):
                    names.append(name)
                    rows += pack(*_status_fields(status))
        where = os.stat(handle)
        below, links, special = _not_files(directory, others) if others else ((), 0, 0)
        passed_over = (small, count - small - len(names), links, special)
        counts = (count, allocated, passed_over)
        return _Listing(
            directory, where.st_dev, where.st_ino, tuple(marks), below, counts, rows, names, several, failed
        )


def _status_fields(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_blocks * 512,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_nlink,
    )


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


# -- gathering -------------------------------------------------------------------------------


class _Gathered:
    """What was found, put together."""

    def __init__(self, lister: _Lister, known: Walk | None, watch: Watch | None) -> None:
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
            self._late.append((top, _status_fields(status)))
            self._count(os.path.dirname(top), (status.st_dev, status.st_ino), status.st_blocks * 512)
        return not stat.S_ISDIR(status.st_mode)

    def _count(self, directory: str, identity: Identity, allocated: int) -> None:
        """Count a file that was asked for by itself among those of its directory, unless it was by another name."""
        if identity not in self._counted:
            self._counted.add(identity)
            files, held = self._sizes.get(directory, (0, 0))
            self._sizes[directory] = files + 1, held + allocated

    def _listings(self, tops: Sequence[str]) -> list[_Listing]:
        """Return what each directory holds: what lies in few of them is listed here, the rest by several processes."""
        found: list[_Listing] = []
        listings, left = self._lister.some(tops)
        self._hold(found, listings)
        tasks = deque([directory] for directory in left)
        for listings, rest in in_crew(self._lister.some, tasks, at_once() if tasks else 1):
            self._hold(found, listings)
            tasks += [part for part in (rest[: len(rest) // 2], rest[len(rest) // 2 :]) if part]
        return found

    def _hold(self, found: list[_Listing], listings: Iterable[Iterable[Any]]) -> None:
        before = len(found)
        found += map(_Listing._make, listings)
        if self._watch is not None:
            fresh = found[before:]
            self._seen += sum(listing.counts[0] + len(listing.several) for listing in fresh)
            self._candidates += sum(len(listing.names) + len(listing.several) for listing in fresh)
            self._watch("scan", self._seen, self._candidates)

    def _take(self, listing: _Listing) -> None:
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
        for what, count in zip(_PASSED_OVER, counts, strict=False):
            if count:
                self._passed_over[what] = self._passed_over.get(what, 0) + count

    def _meet(self, path: str, name: str, row: bytes) -> tuple[int, int]:
        """Take note of a name of a file that may have several; return how many files it adds, and their bytes.

        A candidate's other names are its names whatever they are.
        """
        fields = _ROW.unpack(row)
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
