"""An entry of the journal while somebody works on it: every change stands in it before it is made."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from typing import Any

from runworthy.model.errors import RemedyError
from runworthy.model.records import replace
from runworthy.remedies.applying.entries import Work
from runworthy.remedies.applying.troubles import reason
from runworthy.remedies.applying.walking import Folder, find
from runworthy.remedies.journal import BEFORE, Change, Entry, FileChange, Journal, TouchedDirectory

__all__ = ["Record", "nothing_unfinished"]


def nothing_unfinished(journal: Journal) -> None:
    """Raise RemedyError where an earlier run was cut off: what it left would be taken for what was there."""
    cut = journal.unfinished()
    if cut is not None:
        raise RemedyError(f"an earlier run was cut off in the middle of {cut.id}", hint="`runworthy recover` ends it")


class Record:
    """One entry and the journal that it is saved in."""

    def __init__(self, journal: Journal, entry: Entry) -> None:
        self.journal = journal
        self.entry = entry

    @classmethod
    def begin(cls, journal: Journal, *, subject: str, target: str, title: str) -> Record:
        """Begin an entry. Raises RemedyError where the journal cannot be written; nothing has been changed then."""
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        try:
            entry = Entry(id="", when=when, token=os.urandom(8).hex(), subject=subject, target=target, title=title)
            return cls(journal, journal.begin(entry))
        except OSError as error:
            raise RemedyError(
                f"the journal {journal.path} cannot be written: {reason(error)}; nothing was changed"
            ) from error

    def update(self, **changes: Any) -> None:  # noqa: ANN401 - fields of Entry
        """Change the entry and save it. Raises RemedyError."""
        self.entry = replace(self.entry, **changes)
        try:
            self.journal.save(self.entry)
        except OSError as error:
            raise RemedyError(f"the journal {self.journal.path} cannot be written: {reason(error)}") from error

    def add(self, change: Change) -> int:
        """Put one more change into the entry, and return its number. Raises OSError, RemedyError."""
        if isinstance(change, FileChange):
            self._touch(change)
        self.update(changes=(*self.entry.changes, change))
        return len(self.entry.changes) - 1

    def put(self, number: int, change: Change) -> None:
        """Put a change in the place of what was known of it. Raises RemedyError."""
        held = list(self.entry.changes)
        held[number] = change
        self.update(changes=tuple(held))

    def note(self, *notes: str) -> None:
        """Add notes; they are saved with what comes next."""
        known = dict.fromkeys((*self.entry.notes, *(one for one in notes if one)))
        self.entry = replace(self.entry, notes=tuple(known))

    def work(self, number: int) -> Work:
        """Return what is needed to make a change of a file, or to take it back."""
        change = self.entry.changes[number]
        if not isinstance(change, FileChange):
            raise TypeError("it is no change of a file")
        kept = os.path.join(self.journal.directory(self.entry.id), BEFORE)
        return Work(change=change, kept=kept, token=self.entry.token, number=number)

    @property
    def packages(self) -> str:
        """Where copies of package files lie while they are installed."""
        return os.path.join(self.journal.directory(self.entry.id), "packages")

    # -- times of directories ----------------------------------------------------------------

    def _touch(self, change: FileChange) -> None:
        """Remember a directory before its first entry changes. What is made anew has no time to go back to."""
        directory = change.path.rpartition("/")[0] or "/"
        known = {(one.base, one.path) for one in self.entry.directories}
        if change.in_place or (change.base, directory) in known or self._is_made(change.base, directory):
            return
        with _opened(change.base, directory) as folder:
            touched = self.seen(folder)
        self.entry = replace(self.entry, directories=(*self.entry.directories, touched))

    def seen(self, folder: Folder) -> TouchedDirectory:
        """Return what is remembered of a directory before its first entry changes. Raises OSError."""
        mtime = os.fstat(folder.fd).st_mtime_ns
        return TouchedDirectory(base=folder.base, path=folder.path, mtime=mtime, names=self._names(folder))

    def _is_made(self, base: str, path: str) -> bool:
        return any(
            isinstance(one, FileChange) and (one.base, one.path, one.after.kind) == (base, path, "directory")
            for one in self.entry.changes
        )

    def _names(self, folder: Folder) -> str:
        """Return the hash of the names in a directory without our own; empty where they cannot be read."""
        from hashlib import sha256

        ours = f".runworthy-{self.entry.token}-"
        try:
            names = sorted(os.fsencode(name) for name in os.listdir(folder.fd) if not name.startswith(ours))
        except OSError:
            return ""
        return sha256(b"\0".join(names)).hexdigest()

    def settle_names(self) -> None:
        """Have the names that touched directories hold written to the device, where they are still there."""
        for one in self.entry.directories:
            with contextlib.suppress(OSError), _opened(one.base, one.path) as folder:
                folder.sync()

    def settle(self) -> tuple[TouchedDirectory, ...]:
        """Return the touched directories with the times that they have now."""
        return tuple(replace(one, after=_mtime(one)) for one in self.entry.directories)

    def untouched_since(self) -> tuple[TouchedDirectory, ...]:
        """Return the touched directories, marked where nobody has changed them since all was done."""
        return tuple(replace(one, restored=_mtime(one) == one.after) for one in self.entry.directories)

    def restore_times(self, *, rolled_back: bool = False, undone: bool = True) -> list[str]:
        """Give directories their times again where nobody else changed them: those that they had before.

        After a rollback nobody knows which time was ours: there the names that a directory holds have to be the same.
        Where nothing was ``undone`` after all, they get the times that they had until then. Returns in words which
        time cannot be set by who is no owner. Raises OSError.
        """
        left = []
        for one in self.entry.directories:
            with _opened_again(one) as folder:
                if folder is not None and (one.restored or (rolled_back and one.names == self._names(folder) != "")):
                    left += _set_time(folder, one.mtime if undone else one.after)
        return left


_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV})


@contextlib.contextmanager
def _opened_again(directory: TouchedDirectory) -> Iterator[Folder | None]:
    """Open a directory, None where somebody has put something else in its place. Raises OSError."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(_opened(directory.base, directory.path))
        except OSError as error:
            if error.errno not in _GONE:
                raise
            yield None
        else:
            yield folder


def _set_time(folder: Folder, mtime: int) -> list[str]:
    status = os.fstat(folder.fd)
    if status.st_mtime_ns == mtime:
        return []
    try:
        os.utime(".", ns=(status.st_atime_ns, mtime), dir_fd=folder.fd)
    except PermissionError:
        return [f"the time of {folder.path} could not be set back"]
    return []


def _mtime(directory: TouchedDirectory) -> int:
    with contextlib.suppress(OSError), _opened(directory.base, directory.path) as folder:
        return os.fstat(folder.fd).st_mtime_ns
    return 0


@contextlib.contextmanager
def _opened(base: str, path: str) -> Iterator[Folder]:
    """Open a directory that was found before. Raises OSError."""
    spot = find(base, f"{path}/.any", follow=False, strict=True)
    with spot.folder as folder:
        if spot.missing:
            raise FileNotFoundError(2, os.strerror(2), path)
        yield folder
