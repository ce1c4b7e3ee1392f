"""Stored files come to share their bytes, a few at a time, each one for itself: what cannot be is told and left.

A few are looked at and compared; the journal is told of all of them and is on the device; each one's names are
exchanged; the directories are on the device; what was there is looked at once more, and goes. So two waits for the
device serve several files, and still none is done of which the journal does not know, and nothing goes before what
takes its place is there after a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from runworthy.model.edit import ShareFile
from runworthy.model.errors import RemedyError
from runworthy.model.records import replace
from runworthy.model.storage import How, Reclaimed
from runworthy.remedies.applying.record import Record, nothing_unfinished
from runworthy.remedies.applying.troubles import reason
from runworthy.remedies.journal import Journal, ShareChange, ShareLog, TouchedDirectory
from runworthy.remedies.sharing.opened import Refused
from runworthy.remedies.sharing.patience import Asked, Patience
from runworthy.remedies.sharing.refusing import cannot
from runworthy.remedies.sharing.reverting import revert, units
from runworthy.remedies.sharing.room import Room
from runworthy.remedies.sharing.unit import Unit

__all__ = ["Watch", "share"]

Watch = Callable[[str, int, int], None]
"""Is told what is being done (``share``), how many bytes have been seen to, and how many there are."""

_AT_ONCE = 16
"""How many files go together, and how many bytes: a writer waits until they are done."""
_BYTES_AT_ONCE = 64 << 20


def share(
    shares: Sequence[ShareFile],
    journal: Journal,
    *,
    title: str,
    subject: str,
    watch: Watch | None = None,
    boundaries: Sequence[str] = (),
) -> Reclaimed:
    """Have files share their bytes, and return what became of each. Nothing outside of ``boundaries`` is touched.

    These are files and directories, without which everything may be. No link leads out of them: none is followed on
    the way to a file (``applying.walking``). They hold against a plan that names what was never searched.

    Every rule is asked at the time of the act, and bytes are compared then. Raises RemedyError where the journal cannot
    be written before anything is done, or where an earlier run was cut off; later nothing more is done, and it is told.
    """
    limits = tuple(os.path.realpath(one) for one in boundaries)
    patience = Patience()
    with journal.locked(), patience:
        nothing_unfinished(journal)
        with Room(path for one in shares for path in (*one.paths[:1], one.kept)) as room:
            record = Record.begin(journal, subject=subject, target="", title=title)
            run = _Run(record, room, limits, watch, sum(one.size for one in shares))
            try:
                with _log(record) as log:
                    try:
                        run.go(shares, log, patience)
                    except MemoryError as error:
                        error.add_note("`runworthy history` tells what was shared by then")
                        raise
                    finally:
                        run.settle(log)
            finally:
                run.end()
            done = Reclaimed(
                entry=run.record.entry.id if run.shared else "",
                shared=tuple(run.shared),
                left=tuple(run.left),
                estimated=sum(one.frees for one in shares),
                measured=room.freed(),
                notes=tuple(run.notes),
            )
    patience.obey("; ".join((_ended_early(done), *done.notes)))
    return done


def _ended_early(done: Reclaimed) -> str:
    if not done.entry:
        return "nothing was shared by then"
    files = "1 file was" if len(done.shared) == 1 else f"{len(done.shared)} files were"
    return f"{files} shared by then: `runworthy undo {done.entry}` takes that back"


def _log(record: Record) -> ShareLog:
    try:
        return record.journal.log(record.entry)
    except OSError as error:
        record.journal.forget(record.entry)
        raise RemedyError(f"the journal cannot be written: {reason(error)}; nothing was changed") from error


class _Run:
    """What has become of the files so far. ``masters`` are the ones that others link to in the place of a full one."""

    def __init__(self, record: Record, room: Room, boundaries: Sequence[str], watch: Watch | None, total: int) -> None:
        self.record = record
        self.shared: list[tuple[str, How, int]] = []
        self.left: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self._room = room
        self._boundaries = boundaries
        self._watch = watch
        self._total = total
        self._seen = 0
        self._masters: dict[tuple[int, int], str] = {}
        self._changes: list[ShareChange] = []
        self._directories: dict[tuple[str, str], TouchedDirectory] = {}
        self._units = 0
        self._unsettled = False
        self._untold = False

    def go(self, shares: Sequence[ShareFile], log: ShareLog, patience: Patience) -> None:
        """See to all of them, until the journal can be written no more or somebody asks for the end."""
        queue = deque(shares)
        while queue and not patience.is_over:
            batch: list[Unit] = []
            try:
                with patience.idle():
                    self._collect(queue, batch)
                again = self._carry_out(batch, log)
            except _Full as full:
                why = f"the journal cannot be written: {full}"
                self.notes.append(why)
                self.left += [(_first(one), why) for one in (*(unit.share for unit in batch), *queue)]
                return
            except Asked:
                return
            finally:
                for unit in batch:
                    unit.close()
            queue.extendleft(reversed(again))

    # -- looking -----------------------------------------------------------------------------

    def _collect(self, queue: deque[ShareFile], batch: list[Unit]) -> None:
        """Take the next few that may be done together: none is about a file of another one that goes."""
        size = 0
        while queue and len(batch) < _AT_ONCE and size < _BYTES_AT_ONCE:
            share = queue.popleft()
            unit = self._prepare(share)
            if unit is None:
                continue
            if any(_meet(unit, other) for other in batch):
                unit.close()
                queue.appendleft(share)
                break
            batch.append(unit)
            size += unit.victim.status.st_size

    def _prepare(self, share: ShareFile) -> Unit | None:
        self._tell(share)
        try:
            unit = Unit.prepare(share, self._boundaries, self._room)
            for _ in self._masters:
                if share.how == "hardlink" and (master := self._masters.get(unit.kept.inode)) is not None:
                    unit.close()
                    unit = Unit.prepare(replace(share, kept=master), self._boundaries, self._room)
        except (OSError, Refused, ValueError) as error:
            self._leave(share, error)
            return None
        return unit

    def _tell(self, share: ShareFile) -> None:
        if self._watch is not None:
            self._watch("share", self._seen, self._total)
        self._seen = min(self._total, self._seen + share.size)

    def _leave(self, share: ShareFile, error: Exception) -> None:
        if isinstance(error, OSError):
            why = reason(error)
        else:
            why = str(error) if isinstance(error, Refused) else "no file can have such a name"
        self.left.append((_first(share), why))

    # -- doing -------------------------------------------------------------------------------

    def _carry_out(self, batch: Sequence[Unit], log: ShareLog) -> list[ShareFile]:
        """Do what was prepared; return what is to be tried once more. Raises _Full where the journal cannot be told."""
        self._told(batch, log)
        open_units: list[Unit] = []
        again: list[ShareFile] = []
        try:
            for unit in self._made(batch, log):
                if unit.in_place:
                    self._in_place(unit, log)
                    continue
                if unit.share.how == "hardlink" and unit.kept.inode in self._masters:
                    self._revert(unit, log)
                    again.append(unit.share)
                    continue
                open_units.append(unit)
                if not self._replaced(unit, log):
                    open_units.remove(unit)
            for unit in self._synced(open_units, log):
                open_units.remove(unit)
                self._ended(unit, log)
        except BaseException:
            for unit in open_units:
                self._revert(unit, log)
            raise
        return again

    def _told(self, batch: Sequence[Unit], log: ShareLog) -> None:
        """Tell the journal of what is about to be done."""
        changes: list[ShareChange] = []
        directories: list[TouchedDirectory] = []
        for unit in batch:
            number = len(self._changes) + len(changes)
            changes += unit.record(number, self._units, self.record.entry.token)
            self._units += 1
            if not unit.in_place:
                directories += self._touched(unit)
        _append(log, *directories, *changes)
        self._changes += changes

    def _touched(self, unit: Unit) -> Iterable[TouchedDirectory]:
        for name in unit.names:
            key = (name.folder.base, name.folder.path)
            if key not in self._directories:
                self._directories[key] = self.record.seen(name.folder)
                yield self._directories[key]

    def _made(self, batch: Sequence[Unit], log: ShareLog) -> list[Unit]:
        """Have made what is a file of its own, and tell the journal which file that is."""
        ready, made = [], []
        try:
            for unit in batch:
                try:
                    if unit.make():
                        made.append(unit)
                    ready.append(unit)
                except (OSError, Refused) as error:
                    self._revert(unit, log)
                    self._leave(unit.share, _told(error, unit))
            if made:
                self._put(log, [change for unit in made for change in unit.changes], sync=True)
        except BaseException:
            for unit in made:
                self._revert(unit, log)
            raise
        return ready

    def _in_place(self, unit: Unit, log: ShareLog) -> None:
        own = unit.own()
        try:
            same, wanted = unit.share_storage()
        except (OSError, Refused) as error:
            unit.changes = [replace(one, state="undone") for one in unit.changes]
            self._tell_later(log, unit.changes)
            self._leave(unit.share, _told(error, unit))
            return
        if same < wanted:
            self.notes.append(f"{_first(unit.share)} shares {same} of {wanted} bytes: no more could be shared")
        self._done(unit, log, max(0, own - unit.own()))

    def _replaced(self, unit: Unit, log: ShareLog) -> bool:
        try:
            unit.replace_names()
        except (OSError, Refused) as error:
            self._revert(unit, log)
            self._leave(unit.share, _told(error, unit))
            if isinstance(error, OSError) and error.errno == errno.EMLINK:
                self._masters[unit.kept.inode] = _first(unit.share)
            return False
        return True

    def _synced(self, replaced: list[Unit], log: ShareLog) -> list[Unit]:
        """Have the directories written to the device; return the files of which that is known."""
        synced: set[tuple[int, int]] = set()
        for unit in tuple(replaced):
            try:
                for name in unit.names:
                    if name.place[:2] not in synced:
                        name.folder.sync()
                        synced.add(name.place[:2])
            except OSError as error:
                replaced.remove(unit)
                self._revert(unit, log)
                self._leave(unit.share, error)
        return list(replaced)

    def _ended(self, unit: Unit, log: ShareLog) -> None:
        own = unit.own()
        try:
            unit.check()
        except (OSError, Refused) as error:
            self._revert(unit, log)
            if all(one.state == "done" for one in unit.changes):  # it was written to by either name since
                self._done(unit, log, own)
            else:
                self._leave(unit.share, error)
            return
        try:
            unit.finish()
        except OSError as error:
            self._leave(unit.share, error)
            return  # it is put back in the end
        self._done(unit, log, own)

    def _done(self, unit: Unit, log: ShareLog, frees: int) -> None:
        unit.changes = [replace(one, state="done") for one in unit.changes]
        self._tell_later(log, unit.changes)
        self.shared.append((_first(unit.share), unit.share.how, frees))

    def _revert(self, unit: Unit, log: ShareLog) -> None:
        """Put everything back. What cannot be is tried once more in the end."""
        with contextlib.suppress(OSError):
            unit.changes, left = revert(unit.changes)
            self.notes += left
            self._tell_later(log, unit.changes)

    def _tell_later(self, log: ShareLog, changes: Sequence[ShareChange]) -> None:
        """Tell the journal how something stands: before the entry is at its end that has to be there, not earlier."""
        try:
            self._put(log, changes, sync=False)
        except _Full:
            self._untold = True

    def _put(self, log: ShareLog, changes: Sequence[ShareChange], *, sync: bool) -> None:
        for change in changes:
            self._changes[change.number] = change
        _append(log, *changes, sync=sync)

    # -- the end -----------------------------------------------------------------------------

    def settle(self, log: ShareLog) -> None:
        """Put back what is not at its end, and see to it that the log says how everything stands."""
        for changes in units([one for one in self._changes if one.state == "begun"]):
            try:
                ended, left = revert(changes)
            except OSError as error:
                self._unsettled = True
                self.notes.append(f"{changes[0].path} cannot be put back: {reason(error)}")
                continue
            self.notes += left
            self._tell_later(log, ended)
            self.shared += [(one.path, one.how, 0) for one in ended[:1] if one.state == "done"]
        try:
            log.append(*(self._changes if self._untold else ()), sync=True)
        except OSError as error:
            self._unsettled = True
            self.notes.append(f"the journal cannot be written: {reason(error)}")

    def end(self) -> None:
        """Bring the entry of the journal to its end; what keeps it from that is told."""
        record = self.record
        record.entry = replace(
            record.entry, changes=tuple(self._changes), directories=tuple(self._directories.values())
        )
        if self._unsettled:
            self.notes.append("`runworthy recover` ends what could not be ended")
            return
        record.settle_names()
        try:
            if self.shared:
                record.update(state="applied", directories=record.settle())
            else:
                with contextlib.suppress(OSError):
                    record.restore_times(rolled_back=True)
                record.journal.forget(record.entry)
        except (OSError, RemedyError) as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            self.notes += [f"the journal is not at its end: {why}", "`runworthy recover` ends it"]


class _Full(Exception):  # noqa: N818 - it is an answer
    """The journal cannot be told of anything more."""


def _append(log: ShareLog, *records: ShareChange | TouchedDirectory, sync: bool = True) -> None:
    try:
        log.append(*records, sync=sync)
    except OSError as error:
        raise _Full(reason(error)) from error


def _meet(one: Unit, other: Unit) -> bool:
    """Whether what is done for one is about a file that the other one takes away, or about one of its paths."""
    return one.victim.inode in (other.victim.inode, other.kept.inode) or one.kept.inode == other.victim.inode


def _told(error: Exception, unit: Unit) -> Exception:
    return cannot(error, unit.pair) if isinstance(error, OSError) else error


def _first(share: ShareFile) -> str:
    return share.paths[0] if share.paths else share.kept
