"""Writing a snapshot: every entry of a root, the facts of its files, and the machine it was found on."""

from __future__ import annotations

import errno
import json
import posixpath
import time
from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import asdict
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import BinaryIO, Final, Literal

from runworthy import __version__
from runworthy.formats.ape import is_ape_loader
from runworthy.formats.content import READ_LIMIT, Content, read_exactly
from runworthy.formats.elf.record import PARTS, encode
from runworthy.formats.elf_kind import MAGIC
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.host import MachineFacts
from runworthy.model.records import dataclass, field
from runworthy.targets.binfmt.kept import boot_texts
from runworthy.targets.host import architecture_of_root
from runworthy.targets.snapshot.blocks import CHUNK_LIMIT, BlockWriter
from runworthy.targets.snapshot.held import EXEC_HEAD, elf_runs, loader_bytes, may_be_loader, other_runs, texts_alone
from runworthy.targets.snapshot.listing import (
    COMPLETE,
    LEFT_OUT,
    LETTERS,
    LISTING_LIMIT,
    REFUSED,
    UNKNOWN,
    UNSEARCHABLE,
    Row,
    pack_listing,
)
from runworthy.targets.snapshot.sparse import HEAD, Run, pack_runs
from runworthy.targets.view import Entry, FileView, Resolved, UnseenError, failure

__all__ = ["Captured", "Source", "capture"]

Source = Literal["host", "directory", "stream"]

_EXECUTE: Final = 0o111
_NO_NAME: Final = "\x01no file has this name\x01"
_GONE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ESTALE))
_CONFIGURATION: Final = "/etc/ld.so.conf"
# What loaders and this package read as text, besides what ld.so.conf includes and what registers handlers at boot.
_TEXTS: Final = (
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    _CONFIGURATION,
    "/etc/os-release",
    "/usr/lib/os-release",
)
_MUSL_PATHS: Final = "ld-musl-*.path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a capture met. ``unreadable`` are files and directories that could not be read; ``size`` is in bytes."""

    entries: int
    elf_files: int
    unreadable: int
    left_out: tuple[str, ...]
    size: int


def capture(
    view: FileView,
    machine: MachineFacts | None,
    out: BinaryIO,
    *,
    source: Source,
    origin: str = "",
    exclude: Collection[str] = (),
    progress: Callable[[int, str], None] | None = None,
) -> Captured:
    """Write the snapshot of a root to ``out``, which need not be seekable. Raises OSError of ``out``.

    ``machine`` is None where only files are known: the target then has its architecture's baseline. ``origin`` tells
    which directory of which machine this is (:func:`~runworthy.targets.snapshot.origin.origin_of`). ``exclude`` are
    real directories whose contents are left out: asking about them later is refused, never answered "absent".
    ``progress`` is told how many entries have been written, and the directory it is at.
    """
    work = _Capture(view, BlockWriter(out), frozenset(exclude), progress)
    place, directories = work.tree()
    arch = architecture_of_root(view)
    left_out = tuple(sorted(work.left_out))
    meta = {
        "runworthy": __version__,
        "record": PARTS,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "source": source,
        "origin": origin,
        "arch": arch.name if arch else "",
        "machine": asdict(machine) if machine else None,
        "left_out": left_out,
        "top": [place, directories],
        "held": work.held(),
        "entries": work.entries,
    }
    size = work.writer.finish(work.writer.add("meta", json.dumps(meta, separators=(",", ":")).encode("ascii")))
    return Captured(
        entries=work.entries, elf_files=work.elf_files, unreadable=work.unreadable, left_out=left_out, size=size
    )


@dataclass(slots=True)
class _Directory:
    """A directory whose entries are being gathered. ``below`` are the directories in it that are still to be done."""

    path: str
    first: int
    state: int = COMPLETE
    errno: int = 0
    rows: list[Row] = field(default_factory=list)
    below: list[tuple[str, Entry]] = field(default_factory=list)
    directories: int = 1


@dataclass(slots=True)
class _Capture:
    """Walks a root depth first, so that what is below a directory is written before it."""

    view: FileView
    writer: BlockWriter
    exclude: frozenset[str]
    progress: Callable[[int, str], None] | None
    entries: int = 1
    elf_files: int = 0
    unreadable: int = 0
    left_out: set[str] = field(default_factory=set)
    _numbers: dict[Hashable, tuple[int, int]] = field(default_factory=dict)
    _chunks: dict[bytes, int] = field(default_factory=dict)
    _loaders: list[str] = field(default_factory=list)
    _loader_places: set[int] = field(default_factory=set)
    _musl_paths: list[str] = field(default_factory=list)

    def tree(self) -> tuple[int, int]:
        """Write every directory; return the place of the top one's listing and how many there are."""
        stack = [self._gather("/")]
        while True:
            at = stack[-1]
            if at.below:
                stack.append(self._gather(_join(at.path, at.below[-1][0])))
                continue
            place = self._write(at)
            stack.pop()
            if not stack:
                return place, at.directories
            above = stack[-1]
            name, entry = above.below.pop()
            above.directories += at.directories
            above.rows.append(Row(name, "d", entry.mode & 0o7777, entry.size, place, at.directories))

    def _gather(self, path: str) -> _Directory:
        """List a directory and write what is known of its files."""
        found = _Directory(path, self.entries)
        if path in self.exclude:
            found.state = LEFT_OUT
            self.left_out.add(path)
            return found
        if self.progress is not None:
            self.progress(self.entries, path)
        try:
            names = sorted(self.view.names(path))
        except OSError as error:
            self._unlisted(found, error)
            return found
        self.entries += len(names)
        for number, name in enumerate(names, found.first):
            self._look(found, name, number)
        return found

    def _unlisted(self, found: _Directory, error: OSError) -> None:
        """Write down how a directory answers that cannot be listed: names in it may be found all the same."""
        self.unreadable += 1
        found.errno = error.errno or errno.EIO
        refused = self._refusal(found.path)
        found.state = LEFT_OUT if refused is None else REFUSED
        if refused is None:
            self.left_out.add(found.path)

    def _refusal(self, path: str) -> int | None:
        """Return the errno that a directory has for a name which it does not hold, None where it just is not there."""
        try:
            self.view.entry(path, _NO_NAME)
        except OSError as error:
            return error.errno or errno.EIO
        return None

    def _look(self, found: _Directory, name: str, number: int) -> None:
        try:
            entry = self.view.entry(found.path, name)
        except OSError as error:
            if error.errno in _GONE:
                found.rows.append(_ghost(name))
                return
            refused = self._refusal(found.path) if found.state == COMPLETE else None
            if refused is not None:
                found.state, found.errno = UNSEARCHABLE, refused
            self.unreadable += 1
            found.rows.append(Row(name, UNKNOWN, size=error.errno or errno.EIO))
            return
        except UnseenError:
            found.rows.append(Row(name, UNKNOWN))
            return
        if entry is None:
            found.rows.append(_ghost(name))
            return
        if entry.kind == "dir":
            found.below.append((name, entry))
            return
        place = own = 0
        if entry.kind == "file":
            place, own = self._file(_join(found.path, name), entry, number)
            if place < 0:
                found.rows.append(_ghost(name))
                return
        if fnmatchcase(name, _MUSL_PATHS):
            self._musl_paths.append(_join(found.path, name))
        target = entry.target.partition("\0")[0]
        found.rows.append(Row(name, LETTERS[entry.kind], entry.mode & 0o7777, entry.size, place, own, target))

    def _write(self, found: _Directory) -> int:
        """Write a listing, and return its place."""
        rows = sorted(found.rows)
        data = pack_listing(rows, found.first, found.state, found.errno)
        if len(data) > LISTING_LIMIT:
            self.left_out.add(found.path)
            found.directories = 1
            data = pack_listing((), found.first, LEFT_OUT)
        return self.writer.add("listing", data)

    # -- files ------------------------------------------------------------------------------

    def _file(self, real: str, entry: Entry, number: int) -> tuple[int, int]:
        """Write what is known of a file; return its place and which entry it is another name of.

        A negative place: it went away.
        """
        if entry.size == 0:
            return 0, 0
        identity = self.view.identity(Resolved(real, entry))
        held = self._numbers.get(identity)
        if held is not None:
            if held[0] in self._loader_places:
                self._loaders.append(real)
            return held
        try:
            data, loader = self._told(real, entry)
        except UnseenError:
            data, loader = b"U", False
        except OSError as error:
            if error.errno in _GONE:
                return -1, 0
            if error.errno == errno.ENODATA:  # neither bytes nor facts: as the view itself has it
                data, loader = b"", False
            else:
                self.unreadable += 1
                data, loader = b"O" + (error.errno or errno.EIO).to_bytes(2, "little"), False
        place = self._chunk("facts", data) if data else 0
        if loader:
            self._loaders.append(real)
            self._loader_places.add(place)
        self._numbers[identity] = (place, number)
        return place, 0

    def _chunk(self, kind: str, data: bytes) -> int:
        """Write a chunk, of equal ones the first; return its place."""
        digest = _digest(data)
        place = self._chunks.get(digest)
        if place is None:
            place = self._chunks[digest] = self.writer.add(kind, data)
        return place

    def _told(self, real: str, entry: Entry) -> tuple[bytes, bool]:
        """Return the chunk of a file, empty where nothing is kept, and whether it may be a loader. Raises OSError."""
        executable = bool(entry.mode & _EXECUTE)
        content = self._content(real)
        head = b""
        if content is not None:
            head = content.pread(0, EXEC_HEAD if executable else HEAD)
            if not head:
                raise failure(errno.ESTALE, real)
            if not head.startswith(MAGIC):
                runs = other_runs(content, head, executable=executable)
                return (b"N" + pack_runs(runs) if runs else b""), False
        try:
            elf = self.view.load_elf(real)
        except FormatError as error:
            if content is None:
                return b"", False
            return self._refused(content, head, error, real), False
        return self._taken(elf, content, head, real)

    def _content(self, real: str) -> Content | None:
        try:
            return self.view.content(real)
        except OSError as error:
            if error.errno == errno.ENODATA:
                return None
            raise

    def _refused(self, content: Content, head: bytes, error: FormatError, real: str) -> bytes:
        if _is_cut(content):
            raise failure(errno.EIO, real)
        told = json.dumps([error.message, error.offset]).encode("ascii")
        return b"F" + pack_runs(elf_runs(content, head, refused=True)) + told

    def _taken(self, elf: ElfFile, content: Content | None, head: bytes, real: str) -> tuple[bytes, bool]:
        self.elf_files += 1
        record = encode(elf)
        runs: list[Run] = []
        if content is not None:
            whole = elf.facts.is_static and _is_ape_loader(content)
            runs = [(0, content.pread(0, content.size))] if whole else elf_runs(content, head, refused=False)
        if content is not None and _is_cut(content):
            raise failure(errno.EIO, real)
        data = b"E" + pack_runs(runs) + record
        if len(data) > CHUNK_LIMIT:
            raise failure(errno.EFBIG, real)
        return data, may_be_loader(elf, record)

    # -- texts ------------------------------------------------------------------------------

    def held(self) -> dict[str, int]:
        """Write the files that are read as bytes; return their places by real path."""
        found: dict[str, int] = {}
        for path, data in self._texts():
            if path not in found and len(data) <= CHUNK_LIMIT:
                found[path] = self._chunk("text", data)
        copies: dict[bytes, list[int]] = {}
        for real in self._loaders:
            try:
                found |= self._loader(real, copies)
            except OSError:
                continue
        return found

    def _texts(self) -> Iterator[tuple[str, bytes]]:
        for path in (*_TEXTS, *self._musl_paths):
            yield from self._text(path)
        yield from self._included(_CONFIGURATION, set())
        yield from boot_texts(self.view)

    def _loader(self, real: str, copies: dict[bytes, list[int]]) -> dict[str, int]:
        """Write the bytes by which a loader is known; of a copy of one before it they are there. Raises OSError."""
        found = loader_bytes(self.view, real)
        key = _digest(b"".join(map(_digest, found.values())))
        places = copies.get(key)
        if places is None:
            texts = texts_alone(self.view, real, found)
            places = copies[key] = [self._chunk("text", texts[path]) for path in found]
        return dict(zip(found, places, strict=True))

    def _text(self, path: str) -> Iterator[tuple[str, bytes]]:
        """Yield the bytes of a regular file that can be read."""
        found = self.view.find(path)
        if isinstance(found, int) or found.entry.kind != "file":
            return
        try:
            content = self.view.content(found.path)
            if content.size <= READ_LIMIT:
                yield found.path, read_exactly(content, 0, content.size, "file")
        except (OSError, FormatError, UnseenError):
            return

    def _included(self, path: str, seen: set[str]) -> Iterator[tuple[str, bytes]]:
        """Yield every file that the ``include`` lines of a configuration file may name."""
        for real, data in self._text(path):
            if real in seen:
                continue
            seen.add(real)
            yield real, data
            words = [line.split() for line in data.decode("utf-8", "surrogateescape").splitlines()]
            for pattern in [word for line in words if line[:1] == ["include"] for word in line[1:]]:
                directory, name = posixpath.split(posixpath.join(posixpath.dirname(path), pattern))
                try:
                    names = self.view.readdir(directory)
                except OSError:
                    continue
                for one in names:
                    if fnmatchcase(one, name):
                        yield from self._included(_join(directory, one), seen)


def _is_ape_loader(content: Content) -> bool:
    """Whether a static program is the loader of APEs; where not all of it is at hand, that is left open."""
    try:
        return is_ape_loader(content)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return False
        raise


def _is_cut(content: Content) -> bool:
    """Whether the file has become shorter than it was when its size was looked up. Raises OSError."""
    try:
        return not content.pread(content.size - 1, 1)
    except OSError as error:
        if error.errno == errno.ENODATA:  # only some of its bytes are at hand, and they do not change
            return False
        raise


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


def _ghost(name: str) -> Row:
    """Return the row of an entry that went away while it was looked at: the numbers of the others count on."""
    return Row(name, UNKNOWN, size=errno.ENOENT)


def _join(directory: str, name: str) -> str:
    return f"/{name}" if directory == "/" else f"{directory}/{name}"
