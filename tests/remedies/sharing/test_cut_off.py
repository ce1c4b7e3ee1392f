"""A run is killed at each of its system calls: no path is ever missing or wrong, and afterwards all is old or new."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runworthy.model.storage import How
from runworthy.remedies.journal import UNFINISHED, Journal
from tests.remedies.applying.tracing import MUTATING, calls_of, failing, kill, stopped
from tests.remedies.sharing.made import Place, bytes_of, furnished, names_of
from tests.storage import ground

pytestmark = [
    pytest.mark.judge,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are those of x86-64"),
    pytest.mark.skipif(os.geteuid() != 0, reason="files of several owners are made: run the tests as root"),
]

CHANGING = MUTATING | {"ioctl"}


class Cut(Place):
    """A tree that is made anew as often as it is wanted; what it was like before and after."""

    def __init__(self, top: Path, hows: Sequence[How]) -> None:
        self.top, self.hows = top, hows
        self.anew()
        self.old = self.seen()
        self.bytes = bytes_of(self.root)
        self.old_names = names_of(self.root)
        self.share()
        self.new_names = names_of(self.root)
        self.undo()
        assert self.seen() == self.old

    def anew(self) -> None:
        shutil.rmtree(self.top, ignore_errors=True)
        root, shares = furnished(self.top, self.hows)
        super().__init__(root, shares, Journal(str(self.top / "journal")))

    def shared(self) -> None:
        self.anew()
        done = self.share()
        assert not done.left

    def check(self, what: str) -> str:
        """Everything is there before anybody recovers, and each file is old or new after it, whole; return which."""
        assert bytes_of(self.root) == self.bytes, what
        self.recover()
        assert bytes_of(self.root) == self.bytes, what
        assert not list(self.root.rglob(".runworthy-*")), what
        entries = self.entries()
        self._check_names(what)
        in_place = [one for one in entries if one.state == "applied"]
        if not in_place:
            self._check_old(what)
            return "old"
        self.undo()
        self._check_old(what)
        return "new"

    def _check_old(self, what: str) -> None:
        now = self.seen()
        if any("left: the time of " in note for one in self.journal.entries() for note in one.notes):
            return  # that is told: only who owns a directory may set its time
        wrong = {name: (self.old.get(name), now.get(name)) for name in self.old.keys() | now.keys()}
        assert not {name: both for name, both in wrong.items() if both[0] != both[1]}, what

    def _check_names(self, what: str) -> None:
        """Each stored file has all the names it had, or shares all of them."""
        for names in names_of(self.root):
            assert names in self.old_names or names in self.new_names, what


@pytest.fixture
def place(memory: Path) -> Cut:
    return Cut(memory / "place", ("hardlink", "symlink"))


def at_each_call(place: Cut, work: Callable[[], object], prepared: Callable[[], object]) -> set[str]:
    prepared()
    found = set()
    calls = calls_of(work)
    for number in [at for at, name in enumerate(calls) if name in CHANGING or at == len(calls) - 1]:
        prepared()
        assert stopped(work, number, kill) == "killed", number
        found.add(place.check(f"killed at call {number}, {calls[number]}"))
    return found


def test_killed_while_sharing(place: Cut) -> None:
    assert at_each_call(place, place.share, place.anew) == {"old", "new"}


def test_killed_while_undoing(place: Cut) -> None:
    assert at_each_call(place, place.undo, place.shared) == {"old", "new"}


def interrupt(pid: int, _name: str) -> bool:
    os.kill(pid, signal.SIGINT)
    return False


def terminate(pid: int, _name: str) -> bool:
    os.kill(pid, signal.SIGTERM)
    return False


def interrupted(work: Callable[[], object]) -> Callable[[], None]:
    """Do something, of which the one who asked for it is tired: it ends on its own, and nothing is killed."""

    def deed() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            work()

    return deed


def test_interrupted_while_sharing(place: Cut) -> None:
    """Ctrl-C: what is being done is put back or ended there and then, and the entry is at its end."""
    place.anew()
    deed = interrupted(place.share)
    calls = calls_of(deed)
    found = set()
    for number in [at for at, name in enumerate(calls) if name in CHANGING or at % 7 == 0]:
        place.anew()
        assert stopped(deed, number, interrupt) == "ended", (number, calls[number])
        what = f"interrupted at call {number}, {calls[number]}"
        assert not list(place.root.rglob(".runworthy-*")), what
        assert all(entry.state not in UNFINISHED for entry in place.journal.entries()), what
        found.add(place.check(what))
    assert found == {"old", "new"}


def test_told_to_end_while_sharing(place: Cut) -> None:
    """SIGTERM: the process goes, and the journal is at its end."""
    place.anew()
    calls = calls_of(place.share)
    for number in [at for at, name in enumerate(calls) if name in ("renameat2", "unlinkat", "linkat", "link")]:
        place.anew()
        assert stopped(place.share, number, terminate) == "killed", (number, calls[number])
        assert not list(place.root.rglob(".runworthy-*")), number
        assert all(entry.state not in UNFINISHED for entry in place.journal.entries()), number
        place.check(f"told to end at call {number}, {calls[number]}")


def test_killed_while_recovering(place: Cut) -> None:
    """Cut off at several calls of sharing and undoing, then at each call of recovering from that."""
    for work, prepared in ((place.share, place.anew), (place.undo, place.shared)):
        prepared()
        calls = calls_of(work)
        changing = [at for at, call in enumerate(calls) if call in CHANGING]
        for part in range(1, 5):
            cut = changing[len(changing) * part // 5]

            def cut_off(
                work: Callable[[], object] = work, prepared: Callable[[], object] = prepared, cut: int = cut
            ) -> None:
                prepared()
                assert stopped(work, cut, kill) == "killed"

            at_each_call(place, place.recover, cut_off)


@pytest.mark.parametrize(("kind", "hows"), [("btrfs", ("clone", "extents")), ("xfs", ("clone", "extents"))])
def test_killed_where_storage_is_shared(kind: str, hows: tuple[How, ...], tmp_path: Path) -> None:
    with ground.made(kind, tmp_path) as disk:
        place = Cut(disk.path / "place", hows)
        assert at_each_call(place, place.share, place.anew) == {"old", "new"}
        assert at_each_call(place, place.undo, place.shared) <= {"old", "new"}


def test_killed_where_names_cannot_be_exchanged(place: Cut) -> None:
    """Each exchange fails as it does where a file system has none; then it is killed at each call as well."""

    def without_exchange(work: Callable[[], object], number: int | None) -> str:
        at = -1

        def meddle(pid: int, name: str) -> bool:
            nonlocal at
            at += 1
            if at == number:
                return kill(pid, name)
            return name == "renameat2"

        return stopped(work, None, (meddle, errno.EINVAL))

    for work, prepared in ((place.share, place.anew), (place.undo, place.shared)):
        prepared()
        assert without_exchange(work, None) == "ended"
        place.check("no exchange")
        calls: list[str] = []
        prepared()

        def note(_pid: int, name: str, calls: list[str] = calls) -> bool:
            calls.append(name)
            return name == "renameat2"

        assert stopped(work, None, (note, errno.EINVAL)) == "ended"
        for number in [at for at, name in enumerate(calls) if name in CHANGING]:
            prepared()
            assert without_exchange(work, number) == "killed"
            place.check(f"killed at call {number}, {calls[number]}, where there is no exchange")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EPERM, errno.EDQUOT, errno.EMLINK])
def test_each_call_fails(place: Cut, number: int) -> None:
    for work, prepared in ((place.share, place.anew), (place.undo, place.shared)):
        prepared()
        calls = calls_of(work)
        for at in [at for at, call in enumerate(calls) if call in CHANGING]:
            prepared()
            assert stopped(lambda work=work: said(work), at, failing(number)) == "ended", (at, calls[at])  # type: ignore[misc]
            place.check(f"call {at}, {calls[at]}, failed")


def said(work: Callable[[], object]) -> None:
    """Take what the product says on purpose; anything else comes out of it."""
    from runworthy.model.errors import RemedyError

    try:
        work()
    except RemedyError:
        return
