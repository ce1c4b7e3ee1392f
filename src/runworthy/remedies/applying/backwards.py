"""What was done is taken back, the last change first: because somebody asks for it, it failed, or it was cut off.

An entry that is being applied is rolled back, one that is being undone is undone to its end. Each change is looked at
first, so that it does not matter how often this begins anew.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import time
from collections.abc import Iterator, Sequence

from runworthy.model.errors import RemedyError
from runworthy.model.records import dataclass, replace
from runworthy.remedies.applying import kernel, programs
from runworthy.remedies.applying.record import Record
from runworthy.remedies.applying.troubles import reason as _words
from runworthy.remedies.journal import (
    UNFINISHED,
    Entry,
    FileChange,
    Journal,
    KernelChange,
    ProgramChange,
    ShareChange,
    State,
)
from runworthy.remedies.sharing import undoing

__all__ = ["LEFT", "Undone", "forget", "older", "recover", "roll_back", "undo", "would_undo"]

LEFT = "left: "
"""How a note begins that tells what could not be taken back. What is kept for it stays until the entry is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What became of an entry. ``left`` are changes that stay, each with why."""

    entry: Entry
    left: tuple[str, ...] = ()


def undo(journal: Journal, name: str = "", *, force: bool = False) -> Undone:
    """Take back what an entry did, the newest that is still in place where none is named.

    Raises RemedyError where there is none; where something is no longer as it was left, unless ``force``; and where it
    cannot be done: then what is not yet done is for :func:`recover`.
    """
    with journal.locked():
        entry = _chosen(journal, name)
        record = Record(journal, entry)
        if entry.state == "applied":
            _refuse_changed(record, force=force)
            with _telling_of_recover():
                _begin(record, force=force)
        else:
            _tidy(record, kept=False)  # what an earlier undo had begun to write
        with _telling_of_recover():
            return _take_back(record, "undone", force=force)


@contextlib.contextmanager
def _telling_of_recover() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, MemoryError) as error:
        error.add_note("`runworthy recover` ends what was begun")
        raise


def would_undo(journal: Journal, name: str = "") -> tuple[Entry, tuple[str, ...]]:
    """Return the entry that :func:`undo` would take back, and what is no longer as it was left. Raises RemedyError."""
    entry = _chosen(journal, name)
    return entry, tuple(_changed(Record(journal, entry)))


def recover(journal: Journal) -> list[Undone]:
    """Bring every entry that was cut off to its end, the newest first, and return what became of each.

    Raises RemedyError where that is not possible now; it can be tried again.
    """
    if not os.path.isdir(journal.path):
        return []
    done = []
    with journal.locked():
        with contextlib.suppress(OSError):
            journal.sweep()
        for entry in reversed(journal.entries()):
            if entry.unreadable:
                continue
            record = Record(journal, entry)
            if entry.state in UNFINISHED:
                _tidy(record, kept=False)
            if entry.state == "applying" and any(isinstance(one, ShareChange) for one in entry.changes):
                done.append(_settle(record))
            elif entry.state == "applying":
                done.append(_take_back(record, "rolled-back", reason="it was cut off"))
            elif entry.state == "undoing":
                done.append(_take_back(record, "undone"))
            else:
                _end(record)
    return done


def _settle(record: Record) -> Undone:
    """End what was being shared: each file is shared or not, and what was shared before the cut stays so."""
    try:
        left = undoing.settle(record)
    except OSError as error:
        raise RemedyError(
            f"files that were being shared cannot be put back: {_words(error)}",
            hint="`runworthy recover` tries again",
            entry=record.entry.id,
        ) from error
    record.note(*(f"{LEFT}{one}" for one in left))
    record.settle_names()
    if any(one.state == "done" for one in record.entry.changes):
        record.update(state="applied", directories=record.settle())
        return Undone(entry=record.entry, left=tuple(left))
    with contextlib.suppress(OSError):
        left += record.restore_times(rolled_back=True)
    record.update(state="rolled-back", reason="it was cut off")
    return Undone(entry=record.entry, left=tuple(left))


def roll_back(record: Record, why: str) -> None:
    """Take back what an entry has done so far. Raises OSError, RemedyError; the journal may be full."""
    _tidy(record, kept=False)
    _take_back(record, "rolled-back", reason=why)


def older(journal: Journal, age: int) -> list[str]:
    """Return the entries that came to their end and are older than an age, in seconds."""
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(0, time.time() - age)))
    ended = (one for one in journal.entries() if not one.unreadable and one.state not in UNFINISHED)
    return [one.id for one in ended if one.when < until]


def forget(journal: Journal, names: Sequence[str]) -> None:
    """Remove entries with all that is kept of what was there before: they cannot be undone then. Raises RemedyError."""
    with journal.locked():
        for name in names:
            entry = journal.entry(name)
            if entry.state in UNFINISHED:
                raise RemedyError(f"the entry {name} was cut off in its middle", hint="`runworthy recover` ends it")
            record = Record(journal, entry)
            try:
                _tidy(record, kept=True)
                journal.forget(entry)
            except OSError as error:
                raise RemedyError(f"the entry {name} cannot be removed: {_words(error)}", entry=name) from error


# -- choosing --------------------------------------------------------------------------------


def _chosen(journal: Journal, name: str) -> Entry:
    if name:
        entry = journal.entry(name)
        if entry.state == "applying":
            raise RemedyError(f"{name} was cut off before it was done", hint="`runworthy recover` takes it back")
        if entry.state not in ("applied", "undoing"):
            raise RemedyError(f"{name} has been taken back already ({entry.state})")
        return entry
    for entry in reversed(journal.entries()):
        if entry.unreadable:
            raise RemedyError(
                f"the newest entry cannot be read: {entry.unreadable}", hint="`runworthy undo ID` takes back another"
            )
        if entry.state in ("applied", "undoing"):
            return entry
    raise RemedyError(f"there is nothing to undo in {journal.path}")


def _refuse_changed(record: Record, *, force: bool) -> None:
    wrong = list(_changed(record))
    if wrong and not force:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        later = _later(record)
        hint = f"`runworthy undo {later}` first" if later else "`--force` takes it back all the same"
        raise RemedyError(f"{wrong[0]}{more}; nothing was undone", hint=hint, entry=record.entry.id)


def _changed(record: Record) -> Iterator[str]:
    """Yield in words what is no longer as the entry left it. Of what it changed twice the last counts."""
    seen: set[tuple[str, str]] = set()
    for number, change in reversed(list(enumerate(record.entry.changes))):
        if isinstance(change, FileChange):
            place = (change.base, change.path)
            if place in seen or change.state == "undone":
                continue
            seen.add(place)
            yield from _changed_file(record, number, change)
        elif isinstance(change, KernelChange) and kernel.standing(change) == "other":
            yield f"the handlers of {change.point} are no longer as they were left"
    yield from undoing.changed_since(record)


def _changed_file(record: Record, number: int, change: FileChange) -> Iterator[str]:
    where = _here(change)
    try:
        if record.work(number).standing() != "after":
            yield f"{where} is no longer as it was left"
    except OSError as error:
        yield f"{where} cannot be looked at: {_words(error)}"
    except RemedyError as error:
        yield str(error)


def _later(record: Record) -> str:
    """Return the newest later entry that is in place and changed one of the same files."""
    ours = _places(record.entry)
    for entry in reversed(record.journal.entries()):
        if entry.id == record.entry.id:
            return ""
        if entry.state == "applied" and ours & _places(entry):
            return entry.id
    return ""


def _places(entry: Entry) -> set[tuple[str, str]]:
    return {(one.base, one.path) for one in entry.changes if isinstance(one, (FileChange, ShareChange))}


# -- taking back -----------------------------------------------------------------------------


def _begin(record: Record, *, force: bool) -> None:
    """Write what needs room before anything is changed. Raises RemedyError where that fails; all is as it was then."""
    before = record.entry
    try:
        record.update(state="undoing", directories=record.untouched_since())
        _make_ready(record, force=force)
    except (OSError, RemedyError) as error:
        _tidy(record, kept=False)
        with contextlib.suppress(OSError, RemedyError):
            record.restore_times(undone=False)
            record.update(state=before.state, directories=before.directories)
        why = _words(error) if isinstance(error, OSError) else str(error)
        raise RemedyError(f"it cannot be undone: {why}; nothing was changed", entry=before.id) from error


def _make_ready(record: Record, *, force: bool) -> None:
    """Write what needs room before anything is changed. Raises OSError, RemedyError."""
    for number, change in enumerate(record.entry.changes):
        if isinstance(change, FileChange):
            record.work(number).ready_back()
    undoing.ready(record, force=force)


def _take_back(record: Record, state: State, *, reason: str = "", force: bool = False) -> Undone:
    """Take every change back that is still made. Raises RemedyError for the first that cannot be."""
    left = undoing.take_back(record, force=force)
    for number in reversed(range(len(record.entry.changes))):
        change = record.entry.changes[number]
        if change.state != "undone" and not isinstance(change, ShareChange):
            left += _one_back(record, number, change, force=force)
    try:
        left += record.restore_times(rolled_back=state == "rolled-back")
    except OSError as error:
        raise RemedyError(
            f"the times of directories cannot be set back: {_words(error)}",
            hint="`runworthy recover` tries again",
            entry=record.entry.id,
        ) from error
    record.note(*(f"{LEFT}{one}" for one in left))
    record.update(state=state, reason=reason or record.entry.reason)
    _end(record)
    return Undone(entry=record.entry, left=tuple(left))


def _one_back(
    record: Record, number: int, change: FileChange | KernelChange | ProgramChange, *, force: bool
) -> list[str]:
    """Take one change back; return why it stays, if it does. Raises RemedyError."""
    try:
        if isinstance(change, FileChange):
            said = _file_back(record, number, change, force=force)
        elif isinstance(change, KernelChange):
            said = kernel.take_back(change)
        else:
            said = programs.take_back(change)
    except OSError as error:
        where = _here(change) if isinstance(change, FileChange) else change.words
        raise RemedyError(
            f"{where} cannot be brought back: {_words(error)}",
            hint="`runworthy recover` tries again",
            entry=record.entry.id,
        ) from error
    with contextlib.suppress(
        RemedyError
    ):  # a full journal keeps nothing from being brought back: it can be asked again
        record.put(number, replace(change, state="undone"))
    return [said] if said else []


def _file_back(record: Record, number: int, change: FileChange, *, force: bool) -> str:
    work = record.work(number)
    try:
        standing = work.standing()
    except RemedyError:
        standing = "other"
    if standing == "before":
        work.tidy(kept=True)
        return ""
    if standing == "other" and not force:
        return f"{_here(change)} was changed by somebody else, and stays"
    said = work.back()
    work.tidy(kept=True)
    return said


def _tidy(record: Record, *, kept: bool) -> None:
    for number, change in enumerate(record.entry.changes):
        if isinstance(change, FileChange):
            with contextlib.suppress(OSError):
                record.work(number).tidy(kept=kept)
        elif isinstance(change, ProgramChange) and change.archives:
            programs.tidy(record.packages)
    if record.entry.state == "undoing":
        with contextlib.suppress(OSError):
            undoing.tidy(record)


def _end(record: Record) -> None:
    """Remove what an entry that is at its end has no use for. Where that fails, the next time does it."""
    if record.entry.state in ("undone", "rolled-back") and not any(one.startswith(LEFT) for one in record.entry.notes):
        with contextlib.suppress(OSError):
            record.journal.drop_backups(record.entry)


def _here(change: FileChange) -> str:
    return posixpath.join(change.base, change.path.lstrip("/"))
