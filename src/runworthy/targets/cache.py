"""What was read and judged before, kept between runs in one SQLite file of the user's own.

Facts of a file are kept under its device, inode, size and times of change. Whoever changes a file changes its time of
status change (``ctime``), which nobody can set back; see ``inode(7)``. Times in whole seconds are those of an image
that was made reproducibly (squashfs, erofs, ISO 9660, ``mkfs.ext4 -d``): each edition of it has the same ones, and
where one was mounted another may be, with the same device and inodes. There the contents are looked at too. Whatever
is wrong with the cache, it is dropped and made anew: it never decides more than how long an answer takes.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from runworthy import __version__
from runworthy.formats.elf.record import RecordedElf, decode, encode_known, known_parts
from runworthy.model.elf import ElfFacts, ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass
from runworthy.targets.kept import is_settled, prepare

__all__ = ["Cache", "CacheInfo", "Signature", "is_settled", "signature_of", "times_of"]

_FILE = "facts.sqlite"
_LIMIT = 512 << 20
_KEPT_DAYS = 30
_DAY = 86400
_SECOND = 10**9
_PAGE = 4 << 10
_ELF = b"\x7fELF"
_WAIT = 5.0
_KINDS = {"facts": ("facts", "go", "mentions", "relocations"), "symbols": ("imports", "exports", "copies")}
_DROP = "".join(f"DROP TABLE IF EXISTS {table};" for table in ("records", "reports", "made"))
_TABLES = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT, device INTEGER, inode INTEGER, size INTEGER, mtime INTEGER, ctime INTEGER, sample INTEGER, day INTEGER,
    record BLOB,
    PRIMARY KEY (kind, device, inode)
);
CREATE TABLE IF NOT EXISTS reports (key BLOB PRIMARY KEY, day INTEGER, checksum INTEGER, report BLOB);
CREATE TABLE IF NOT EXISTS made (by TEXT);
"""

T = TypeVar("T")
Signature = tuple[int, int, int, int, int, int]
"""Device, inode, size (bytes), the times of the last change of contents and of status (ns), and, where these tell
nothing, a checksum of samples of what is there; 0 where they tell."""


def signature_of(path: str, status: os.stat_result) -> Signature:
    """Return what stays equal as long as what lies at a path is not changed. ``status`` is what lstat says of it."""
    found = times_of(path, status)
    return found if found[4] % _SECOND else (*found[:5], _sample(path, status))


def times_of(_path: str, status: os.stat_result) -> Signature:
    """Return a signature without samples."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, 0


def _sample(path: str, status: os.stat_result) -> int:
    """Return a checksum of names, of a link's text, or of a file's beginning; of what cannot be read, the error.

    The beginning of an ELF file has its build id and, as linkers lay it out, its names; the end has its sections.
    """
    try:
        if stat.S_ISREG(status.st_mode):
            return zlib.crc32(_ends(path))
        if stat.S_ISDIR(status.st_mode):
            return zlib.crc32(b"\0".join(sorted(os.listdir(os.fsencode(path)))))
        return zlib.crc32(os.readlink(os.fsencode(path))) if stat.S_ISLNK(status.st_mode) else 0
    except OSError as error:
        return error.errno or 0


def _ends(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    try:
        head = os.read(descriptor, _PAGE)
        if not head.startswith(_ELF):
            return head
        head += os.read(descriptor, 3 * _PAGE)
        os.lseek(descriptor, -min(_PAGE, len(head)), os.SEEK_END)
        return head + os.read(descriptor, _PAGE)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """What the cache holds: bytes on disk, files whose facts and whose symbols are kept, and reports."""

    path: str
    size: int
    facts: int
    symbols: int
    reports: int


@dataclass(slots=True)
class _Read:
    """A file that was read in this process, and which parts of it are kept already."""

    signature: Signature
    elf: ElfFile
    kept: frozenset[str]


class Cache:
    """The cache in ``directory``, opened at the first question. A process that was forked opens it for itself."""

    def __init__(self, directory: str) -> None:
        self.path = os.path.join(directory, _FILE)
        self._connection: sqlite3.Connection | None = None
        self._process = -1
        self._read: list[_Read] = []

    # -- facts ------------------------------------------------------------------------------

    @staticmethod
    def signature(path: str) -> Signature:
        """Return the signature of what lies at a path of this machine. Raises OSError."""
        return signature_of(path, os.lstat(path))

    def recall(self, signature: Signature, path: str) -> RecordedElf | None:
        """Return what is kept of the file with this signature."""
        return self._recorded("facts", signature, path)

    def symbols(self, signature: Signature, path: str, facts: ElfFacts) -> RecordedElf | None:
        """Return what is kept of the symbols of the file with these facts."""
        return self._recorded("symbols", signature, path, facts)

    def _recorded(
        self, kind: str, signature: Signature, path: str, facts: ElfFacts | None = None
    ) -> RecordedElf | None:
        row = self._one(
            "SELECT size, mtime, ctime, sample, record FROM records WHERE kind = ? AND device = ? AND inode = ?",
            (kind, *signature[:2]),
        )
        if row is not None and row[:-1] == signature[2:]:
            with suppress(FormatError):
                return decode(row[-1], path, facts)
        return None

    def learn(self, signature: Signature, elf: ElfFile) -> None:
        """Take note of a file that was read: what it will have answered at the end is kept."""
        kept = elf.parts if isinstance(elf, RecordedElf) else frozenset[str]()
        self._read.append(_Read(signature, elf, kept))

    def settle(self) -> None:
        """Keep what was learnt."""
        now, today = time.time_ns(), int(time.time()) // _DAY
        rows = [row for read in self._read if is_settled(read.signature[4], now) for row in _rows(read, today)]
        self._read = []
        if rows:
            self._ask(lambda connection: _write(connection, self.path, rows, today))

    # -- reports ----------------------------------------------------------------------------

    def report(self, key: bytes) -> bytes | None:
        """Return what was kept under ``key``."""
        row = self._one("SELECT report, checksum FROM reports WHERE key = ?", (key,))
        return row[0] if row is not None and zlib.crc32(row[0]) == row[1] else None

    def keep_report(self, key: bytes, report: bytes) -> None:
        """Keep bytes under ``key``, in the place of what was there."""
        row = (key, int(time.time()) // _DAY, zlib.crc32(report), report)
        self._ask(lambda connection: connection.execute("INSERT OR REPLACE INTO reports VALUES (?, ?, ?, ?)", row))

    # -- the file ---------------------------------------------------------------------------

    def info(self) -> CacheInfo:
        """Return what the cache holds. A cache that is not there holds nothing."""
        if not os.path.exists(self.path):
            return CacheInfo(path=self.path, size=0, facts=0, symbols=0, reports=0)
        counts = {kind: self._one("SELECT count(*) FROM records WHERE kind = ?", (kind,)) for kind in _KINDS}
        reports = self._one("SELECT count(*) FROM reports")
        return CacheInfo(
            path=self.path,
            size=sum(os.path.getsize(path) for path in self._files() if os.path.exists(path)),
            facts=(counts["facts"] or (0,))[0],
            symbols=(counts["symbols"] or (0,))[0],
            reports=(reports or (0,))[0],
        )

    def clear(self) -> None:
        """Remove the cache. Raises OSError."""
        self._close()
        for path in self._files():
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _files(self) -> tuple[str, ...]:
        return self.path, f"{self.path}-wal", f"{self.path}-shm"

    def _one(self, question: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """Return the first row of an answer, None where there is none."""
        return self._ask(lambda connection: connection.execute(question, values).fetchone())

    def _ask(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what ``work`` makes of the cache, None where SQLite finds a fault."""
        try:
            return work(self._connected())
        except (sqlite3.OperationalError, OSError):  # locked, read-only, full or not ours: the next run may do better
            self._rollback()
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self.clear()
        return None

    def _rollback(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None or self._process != os.getpid():
            self._process = os.getpid()
            self._connection = None  # a connection that came with a fork is its parent's
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        prepare(os.path.dirname(self.path), self.path)
        connection = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # what a power cut takes is read anew
        maker = _maker()
        with suppress(sqlite3.OperationalError):
            if connection.execute("SELECT by FROM made").fetchone() == (maker,):
                return connection
        connection.executescript(f"BEGIN IMMEDIATE; {_DROP} {_TABLES} COMMIT;")
        connection.execute("INSERT INTO made VALUES (?)", (maker,))
        return connection

    def _close(self) -> None:
        if self._connection is not None and self._process == os.getpid():
            self._connection.close()
        self._connection = None


def _write(connection: sqlite3.Connection, path: str, rows: Sequence[tuple[object, ...]], today: int) -> None:
    """Write records; drop what is old when the cache has grown large, and all of it where that does not help."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    for oldest in (today - _KEPT_DAYS, today + 1):
        if os.path.getsize(path) > _LIMIT:
            connection.execute("DELETE FROM records WHERE day < ?", (oldest,))
            connection.execute("DELETE FROM reports WHERE day < ?", (oldest,))
            connection.execute("VACUUM")


def _rows(read: _Read, today: int) -> Iterator[tuple[str, int, int, int, int, int, int, int, bytes]]:
    """Yield what is to be written of a file: each kind of record of which more is known than is kept."""
    known = known_parts(read.elf)
    for kind, parts in _KINDS.items():
        answered = known.intersection(parts)
        if not answered <= read.kept:
            with suppress(OSError):
                yield kind, *read.signature, today, encode_known(read.elf, answered)


def _maker() -> str:
    """Return what made the records: the release, the tables, and the sources that read files, which may change."""
    from runworthy.formats import elf

    directory = os.path.dirname(elf.__file__)
    with os.scandir(directory) as entries:
        files = [(one.name, one.stat()) for one in entries if one.name.endswith(".py")]
    sources = sorted((name, status.st_size, status.st_mtime_ns) for name, status in files)
    return f"{__version__} {zlib.crc32(repr((_TABLES, sources)).encode()):08x}"
