"""A snapshot as a root. Only what is asked for is decompressed."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from runworthy.formats.content import BytesContent, Content, FileContent
from runworthy.formats.elf import read_elf
from runworthy.formats.elf.record import PARTS, decode, encode
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError, TargetError
from runworthy.model.host import MachineFacts
from runworthy.targets.snapshot.blocks import BlockReader
from runworthy.targets.snapshot.listing import COMPLETE, LEFT_OUT, REFUSED, SMALLEST, UNKNOWN, Listing
from runworthy.targets.snapshot.machine import machine_of_json
from runworthy.targets.snapshot.origin import is_origin
from runworthy.targets.snapshot.sparse import HEAD, Run, Sparse, merged, unpack_runs
from runworthy.targets.view import Entry, FileView, Resolved, UnseenError, failure

__all__ = ["Meta", "SnapshotView", "open_snapshot"]

_LISTINGS_HELD: Final = 64 << 20
_META_LIMIT: Final = 8 << 20
_ERROR_LIMIT: Final = 64 << 10
_TREE_LIMIT: Final = 100_000
_HINT: Final = "capture the target again"

T = TypeVar("T")


class Meta(NamedTuple):
    """What a snapshot says of itself.

    ``created`` is a date and time (UTC, ISO 8601); ``source`` what it was made of (host, directory, stream); ``arch``
    the name of the architecture of its own programs, empty where that cannot be told; ``left_out`` are directories of
    whose contents nothing is known; ``held`` are the places of the bytes of files that are read as such; ``origin``
    tells which directory of which machine it is of (:mod:`~runworthy.targets.snapshot.origin`), empty for a stream.
    """

    created: str
    source: str
    arch: str
    machine: MachineFacts | None
    left_out: tuple[str, ...]
    held: Mapping[str, int]
    entries: int
    writer: str
    top: tuple[int, int]
    origin: str


def open_snapshot(path: str) -> SnapshotView:
    """Open the snapshot in the file ``path``. Raises TargetError for what is none or damaged."""
    try:
        size = os.stat(path).st_size
        return SnapshotView(FileContent(path, size), path)
    except OSError as error:
        message = error.strerror or str(error)
        raise TargetError(f"{path}: {message}", hint="`runworthy snapshot` writes such a file") from error


class SnapshotView(FileView):
    """The root of a snapshot. A snapshot that turns out to be damaged raises TargetError, whatever is asked."""

    def __init__(self, content: Content, path: str) -> None:
        """Read the head. Raises TargetError, OSError."""
        super().__init__()
        self._path = path
        self._blocks = self._sound(lambda: BlockReader(content, path))
        self.meta = self._sound(lambda: _meta(self._blocks.chunk(self._blocks.first)))
        if self.meta.top[1] * SMALLEST > self._blocks.length:
            self._damaged("more directories than it holds")
        self._listings: dict[str, Listing] = {}
        self._size = 0
        self._same: dict[tuple[str, str], bool] = {}
        self._taken_of: dict[str, bool] = {}

    # -- what a backing provides ------------------------------------------------------------

    def entry(self, directory: str, name: str) -> Entry | None:
        """Return the entry ``name`` of a real directory. Raises OSError; UnseenError where it was left out."""
        listing = self._listing(directory)
        at = self._at(listing, name)
        if at is None:
            self._missed(listing, directory, name)
            return None
        if listing.letter(at) == UNKNOWN:
            if listing.size(at) == errno.ENOENT:
                return None
            raise self._untold(listing.size(at), _join(directory, name))
        return self._sound(lambda: listing.entry(at))

    def names(self, directory: str) -> Iterable[str]:
        """Return the names in a real directory. Raises OSError; UnseenError where it was left out."""
        listing = self._listing(directory)
        if listing.state in (LEFT_OUT, REFUSED):
            if listing.errno:
                raise failure(listing.errno, directory)
            raise self._unseen(directory)
        return self._sound(listing.names)

    def content(self, real: str) -> Content:
        """Return the bytes of a regular file as far as they are held. Raises OSError (ENODATA: those are not)."""
        size, place = self._file(real)
        held = self.meta.held.get(real)
        base: list[Run] = [] if held is None else [(0, self._chunk(held))]
        if place:
            kind, runs, _ = self._facts(place, real)
            if kind == b"U":
                raise self._unseen(real)
            if kind != b"O":
                # Of a loader, what is held is blanked but for its texts; of what is no ELF file, it is the whole file.
                return Sparse(size, base if base and kind == b"N" else merged([*base, *runs]))
            return _Unreadable(size, self._failure(place, real))
        return Sparse(size, base or [(0, bytes(min(size, HEAD)))])

    def load_elf(self, real: str) -> ElfFile:
        """Return the recorded facts of an ELF file. Raises FormatError when it is none, OSError."""
        size, place = self._file(real)
        if not place:
            return read_elf(BytesContent(bytes(min(size, HEAD))), real)
        kind, _, told = self._facts(place, real)
        if kind == b"E":
            return decode(told, real)
        if kind == b"U":
            raise self._unseen(real)
        if kind == b"O":
            raise self._failure(place, real)
        if kind == b"N":
            return read_elf(self.content(real), real)
        message, offset = self._sound(lambda: _error(told))
        raise FormatError(message, path=real, offset=offset)

    def identity(self, found: Resolved) -> Hashable:
        """Return the number of the file, which all of its names have."""
        directory, _, name = found.path.rpartition("/")
        listing = self._listing(directory or "/")
        at = self._at(listing, name)
        return found.path if at is None or listing.letter(at) != "f" else listing.number(at)

    def was_taken_of(self, directory: str) -> bool:
        """Whether the snapshot is of the directory of this machine, whatever has become of it since."""
        if directory not in self._taken_of:
            try:
                self._taken_of[directory] = is_origin(directory, self.meta.origin)
            except (OSError, ValueError):
                self._taken_of[directory] = False
        return self._taken_of[directory]

    def holds(self, real: str, other: FileView, source: str) -> bool:
        """Whether what is at a real path is that of another view: ELF files by their facts, others by their sizes."""
        key = (real, source)
        held = self._same.get(key)
        if held is None:
            try:
                held = self._is_same(real, other, source)
            except (OSError, FormatError, UnseenError):
                held = False
            self._same[key] = held
        return held

    def _is_same(self, real: str, other: FileView, source: str) -> bool:
        found, given = self.lstat(real), other.lstat(source)
        if found.path != real or found.entry.kind != given.entry.kind:
            return False
        if given.entry.kind == "dir":
            return self._is_same_tree(real, other, source)
        _, place = self._file(real)
        if found.entry.size != given.entry.size or not place:
            return False
        kind, _, record = self._facts(place, real)
        return kind == b"E" and record == encode(other.elf(source))

    def _is_same_tree(self, real: str, other: FileView, source: str) -> bool:
        """Compare two trees entry by entry, up to a number that is looked at sooner than it is worth the question."""
        pending, left = [(real, source)], _TREE_LIMIT
        while pending:
            here, there = pending.pop()
            names = sorted(self.names(here))
            left -= len(names)
            if left < 0 or names != sorted(other.names(there)):
                return False
            for name in names:
                mine, given = self.entry(here, name), other.entry(there, name)
                if mine is None or given is None or _look(mine) != _look(given):
                    return False
                if mine.kind == "dir":
                    pending.append((_join(here, name), _join(there, name)))
        return True

    # -- inside -----------------------------------------------------------------------------

    def _listing(self, directory: str) -> Listing:
        """Return the listing of a real directory. Raises OSError."""
        held = self._listings.get(directory)
        if held is not None:
            return held
        listing = self._listings.get("/") or self._keep("/", *self.meta.top)
        prefix = ""
        for name in directory[1:].split("/") if directory != "/" else ():
            prefix = f"{prefix}/{name}"
            listing = self._listings.get(prefix) or self._below(listing, name, prefix)
        return listing

    def _below(self, above: Listing, name: str, path: str) -> Listing:
        at = self._at(above, name)
        if at is None:
            self._missed(above, path.rpartition("/")[0] or "/", name)
            raise failure(errno.ENOENT, path)
        letter = above.letter(at)
        if letter != "d":
            raise self._untold(above.size(at) if letter == UNKNOWN else errno.ENOTDIR, path)
        return self._keep(path, above.place(at), above.directories(at))

    def _keep(self, path: str, place: int, directories: int) -> Listing:
        data = self._chunk(place)
        listing = self._sound(lambda: Listing(data, directories))
        self._size += len(data)
        if self._size > _LISTINGS_HELD:
            self._listings, self._size = {}, len(data)
        self._listings[path] = listing
        return listing

    def _at(self, listing: Listing, name: str) -> int | None:
        return self._sound(lambda: listing.index).get(name)

    def _missed(self, listing: Listing, directory: str, name: str) -> None:
        """Answer for a name that is not listed: it is absent, the directory gives an errno, or nobody knows."""
        if listing.state == COMPLETE:
            return
        path = _join(directory, name)
        if listing.state == LEFT_OUT:
            raise self._unseen(path)
        raise failure(listing.errno, path)

    def _untold(self, number: int, path: str) -> Exception:
        """Return the error of an entry that could not be looked at: its errno, or that nobody knows what it is."""
        return failure(number, path) if number else self._unseen(path)

    def _unseen(self, path: str) -> UnseenError:
        return UnseenError(f"{path} lies where {self._path} does not tell what is there")

    def _file(self, real: str) -> tuple[int, int]:
        """Return the size of a regular file and the place of what is known of it. Raises OSError."""
        directory, _, name = real.rpartition("/")
        if not name:
            raise failure(errno.EISDIR, real)
        listing = self._listing(directory or "/")
        at = self._at(listing, name)
        if at is None:
            self._missed(listing, directory or "/", name)
            raise failure(errno.ENOENT, real)
        letter = listing.letter(at)
        if letter != "f":
            number = listing.size(at) if letter == UNKNOWN else errno.EISDIR if letter == "d" else errno.EACCES
            raise self._untold(number, real)
        return max(listing.size(at), 0), listing.place(at)

    def _facts(self, place: int, real: str) -> tuple[bytes, Sequence[Run], bytes]:
        """Return of a file's chunk: its letter, the runs that are kept, and what follows them."""
        data = self._chunk(place)
        kind = data[:1]
        if kind not in (b"E", b"F", b"N", b"O", b"U"):
            self._damaged(real)
        if kind in (b"O", b"U"):
            return kind, (), data[1:]
        runs, end = self._sound(lambda: unpack_runs(data, 1))
        return kind, runs, data[end:]

    def _failure(self, place: int, real: str) -> OSError:
        return failure(int.from_bytes(self._chunk(place)[1:3], "little") or errno.EIO, real)

    def _chunk(self, place: int) -> bytes:
        return self._sound(lambda: self._blocks.chunk(place))

    def _sound(self, work: Callable[[], T]) -> T:
        """Read a part of the snapshot. Damage ends the work: nothing may be concluded from what is left."""
        try:
            return work()
        except FormatError as error:
            raise TargetError(str(error.at(self._path)), hint=_HINT) from None

    def _damaged(self, where: str) -> NoReturn:
        raise TargetError(f"{self._path}: is a snapshot that is damaged ({where})", hint=_HINT)


class _Unreadable:
    """A file that could not be read when it was captured."""

    def __init__(self, size: int, error: OSError) -> None:
        self.size = size
        self._error = error

    def pread(self, offset: int, count: int) -> bytes:
        """Raise the OSError that reading the file raised."""
        del offset, count
        raise self._error


def _meta(data: bytes) -> Meta:
    """Return the head. Raises FormatError."""
    try:
        if len(data) > _META_LIMIT:
            raise ValueError  # noqa: TRY301 - damage like any other
        return _meta_of(json.loads(data))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError):
        raise FormatError("is a snapshot that is damaged") from None


def _meta_of(told: Any) -> Meta:  # noqa: ANN401 - JSON is of any type until it has been looked at
    if told["record"] != list(PARTS):
        raise FormatError(f"is a snapshot by runworthy {told['runworthy']!s:.40}, with facts in a form of its own")
    texts = [told[key] for key in ("created", "source", "arch", "runworthy", "origin")]
    place, directories = told["top"]
    numbers = (place, directories, told["entries"], *told["held"].values())
    if not all(isinstance(text, str) for text in (*texts, *told["left_out"], *told["held"])):
        raise TypeError
    if not all(isinstance(number, int) and 0 <= number < 1 << 64 for number in numbers):
        raise TypeError
    return Meta(
        created=texts[0],
        source=texts[1],
        arch=texts[2],
        machine=None if told["machine"] is None else machine_of_json(told["machine"]),
        left_out=tuple(told["left_out"]),
        held=told["held"],
        entries=told["entries"],
        writer=texts[3],
        top=(place, directories),
        origin=texts[4],
    )


def _error(data: bytes) -> tuple[str, int | None]:
    try:
        message, offset = json.loads(data[:_ERROR_LIMIT])
    except (ValueError, TypeError, RecursionError):
        raise FormatError("is a snapshot that is damaged") from None
    if not isinstance(message, str) or not isinstance(offset, int | None):
        raise FormatError("is a snapshot that is damaged")
    return message, offset


def _look(entry: Entry) -> tuple[str, int, str]:
    """Return what is compared of an entry; the size of a directory is its file system's own affair."""
    return entry.kind, 0 if entry.kind == "dir" else entry.size, entry.target


def _join(directory: str, name: str) -> str:
    return f"/{name}" if directory == "/" else f"{directory}/{name}"
