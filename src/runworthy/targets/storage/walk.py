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
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from struct import Struct
from typing import TYPE_CHECKING, Final

from runworthy.model.errors import UsageError
from runworthy.model.records import dataclass, field, replace
from runworthy.model.storage import StoredFile
from runworthy.targets.mounts import PSEUDO, mount_of, read_mounts
from runworthy.targets.storage.apart import LEFTOVER

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["MARKS", "Files", "Row", "Selection", "Walk", "walk", "with_caches"]

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

Row = StoredFile
Identity = tuple[int, int]
"""st_dev and st_ino."""

_ROW = Struct("=8Q2q")
_SIGNATURE = Struct("=3Q40x2q")
DEVICE, INODE, SIZE, LINKS = 0, 1, 2, 7
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

    __slots__ = ("_index", "_places", "directories", "further", "names", "rows", "starts")

    def __init__(self) -> None:
        self.rows = bytearray()
        self.names: list[str] = []
        self.directories: list[str] = []
        self.starts: list[int] = []
        self.further: dict[int, list[str]] = {}
        self._index: dict[Identity, int] | None = None
        self._places = array("I")

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
        """Return one field of every file: DEVICE, INODE, SIZE."""
        return memoryview(self.rows).cast("Q")[number::_FIELDS].tolist()

    def path(self, number: int) -> str:
        """Return the name of a file that was found first."""
        places = self._places
        if len(places) != len(self.names):
            places = self._places = self._placed()
        directory = self.directories[places[number]]
        return f"{directory}/{self.names[number]}" if directory != "/" else f"/{self.names[number]}"

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

    def signature(self, number: int) -> tuple[int, ...]:
        """Return device, inode, size and times of the last changes of contents and of status."""
        return _SIGNATURE.unpack_from(self.rows, number * _ROW.size)

    def fields(self, number: int) -> tuple[int, ...]:
        """Return device, inode, size, blocks of 512, mode, owner, group, links and the times of the last changes."""
        return _ROW.unpack_from(self.rows, number * _ROW.size)

    def stored(self, number: int) -> StoredFile:
        """Return a file with all names that are known."""
        device, inode, size, blocks, mode, uid, gid, links, mtime, ctime = self.fields(number)
        further = self.further.get(number)
        first = self.path(number)
        return StoredFile(
            device=device,
            inode=inode,
            size=size,
            allocated=blocks * 512,
            mode=mode,
            uid=uid,
            gid=gid,
            links=links,
            mtime=mtime,
            ctime=ctime,
            names=tuple(sorted((first, *further))) if further else (first,),
        )


def _fields(file: StoredFile) -> tuple[int, ...]:
    return (
        file.device,
        file.inode,
        file.size,
        file.allocated // 512,
        file.mode,
        file.uid,
        file.gid,
        file.links,
        file.mtime,
        file.ctime,
    )


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
    gathered = _Gathered(tops, smallest=max(1, selection.min_size), only=_only(selection.only), watch=watch)
    gathered.enter(tops)
    return gathered.walk(tops)


def with_caches(walked: Walk, directories: Iterable[str], watch: Watch | None = None) -> Walk:
    """Return a walk that knows of caches too: further names of its files, and files that may equal one of them.

    What is no directory is passed over: a cache need not be there. ``sizes`` count a cache's files whether or not they
    have names in environments too.
    """
    tops = [top for top in _collapsed(map(os.path.realpath, directories)) if os.path.isdir(top)]
    sizes = frozenset(walked.files.column(SIZE))
    gathered = _Gathered(tops, smallest=1, sizes=sizes, known=walked, watch=watch)
    gathered.enter(tops)
    more = gathered.walk(walked.tops)
    found = len(walked.files)
    return replace(
        more,
        marks={**more.marks, **walked.marks},
        sizes={**more.sizes, **walked.sizes},
        devices={**more.devices, **walked.devices},
        passed_over=walked.passed_over,
        problems=walked.problems + more.problems,
        added=walked.added | set(list(more.files)[found:]),
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


# -- walking ---------------------------------------------------------------------------------


class _Gathered:
    """What is gathered on the way."""

    def __init__(
        self,
        tops: Iterable[str],
        *,
        smallest: int,
        only: Callable[[str], object] | None = None,
        sizes: frozenset[int] | None = None,
        known: Walk | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._smallest = smallest
        self._only = only
        self._sizes = sizes
        self._watch = watch
        self._files = known.files.copy() if known is not None else Files()
        self._linked = _linked(known.files) if known is not None else {}
        self._entered = set(known.entered) if known is not None else set()
        self._counted: set[Identity] = set()
        self._waiting: dict[Identity, list[str]] = {}
        self._looked = 0
        self._late: list[tuple[str, os.stat_result]] = []
        self.marks: dict[str, frozenset[str]] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.devices: dict[str, int] = {}
        self.passed_over: Counter[str] = Counter()
        self.problems: dict[str, str] = {}
        mounts = read_mounts() or ()
        self._closed = {mount.point for mount in mounts if mount.fstype in PSEUDO}
        self._closed |= {top for top in tops if (mount := mount_of(top, mounts)) and mount.fstype in PSEUDO}
        self._mounted: dict[str, set[str]] = {}
        for mount in mounts:
            directory, _, name = mount.point.rpartition("/")
            self._mounted.setdefault(directory or "/", set()).add(name)

    def walk(self, tops: tuple[str, ...]) -> Walk:
        """Return what was gathered."""
        return Walk(
            tops=tops,
            files=self._files,
            marks=self.marks,
            sizes=self.sizes,
            devices=self.devices,
            passed_over=dict(sorted(self.passed_over.items())),
            problems=tuple(sorted(self.problems.items())),
            entered=frozenset(self._entered),
        )

    def enter(self, tops: Iterable[str]) -> None:
        """Look at everything below directories, and at files."""
        pending = [(top, -1) for top in sorted(tops, reverse=True)]
        while pending:
            directory, device = pending.pop()
            if directory in self._closed:
                self.passed_over["pseudo"] += 1
                continue
            pending += self._open(directory, device)
            if self._watch is not None:
                self._watch("scan", self._looked, len(self._files))
        for path, status in self._late:
            self._take_late(path, status)

    def _open(self, directory: str, parent: int) -> list[tuple[str, int]]:
        """List a directory, or look at a file that was asked for; return the directories in it."""
        handle: int | str = directory
        try:
            if not stat.S_ISDIR((status := os.lstat(directory)).st_mode) and parent == -1:
                self._late.append((directory, status))
                return []
            if _BY_DESCRIPTOR:
                handle = os.open(directory, _DIRECTORY)
        except OSError as error:
            self._fails(directory, error)
            return []
        try:
            status = os.stat(handle)
            identity = status.st_dev, status.st_ino
            if identity in self._entered:
                return []
            self._entered.add(identity)
            if status.st_dev != parent:
                self.devices[directory] = status.st_dev
            return [(path, status.st_dev) for path in self._list(directory, handle)]
        except OSError as error:
            self._fails(directory, error)
            return []
        finally:
            if isinstance(handle, int):
                os.close(handle)

    def _list(self, directory: str, handle: int | str) -> list[str]:
        """Take what a directory holds; return the directories in it, the last one first. Raises OSError.

        This runs for every file, and is most of what a scan takes where nothing is read.
        """
        files, smallest, only, sizes, pack = self._files, self._smallest, self._only, self._sizes, _ROW.pack
        mounted = self._mounted.get(directory, ())
        prefix = directory if directory.endswith("/") else f"{directory}/"
        start = len(files.names)
        below: list[str] = []
        marks: list[str] = []
        count = blocks = small = 0
        with os.scandir(handle) as entries:
            for entry in entries:
                name = entry.name
                if name in MARKS:
                    marks.append(name)
                if not entry.is_file(follow_symlinks=False):
                    self._pass_over(entry, below, prefix)
                    continue
                try:
                    status = entry.stat(follow_symlinks=False) if _BY_DESCRIPTOR else os.lstat(entry.path)
                except OSError as error:
                    self._fails(prefix + name, error)
                    continue
                if name in mounted:
                    self._late.append((prefix + name, status))
                    continue
                size = status.st_size
                wanted = size >= smallest and (sizes is None or size in sizes)
                chosen = wanted and (only is None or only(name) is not None) and not name.startswith(LEFTOVER)
                fresh = True
                if status.st_nlink > 1:
                    fresh, chosen = self._meet(status, prefix + name, wanted=wanted, chosen=chosen)
                if fresh:
                    count += 1
                    blocks += status.st_blocks
                if chosen:
                    files.rows += pack(
                        status.st_dev,
                        status.st_ino,
                        size,
                        status.st_blocks,
                        status.st_mode,
                        status.st_uid,
                        status.st_gid,
                        status.st_nlink,
                        status.st_mtime_ns,
                        status.st_ctime_ns,
                    )
                    files.names.append(name)
                elif not wanted:
                    small += 1
        self._end(directory, start, marks, (count, blocks, small))
        below.sort(reverse=True)
        return below

    def _pass_over(self, entry: os.DirEntry[str], below: list[str], prefix: str) -> None:
        """Keep a directory for later; count links and devices."""
        if entry.is_dir(follow_symlinks=False):
            below.append(prefix + entry.name)
        else:
            self.passed_over["link" if entry.is_symlink() else "special"] += 1

    def _end(self, directory: str, start: int, marks: list[str], counts: tuple[int, int, int]) -> None:
        """Keep what is told of a directory; its candidates are those from number ``start`` on."""
        count, blocks, small = counts
        self._looked += count
        if len(self._files.names) > start:
            self._files.directories.append(directory)
            self._files.starts.append(start)
        if count:
            self.sizes[directory] = count, blocks * 512
        if marks:
            self.marks[directory] = frozenset(marks)
        if small:
            self.passed_over["small"] += small

    def _meet(self, status: os.stat_result, path: str, *, wanted: bool, chosen: bool) -> tuple[bool, bool]:
        """Take note of a name of a file that has several; return whether it is new, and a candidate that is new.

        A candidate's other names are its names whatever they are.
        """
        identity = status.st_dev, status.st_ino
        fresh = identity not in self._counted
        self._counted.add(identity)
        if not wanted:
            return fresh, False
        number = self._linked.get(identity)
        if number is not None:
            self._files.further.setdefault(number, []).append(path)
        elif chosen:
            self._linked[identity] = number = len(self._files.names)
            if others := self._waiting.pop(identity, None):
                self._files.further[number] = others
            return fresh, True
        else:
            self._waiting.setdefault(identity, []).append(path)
        return fresh, False

    def _take_late(self, path: str, status: os.stat_result) -> None:
        """Take a file that was asked for by itself, or is mounted: it may have been met, by whatever name."""
        size, name = status.st_size, os.path.basename(path)
        if not stat.S_ISREG(status.st_mode) or size < self._smallest or (self._sizes and size not in self._sizes):
            return
        number = self._files.number((status.st_dev, status.st_ino))
        if number is not None:
            self._files.further.setdefault(number, []).append(path)
        elif self._only is None or self._only(name):
            fields = status.st_dev, status.st_ino, size, status.st_blocks, status.st_mode, status.st_uid, status.st_gid
            self._files.append(path, (*fields, status.st_nlink, status.st_mtime_ns, status.st_ctime_ns))

    def _fails(self, path: str, error: OSError) -> None:
        """Note what cannot be looked at, but for what has gone meanwhile."""
        if error.errno not in _GONE:
            self.problems[path] = error.strerror or "cannot be read"


def _linked(files: Files) -> dict[Identity, int]:
    """Return the numbers of the files that have several names."""
    links = files.column(LINKS)
    return {identity: number for number, identity in enumerate(files) if links[number] > 1}
