"""The directory in which the journal lies: its entries, and who may change it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator

from runworthy.model.errors import RemedyError
from runworthy.model.records import replace
from runworthy.remedies.journal.checking import entry_from
from runworthy.remedies.journal.records import SCHEMA, UNFINISHED, Entry, ShareChange, as_json
from runworthy.remedies.journal.share_log import LARGEST, ShareLog, sync_directory, with_log

__all__ = ["BEFORE", "Journal", "journal_directory"]

BEFORE = "before"
_ENTRY, _LOG, _LOCK, _NEW = "entry.json", "shares.jsonl", ".lock", ".new-"
_ID = re.compile(r"(\d{8})-(\d{1,6})")
_WAIT = 10.0


def journal_directory() -> str:
    """Return where the journal lies: the platform's place for what a program has done (XDG base directories)."""
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support/runworthy/journal")
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA") or os.path.expanduser("~"), "runworthy", "journal")
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "runworthy", "journal")


class Journal:
    """The entries below one directory, which only their owner can look into."""

    def __init__(self, path: str = "", *, wait: float = _WAIT) -> None:
        """``wait`` is how long (seconds) another run that holds the journal is waited for."""
        self.path = os.path.abspath(path or journal_directory())
        self._wait = wait

    def directory(self, name: str) -> str:
        """Return the directory of an entry."""
        return os.path.join(self.path, name)

    # -- reading -----------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """Return all entries, the oldest first; of those that cannot be read why."""
        try:
            names = os.listdir(self.path)
        except OSError:
            return []
        return [self._read(name) for name in sorted(filter(_ID.fullmatch, names), key=_order)]

    def unfinished(self) -> Entry | None:
        """Return an entry that was cut off, if there is one that can be read. Logs of others are not read for it."""
        try:
            names = [name for name in os.listdir(self.path) if _ID.fullmatch(name)]
        except OSError:
            return None
        for name in sorted(names, key=_order):
            if self._read(name, log=False).state in UNFINISHED:
                entry = self._read(name)
                if not entry.unreadable:
                    return entry
        return None

    def entry(self, name: str) -> Entry:
        """Return one entry. Raises RemedyError where there is none, or it cannot be read."""
        if not _ID.fullmatch(name) or not os.path.isdir(self.directory(name)):
            hint = "`runworthy history` lists what there is"
            raise RemedyError(f"there is no entry {name} in {self.path}", hint=hint)
        found = self._read(name)
        if found.unreadable:
            raise RemedyError(f"the entry {name} cannot be read: {found.unreadable}", entry=name)
        return found

    def _read(self, name: str, *, log: bool = True) -> Entry:
        import json

        path = os.path.join(self.directory(name), _ENTRY)
        try:
            if os.stat(path).st_size > LARGEST:
                return Entry(id=name, unreadable=f"{path} is larger than any entry")
            with open(path, "rb") as stream:
                held = json.loads(stream.read(LARGEST + 1))
            entry = entry_from(name, held)
            path = os.path.join(self.directory(name), _LOG)
            return with_log(entry, path) if log else entry
        except OSError as error:
            return Entry(id=name, unreadable=f"{path}: {error.strerror or error}")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            return Entry(id=name, unreadable=f"{path}: {error}")

    # -- writing -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs from changing anything. Raises RemedyError where one of them does, and takes long."""
        import fcntl

        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            self._is_ours()
            fd = os.open(os.path.join(self.path, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RemedyError(f"the journal {self.path} cannot be used: {error.strerror or error}") from error
        try:
            end = time.monotonic() + self._wait
            while not _lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB):
                if time.monotonic() > end:
                    raise RemedyError("another run of runworthy is changing something", hint="wait until it has ended")
                time.sleep(0.05)
            yield
        finally:
            os.close(fd)

    def _is_ours(self) -> None:
        """Raise RemedyError where others can write the journal: who undoes what it tells does what they want."""
        status = os.stat(self.path)
        if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
            raise RemedyError(
                f"the journal {self.path} is not this user's alone: who can write it has anything changed",
                hint="XDG_STATE_HOME names another place for it",
            )

    def begin(self, entry: Entry) -> Entry:
        """Make the directory of a new entry, and return the entry with its id. Raises OSError."""
        last = max(filter(_ID.fullmatch, os.listdir(self.path)), key=_order, default="00000000-0")
        day, number = last.split("-")
        today = max(time.strftime("%Y%m%d"), day)  # a clock that was put back puts no entry before an older one
        entry = replace(entry, id=f"{today}-{int(number) + 1 if today == day else 1}")
        made = self.directory(_NEW + entry.id)
        shutil.rmtree(made, ignore_errors=True)
        os.makedirs(os.path.join(made, BEFORE), mode=0o700)
        _write(made, entry)
        os.rename(made, self.directory(entry.id))
        sync_directory(self.path)
        return entry

    def save(self, entry: Entry) -> None:
        """Write an entry, so that a power cut leaves the old or the new one. Raises OSError."""
        _write(self.directory(entry.id), entry)

    def log(self, entry: Entry) -> ShareLog:
        """Open the log of an entry, to be added to. Raises OSError."""
        return ShareLog(os.path.join(self.directory(entry.id), _LOG))

    def drop_backups(self, entry: Entry) -> None:
        """Remove what an entry keeps in the journal. Raises OSError."""
        before = os.path.join(self.directory(entry.id), BEFORE)
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(before):
                os.unlink(os.path.join(before, name))

    def forget(self, entry: Entry) -> None:
        """Remove an entry and what it keeps in the journal. Raises OSError."""
        made = self.directory(_NEW + entry.id)
        os.rename(self.directory(entry.id), made)
        shutil.rmtree(made)
        sync_directory(self.path)

    def sweep(self) -> None:
        """Remove what is left of entries that were never begun, or being forgotten. Raises OSError."""
        for name in os.listdir(self.path):
            if name.startswith(_NEW):
                shutil.rmtree(self.directory(name))


def _lock(fd: int, how: int) -> bool:
    import fcntl

    try:
        fcntl.flock(fd, how)
    except BlockingIOError:
        return False
    return True


def _order(name: str) -> tuple[str, int]:
    day, number = name.split("-")
    return day, int(number)


def _write(directory: str, entry: Entry) -> None:
    import json

    logged = replace(entry, changes=tuple(one for one in entry.changes if not isinstance(one, ShareChange)))
    text = json.dumps({"schema": SCHEMA, **as_json(logged)}, indent=1)
    path = os.path.join(directory, _ENTRY)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)
    with open(os.open(f"{path}.new", flags, 0o600), "w", encoding="ascii") as stream:
        stream.write(f"{text}\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(f"{path}.new", path)
    sync_directory(directory)
