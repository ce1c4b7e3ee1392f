"""Which files were found to have the same bytes before, kept between runs beside the cache of facts.

What is kept of a file is its class, under device, inode, size and times: equal classes are equal bytes. Files of
different classes are known to differ only where one run compared them, so a class is a run and a number in it. Whoever
changes a file changes its ``ctime``, which nobody can set back; files whose times are whole seconds may lie in an image
of which there are several editions with the same times, and are read each time, as are those changed a moment ago.

Beside that the sets of whole scans are kept, under all that was seen of all their files: where nothing has changed,
which is how it mostly is, nothing has to be put together again.

Files are kept by stretches of inodes: a tree's lie close together, so that a hundred thousand of them are some hundred
rows. Nothing is ever done to a file because of what stands here. Whatever is wrong with the index, it is made anew.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Final, TypeVar

from runworthy.model.records import dataclass
from runworthy.targets.kept import prepare, settled_before

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Class", "Index", "IndexInfo", "Signature"]

Signature = bytes
"""Device, inode, size, and the times of the last changes of contents and of status (ns), of eight bytes each."""

Class = bytes
"""A run, and a number in it, of eight bytes each."""

_FILE: Final = "storage.sqlite"
_LIMIT: Final = 128 << 20
_KEPT_DAYS: Final = 90
_DAY: Final = 86400
_SECOND: Final = 10**9
_STRETCH: Final = 12
_SCANS: Final = 16
_IDENTITY = Struct("=QQ24x")
_CLASS = Struct("=QQ")
_ROW = Struct("=40s16s")
_FIELDS = Struct("=QQ16xq16x")
_NAMED: Final = 16
_WAIT: Final = 5.0
_SCHEMA: Final = 2
"""The version that _TABLES states."""
_TABLES: Final = """
DROP TABLE IF EXISTS stretches;
DROP TABLE IF EXISTS scans;
DROP TABLE IF EXISTS told;
DROP TABLE IF EXISTS runs;
CREATE TABLE stretches (device TEXT, stretch INTEGER, day INTEGER, rows BLOB, PRIMARY KEY (device, stretch));
CREATE TABLE scans (number INTEGER PRIMARY KEY, key BLOB UNIQUE, day INTEGER, sets BLOB);
CREATE TABLE told (key TEXT PRIMARY KEY, day INTEGER) WITHOUT ROWID;
CREATE TABLE runs (last INTEGER);
INSERT INTO runs VALUES (0);
PRAGMA user_version = 2;
"""

_SETS: Final = "SELECT sets FROM scans WHERE key = ?"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInfo:
    """What the index holds: bytes on disk, files whose class is known, and findings that were told."""

    path: str
    size: int
    files: int
    told: int


class Index:
    """The index in ``directory``, opened at the first question.

    Files are looked at after it was made: what was changed shortly before that is not kept.
    """

    def __init__(self, directory: str) -> None:
        self.path = os.path.join(directory, _FILE)
        self._began = time.time_ns()
        self._connection: sqlite3.Connection | None = None

    # -- classes ----------------------------------------------------------------------------

    def classes(self, signatures: Sequence[Signature]) -> list[Class | None]:
        """Return the class of each file, None where it is not known or the file has been changed since."""
        named = _IDENTITY.iter_unpack(b"".join(signatures))
        wanted = {(device, inode >> _STRETCH) for device, inode in named}
        known: dict[Signature, Class] = {}
        for rows in (self._ask(lambda connection: _stretches(connection, wanted)) or {}).values():
            known.update(_ROW.iter_unpack(rows))
        return list(map(known.get, signatures))

    def learn(self, classes: Iterable[Collection[Signature]]) -> None:
        """Keep what was found of files that this run compared with all others of their size.

        Each collection are files with the same bytes.
        """
        today = int(time.time()) // _DAY
        self._ask(lambda connection: _write(connection, classes, today, settled_before(self._began)))
        for oldest in (today - _KEPT_DAYS, today + 1):
            with suppress(OSError):
                if os.path.getsize(self.path) > _LIMIT:
                    self._ask(partial(_shrink, oldest))

    # -- whole scans ------------------------------------------------------------------------

    def sets(self, key: bytes) -> list[array[int]]:
        """Return what was found by a scan, nothing where it is not known: the numbers of the files of each set."""
        row = self._ask(lambda connection: connection.execute(_SETS, (key,)).fetchone())
        numbers = array("I")
        if row and isinstance(row[0], bytes) and not len(row[0]) % numbers.itemsize:
            numbers.frombytes(row[0])
        sets = []
        at = 0
        while at < len(numbers):
            end = at + 1 + numbers[at]
            sets.append(numbers[at + 1 : end])
            at = end
        return sets if at == len(numbers) and all(sets) else []

    def keep(self, key: bytes, sets: Iterable[Collection[int]], changed: Iterable[int]) -> None:
        """Keep what a scan found among files with some times of change (ns), unless one was changed just now."""
        before = settled_before(self._began)
        if not all(ctime < before and ctime % _SECOND for ctime in changed):
            return
        numbers = array("I")
        for one in sets:
            numbers.append(len(one))
            numbers.extend(one)
        today = int(time.time()) // _DAY
        self._ask(lambda connection: _keep_scan(connection, (key, today, numbers.tobytes())))

    # -- what was told ----------------------------------------------------------------------

    def unseen(self, keys: Iterable[str]) -> set[str]:
        """Return those of ``keys`` that have not been told."""
        asked = set(keys)
        told = self._ask(lambda connection: {key for (key,) in connection.execute("SELECT key FROM told")})
        return asked - (told or set())

    def tell(self, keys: Iterable[str]) -> None:
        """Keep in mind that ``keys`` have been told."""
        today = int(time.time()) // _DAY
        rows = [(key, today) for key in keys]
        self._ask(lambda connection: connection.executemany("INSERT OR REPLACE INTO told VALUES (?, ?)", rows))

    # -- the file ---------------------------------------------------------------------------

    def info(self) -> IndexInfo:
        """Return what the index holds. One that is not there holds nothing."""
        if not os.path.exists(self.path):
            return IndexInfo(path=self.path, size=0, files=0, told=0)
        lengths = self._ask(
            lambda connection: connection.execute("SELECT total(length(rows)) FROM stretches").fetchone()
        )
        told = self._ask(lambda connection: connection.execute("SELECT count(*) FROM told").fetchone())
        return IndexInfo(
            path=self.path,
            size=sum(os.path.getsize(path) for path in self._files() if os.path.exists(path)),
            files=int((lengths or (0,))[0]) // _ROW.size,
            told=(told or (0,))[0],
        )

    def clear(self) -> None:
        """Remove the index. Raises OSError."""
        self.close()
        for path in self._files():
            with suppress(FileNotFoundError):
                os.unlink(path)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _files(self) -> tuple[str, ...]:
        return self.path, f"{self.path}-wal", f"{self.path}-shm"

    def _ask(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what ``work`` makes of the index, None where there is a fault."""
        import sqlite3

        try:
            if self._connection is None:
                self._connection = self._connect()
            return work(self._connection)
        except (sqlite3.OperationalError, OSError):  # locked, read-only, full or not ours: the next run may do better
            if self._connection is not None and self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self.clear()
        return None

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        prepare(os.path.dirname(self.path), self.path)
        connection = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # what a power cut takes is read anew
        if connection.execute("PRAGMA user_version").fetchone() != (_SCHEMA,):
            connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
        return connection


def _stretches(connection: sqlite3.Connection, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """Return the rows of some stretches: one by one where few of a device are asked for, else all of it."""
    found: dict[tuple[int, int], object] = {}
    by_device: dict[int, set[int]] = {}
    for device, stretch in wanted:
        by_device.setdefault(device, set()).add(stretch)
    for device, asked in by_device.items():
        (held,) = connection.execute("SELECT count(*) FROM stretches WHERE device = ?", (str(device),)).fetchone()
        if held <= 4 * len(asked):
            rows = connection.execute("SELECT stretch, rows FROM stretches WHERE device = ?", (str(device),))
            found |= {(device, stretch): data for stretch, data in rows if stretch in asked}
        else:
            one = "SELECT rows FROM stretches WHERE device = ? AND stretch = ?"
            for stretch in asked:
                for (data,) in connection.execute(one, (str(device), stretch)):
                    found[device, stretch] = data
    return {key: data for key, data in found.items() if isinstance(data, bytes) and not len(data) % _ROW.size}


def _write(
    connection: sqlite3.Connection,
    classes: Iterable[Collection[Signature]],
    today: int,
    before: int,
) -> None:
    """Put what was learnt in the place of what was known of the same inodes."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE runs SET last = last + 1")
    (run,) = connection.execute("SELECT last FROM runs").fetchone()
    learnt = _learnt(run, classes, before)
    held = _stretches(connection, learnt)
    rows = [(str(key[0]), key[1], today, _merged(held.get(key, b""), new)) for key, new in learnt.items()]
    connection.executemany("INSERT OR REPLACE INTO stretches VALUES (?, ?, ?, ?)", rows)
    connection.execute("COMMIT")


def _learnt(run: int, classes: Iterable[Collection[Signature]], before: int) -> dict[tuple[int, int], list[bytes]]:
    """Return the rows of each stretch, of files whose last change lies ``before`` a time (ns)."""
    rows: list[bytes] = []
    for number, signatures in enumerate(classes):
        of = _CLASS.pack(run, number)
        rows += [signature + of for signature in signatures]
    learnt: dict[tuple[int, int], list[bytes]] = {}
    for row, (device, inode, ctime) in zip(rows, _FIELDS.iter_unpack(b"".join(rows)), strict=True):
        if ctime < before and ctime % _SECOND:
            stretch = device, inode >> _STRETCH
            if stretch in learnt:
                learnt[stretch].append(row)
            else:
                learnt[stretch] = [row]
    return learnt


def _keep_scan(connection: sqlite3.Connection, row: tuple[bytes, int, bytes]) -> None:
    """Keep the sets of a scan, and no more scans than some."""
    connection.execute("INSERT OR REPLACE INTO scans (key, day, sets) VALUES (?, ?, ?)", row)
    connection.execute(
        "DELETE FROM scans WHERE number NOT IN (SELECT number FROM scans ORDER BY 1 DESC LIMIT ?)", (_SCANS,)
    )


def _merged(old: bytes, new: Sequence[bytes]) -> bytes:
    """Return rows of one stretch: new ones, and the old ones of other inodes."""
    known = {row[:_NAMED] for row in new} if old else set()
    held = (old[at : at + _ROW.size] for at in range(0, len(old), _ROW.size))
    return b"".join((*(row for row in held if row[:_NAMED] not in known), *new))


def _shrink(oldest: int, connection: sqlite3.Connection) -> None:
    """Drop what was learnt before a day."""
    connection.execute("DELETE FROM stretches WHERE day < ?", (oldest,))
    connection.execute("DELETE FROM scans WHERE day < ?", (oldest,))
    connection.execute("DELETE FROM told WHERE day < ?", (oldest,))
    connection.execute("VACUUM")
