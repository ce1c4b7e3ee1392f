"""What was shared gets its own bytes again: a copy with the owner, mode, attributes and times that the file had.

All copies are made and on the device before the first of them takes its place, so that only exchanges are left, and
the names of one stored file become the names of one again. A name is what it was left as while it leads to what took
its place; what else lies there somebody has put there since, and it stays.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from runworthy.model.errors import RemedyError
from runworthy.model.records import replace
from runworthy.remedies.applying.inodes import attributes, from_file, hashed, look, opened, put
from runworthy.remedies.applying.troubles import reason
from runworthy.remedies.applying.walking import Folder, reach
from runworthy.remedies.journal import ShareChange, ShareLog
from runworthy.remedies.sharing import leases
from runworthy.remedies.sharing.links import mend, swap, unlink
from runworthy.remedies.sharing.opened import Refused
from runworthy.remedies.sharing.reverting import Spot, is_unchanged, revert, spots, units
from runworthy.remedies.sharing.room import write_out
from runworthy.targets.storage.told import are_alike, tell, told

if TYPE_CHECKING:
    from runworthy.remedies.applying.record import Record

__all__ = ["changed_since", "here", "ready", "settle", "shares_of", "take_back", "tidy"]


def shares_of(record: Record) -> list[ShareChange]:
    """Return what an entry of the journal says of files that share."""
    return [one for one in record.entry.changes if isinstance(one, ShareChange)]


def here(change: ShareChange) -> str:
    """Return how this machine calls a name."""
    return f"{change.base.rstrip('/')}/{change.path.lstrip('/')}"


def settle(record: Record) -> list[str]:
    """Bring what was cut off in its middle to its end; return what is left. Raises OSError."""
    left: list[str] = []
    settled: list[ShareChange] = []
    for unit in units(shares_of(record)):
        if any(one.state == "begun" for one in unit):
            ended, lines = revert(unit)
            left += lines
            settled += ended
    _known(record, settled)
    with record.journal.log(record.entry) as log:
        log.append(*settled)
    return left


def changed_since(record: Record) -> Iterator[str]:
    """Yield in words what is no longer as the entry left it. Where only the place of bytes changed, nothing is."""
    for unit in _done(record):
        if not unit[0].temporary:
            continue
        try:
            with spots(unit) as found:
                as_left = {one.change.number for one in found if _is_as_left(one, one.name)}
        except OSError as error:
            yield f"{here(unit[0])} cannot be looked at: {reason(error)}"
            continue
        yield from (f"{here(one)} is no longer as it was left" for one in unit if one.number not in as_left)


def _done(record: Record) -> list[list[ShareChange]]:
    return units([one for one in shares_of(record) if one.state == "done"])


def _is_as_left(spot: Spot, name: str) -> bool:
    what, status = spot.what(name)
    return what == "new" and status is not None and is_unchanged(status, spot.change.after)


# -- making ready ----------------------------------------------------------------------------


def ready(record: Record, *, force: bool) -> None:
    """Make all copies that are needed. Raises OSError; RemedyError where there is no room for them, among others."""
    todo = [unit for unit in _done(record) if unit[0].temporary]
    _see_to_room(todo)
    for unit in todo:
        with spots(unit) as found:
            _make_ready(found, force=force)
    _write_out(todo)


def _write_out(todo: Sequence[Sequence[ShareChange]]) -> None:
    """Have all copies and their names written to the device at once. Raises OSError."""
    seen: set[int] = set()
    for unit in todo:
        with spots(unit) as found:
            for spot in found:
                device = os.fstat(spot.folder.fd).st_dev
                if device not in seen:
                    write_out(spot.folder.fd)
                    seen.add(device)


def _see_to_room(todo: Sequence[Sequence[ShareChange]]) -> None:
    """Raise RemedyError where there is too little room for all copies, before the first is made; OSError."""
    needed: dict[int, int] = {}
    for unit in todo:
        with spots(unit) as found:
            shared = [one for one in found if one.what(one.name)[0] == "new"]
            if not shared or len(shared) < len(found):
                continue  # it is there already, and needs names alone
            folder, state = shared[0].folder, os.fstatvfs(shared[0].folder.fd)
            free = (state.f_bfree if os.geteuid() == 0 else state.f_bavail) * state.f_frsize
            device = os.fstat(folder.fd).st_dev
            needed[device] = needed.get(device, 0) + _blocks(shared[0]) * 512
            if needed[device] > free:
                total = sum(max(one.before.size for one in other) for other in todo)
                raise RemedyError(
                    f"there is too little room: the files take {total} bytes once more, and {free} are free where "
                    f"{here(unit[0])} is"
                )


def _blocks(spot: Spot) -> int:
    """Return how many blocks of 512 bytes a copy takes: as many as what is copied."""
    status = spot.folder.stat(spot.name)
    if status is None or not stat.S_ISREG(status.st_mode):
        return -(-spot.change.before.size // 512)
    return min(status.st_blocks, -(-spot.change.before.size // 512) + 8)


def _make_ready(found: Sequence[Spot], *, force: bool) -> None:
    """Put beside each name that is still shared what is to take its place. Raises OSError, RemedyError."""
    shared = [one for one in found if one.what(one.name)[0] == "new" and one.folder.stat(one.hidden) is None]
    if not shared:
        return
    folder, name = _separate(found) or _copied(shared[0], force=force)
    for spot in shared:
        if spot.folder.stat(spot.hidden) is None:
            os.link(name, spot.hidden, src_dir_fd=folder.fd, dst_dir_fd=spot.folder.fd, follow_symlinks=False)


def _separate(found: Sequence[Spot]) -> tuple[Folder, str] | None:
    """Return a name that has got its own file already, where this was cut off before."""
    for spot in found:
        what, status = spot.what(spot.name)
        before = spot.change.before
        if what in ("new", "none") or status is None or not stat.S_ISREG(status.st_mode):
            continue
        if is_unchanged(status, before):
            fd = opened(spot.folder, spot.name, "file")
            try:
                if hashed(fd) == before.sha256:
                    return spot.folder, spot.name
            finally:
                os.close(fd)
    return None


def _copied(spot: Spot, *, force: bool) -> tuple[Folder, str]:
    """Copy what a name leads to, and dress the copy as the file was. Raises OSError, RemedyError."""
    change = spot.change
    with contextlib.ExitStack() as stack:
        folder, name = spot.folder, spot.name
        if change.after.kind == "link":
            kept = reach(change.base, change.kept)
            stack.enter_context(kept.folder)
            if kept.missing:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), change.kept)
            folder, name = kept.folder, kept.name
        held = look(folder, name, contents=False)
        if held.kind != "file":
            raise RemedyError(f"{here(change)} is no longer as it was left")
        content, before = from_file(folder, name, held), change.before
        try:
            digest, _ = put(
                spot.folder,
                spot.hidden,
                content,
                before,
                exact=True,
                sync=False,
                first=lambda fd: tell(fd, before.told),
            )
        except FileExistsError:
            raise
        except OSError:
            unlink(spot.folder, spot.hidden)  # what is half written looks like somebody's where the name is not ours
            raise
    if digest != change.before.sha256:
        if not force:
            unlink(spot.folder, spot.hidden)
            raise RemedyError(f"{here(change)} is no longer as it was left")
        os.utime(spot.hidden, ns=(held.atime, held.mtime), dir_fd=spot.folder.fd, follow_symlinks=False)
    return spot.folder, spot.hidden


# -- taking back -----------------------------------------------------------------------------


def take_back(record: Record, *, force: bool) -> list[str]:
    """Give all files their own bytes again; return what stays as it is, and why. Raises RemedyError."""
    left: list[str] = []
    undone: list[ShareChange] = []
    todo = list(reversed(_done(record)))
    apart = {one.storage: one for one in shares_of(record) if one.state == "undone" and one.storage}
    with contextlib.ExitStack() as stack:
        log = _log(record, stack)
        try:
            for at in range(0, len(todo), _AT_ONCE):
                some = todo[at : at + _AT_ONCE]
                left += _some_back(record, some, apart, force=force)
                changes = [replace(one, state="undone") for unit in some for one in unit]
                undone += changes
                if log is not None:
                    with contextlib.suppress(OSError):  # a full journal keeps nothing from being brought back
                        log.append(*changes, sync=False)
        finally:
            _known(record, undone)
    return left


_AT_ONCE = 16
"""How many files are brought back before the directories are written to the device, and what was there goes."""


def _log(record: Record, stack: contextlib.ExitStack) -> ShareLog | None:
    if not shares_of(record):
        return None
    with contextlib.suppress(OSError):
        return stack.enter_context(record.journal.log(record.entry))
    return None


def _some_back(
    record: Record, some: Sequence[Sequence[ShareChange]], apart: dict[str, ShareChange], *, force: bool
) -> list[str]:
    """Bring a few files back; return what stays as it is, and why. Raises RemedyError."""
    unit: Sequence[ShareChange] = some[0]
    left: list[str] = []
    try:
        with contextlib.ExitStack() as stack:
            opened_spots = []
            for unit in some:
                if unit[0].temporary:
                    found = stack.enter_context(spots(unit))
                    left += _back(found, force=force)
                    opened_spots += found
                else:
                    left += _in_place(unit[0], apart)
            folders = {_place(spot.folder): spot.folder for spot in opened_spots}
            for folder in folders.values():
                folder.sync()
            left += [line for spot in opened_spots for line in _tidied(spot)]
    except OSError as error:
        raise RemedyError(
            f"{here(unit[0])} cannot be brought back: {reason(error)}",
            hint="`runworthy recover` tries again",
            entry=record.entry.id,
        ) from error
    return left


def _place(folder: Folder) -> tuple[int, int]:
    status = os.fstat(folder.fd)
    return status.st_dev, status.st_ino


def _back(found: Sequence[Spot], *, force: bool) -> list[str]:
    """Have the names of one stored file lead to their own file; what they led to is hidden then. Raises OSError."""
    missing = any(spot.what(spot.name)[0] == "new" and spot.folder.stat(spot.hidden) is None for spot in found)
    try:
        _make_ready(found, force=force)
    except RemedyError:
        return [_stays(spot.change) for spot in found]
    if missing and found:  # it was cut off, and this is done anew
        write_out(found[0].folder.fd)
    return [line for spot in found for line in _exchanged(spot, force=force)]


def _stays(change: ShareChange) -> str:
    return f"{here(change)} was changed by somebody else, and stays"


def _exchanged(spot: Spot, *, force: bool) -> Iterator[str]:
    """Have a name lead to its own file; yield why not, where somebody writes or has written to what is there."""
    what, status = spot.what(spot.name)
    if what != "new" or status is None:
        if status is not None and not is_unchanged(status, spot.change.before):
            yield _stays(spot.change)
        return
    with contextlib.ExitStack() as stack:
        fd = _kept_waiting(spot, stack) if stat.S_ISREG(status.st_mode) else None
        if fd == _WRITTEN or not (force or is_unchanged(status, spot.change.after)):
            yield _stays(spot.change)
            return
        swap(spot.folder, spot.hidden, spot.name)
        now, seen = spot.what(spot.hidden)
        as_it_was = now == "new" and seen is not None and seen.st_mtime_ns == status.st_mtime_ns
        if not as_it_was or (fd is not None and not leases.is_whole(fd)):
            swap(spot.folder, spot.hidden, spot.name)
            yield _stays(spot.change)
            return
    yield from _lost(spot)


def _lost(spot: Spot) -> Iterator[str]:
    """Yield what a file that has come back could not be given: what needs a privilege, or is of another file system."""
    before = spot.change.before
    try:
        fd = opened(spot.folder, spot.name, "file")
    except OSError:
        return  # its owner may not read it, so that nobody could have shared it either
    try:
        if not set(before.xattrs) <= set(attributes(fd)):
            yield f"{here(spot.change)} has its bytes again, and not all of its extended attributes"
        if not are_alike(told(fd), before.told):
            yield f"{here(spot.change)} has its bytes again, and not all of its flags (lsattr)"
    finally:
        os.close(fd)


_WRITTEN = -1


def _kept_waiting(spot: Spot, stack: contextlib.ExitStack) -> int | None:
    """Open what a name leads to, and have writers wait; -1 where somebody writes, None where that cannot be told."""
    try:
        fd = opened(spot.folder, spot.name, "file")
    except OSError:
        return None
    stack.callback(os.close, fd)
    try:
        leases.take(fd)
    except leases.Written:
        return _WRITTEN
    except Refused:
        return None
    stack.callback(leases.give_back, fd)
    return fd


def tidy(record: Record) -> None:
    """Remove copies that were made ready when this was cut off, and what they have replaced. Raises OSError."""
    for unit in _done(record):
        if unit[0].temporary:
            with spots(unit) as found:
                for spot in found:
                    mend(spot.folder, spot.hidden)
                    _give_back(spot)
                    for _ in _tidied(spot):
                        pass


def _give_back(spot: Spot) -> None:
    """Put back what somebody had put in the place of a shared file just before its name was exchanged."""
    (what, status), (beside, hidden) = spot.what(spot.name), spot.what(spot.hidden)
    if what in ("new", "none") or beside in ("new", "none") or status is None or hidden is None:
        return
    before = spot.change.before
    if stat.S_ISREG(status.st_mode) and is_unchanged(status, before) and not is_unchanged(hidden, before):
        swap(spot.folder, spot.hidden, spot.name)


def _tidied(spot: Spot) -> Iterator[str]:
    """Remove what has the hidden name: a copy that no name has led to, or what a copy has taken the place of."""
    what, status = spot.what(spot.hidden)
    if status is None:
        return
    change, never_seen = spot.change, spot.what(spot.name)[0] == "new"
    if what == "new":
        ours = status.st_nlink > 1 or is_unchanged(status, change.after)
    else:
        ours = never_seen or (stat.S_ISREG(status.st_mode) and is_unchanged(status, change.before))
    if ours:
        unlink(spot.folder, spot.hidden)
    else:
        yield f"{spot.hidden} beside {here(change)} holds what somebody has written"


# -- where only the place of bytes changed ---------------------------------------------------


def _in_place(change: ShareChange, apart: dict[str, ShareChange]) -> list[str]:
    """Give a file storage of its own where it shares that of the other one; nothing that a program sees changes.

    Files that had one storage before have one again: ``apart`` are those that have got theirs, by what they had.
    Where that is not possible, as there is no room for it, it is told: sharing takes nothing away from anybody.
    """
    from runworthy.targets.storage.ioctls import INLINE, SHARED, iter_fiemap
    from runworthy.targets.storage.sharing import own_storage

    with contextlib.ExitStack() as stack:
        try:
            fds = [_opened_again(change.base, path, stack) for path in (change.path, change.kept)]
            (folder, fd), (_, kept) = fds
            maps = [
                [
                    (one.logical, one.end, one.physical)
                    for one in iter_fiemap(file, sync=True)
                    if one.flags & SHARED and not one.flags & INLINE
                ]
                for file in (fd, kept)
            ]
            if not _with_its_like(fd, change, apart, stack):
                own_storage(fd, folder.fd, _common(*maps))
        except OSError as error:
            return [f"{here(change)} still shares storage, which no program sees: {reason(error)}"]
    return []


def _with_its_like(fd: int, change: ShareChange, apart: dict[str, ShareChange], stack: contextlib.ExitStack) -> bool:
    """Have a file share storage with one that it had it in common with; whether it does so now, to its last byte."""
    from runworthy.targets.storage.sharing import share_ranges

    if not change.storage:
        return False
    like = apart.setdefault(change.storage, change)
    if like is change:
        return False
    try:
        _, other = _opened_again(like.base, like.path, stack)
        size = os.fstat(fd).st_size
        return share_ranges(other, fd, ((0, size),)) == size
    except OSError:
        return False


def _opened_again(base: str, path: str, stack: contextlib.ExitStack) -> tuple[Folder, int]:
    spot = reach(base, path)
    stack.enter_context(spot.folder)
    fd = opened(spot.folder, spot.name, "file")
    stack.callback(os.close, fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)
    return spot.folder, fd


def _common(one: Sequence[tuple[int, int, int]], other: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of what two maps, of (from, to, where on the disk), have in the same place."""
    at = 0
    for start, end, physical in one:
        while at < len(other) and other[at][1] <= start:
            at += 1
        for begin, stop, place in other[at:]:
            if begin >= end:
                break
            if place - begin == physical - start:
                yield max(start, begin), min(end, stop) - max(start, begin)


def _known(record: Record, changes: Sequence[ShareChange]) -> None:
    by_number = {one.number: one for one in changes}
    record.entry = replace(
        record.entry,
        changes=tuple(
            by_number.get(one.number, one) if isinstance(one, ShareChange) else one for one in record.entry.changes
        ),
    )
