"""A run is killed at each of its system calls: what is there after `recover` is exactly the old or the new."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runworthy.remedies.applying import Ground, apply, recover, undo
from runworthy.remedies.journal import UNFINISHED, Journal
from tests.remedies.applying.made import SCENARIOS, Dump, dump, world
from tests.remedies.applying.tracing import MUTATING, calls_of, kill, stopped

pytestmark = [
    pytest.mark.judge,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are those of x86-64"),
]


class Place:
    """A tree and a journal, made anew as often as it is wanted."""

    def __init__(self, top: Path, name: str) -> None:
        self.top, self.edits = top, SCENARIOS[name]()
        self.root, self.journal = top / "root", Journal(str(top / "state" / "journal"))
        self.anew()
        self.old = self.seen()
        self.apply()
        self.new = self.seen()

    def anew(self) -> None:
        shutil.rmtree(self.top, ignore_errors=True)
        world(self.top)

    def seen(self) -> Dump:
        return dump(self.root)

    def apply(self) -> None:
        apply(self.edits, Ground(root=str(self.root)), self.journal)

    def undo(self) -> None:
        undo(self.journal)

    def recover(self) -> None:
        recover(self.journal)

    def check_recovered(self, what: str) -> str:
        """Return whether the old or the new tree is there after recovering, and that nothing is left of the work."""
        self.recover()
        now = without_times(self.seen())
        state = "old" if now == without_times(self.old) else "new"
        assert now == without_times(self.old if state == "old" else self.new), what
        if state == "old":
            assert self.seen() == self.old, what
        assert all(entry.state not in UNFINISHED for entry in self.journal.entries()), what
        if state == "old":
            for entry in self.journal.entries():
                assert os.listdir(os.path.join(self.journal.path, entry.id, "before")) == [], what
        assert not list(Path(self.journal.path).glob(".new-*")), what
        return state


def without_times(seen: Dump) -> Dump:
    """Two applied trees differ in when they were made."""
    return {name: facts[:6] + facts[8:] for name, facts in seen.items()}


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, where waiting for the disk takes no time, if its file system has what is looked at."""
    try:
        made = Path(tempfile.mkdtemp(prefix="runworthy-", dir="/dev/shm"))
        os.setxattr(made, "user.one", b"1")
    except OSError:
        yield tmp_path / "place"
        return
    yield made / "place"
    shutil.rmtree(made)


@pytest.fixture(params=SCENARIOS)
def place(request: pytest.FixtureRequest, top: Path) -> Place:
    return Place(top, request.param)


def at_each_call(place: Place, work: Callable[[], None], prepared: Callable[[], None]) -> set[str]:
    """Kill ``work`` before each call that changes something, and its last; return which trees were recovered."""
    prepared()
    found: set[str] = set()
    calls = calls_of(work)
    for number in [at for at, name in enumerate(calls) if name in MUTATING or at == len(calls) - 1]:
        prepared()
        assert stopped(work, number, kill) == "killed", number
        found.add(place.check_recovered(f"killed at call {number}"))
    return found


def test_killed_while_applying(place: Place) -> None:
    assert at_each_call(place, place.apply, place.anew) == {"old", "new"}


def test_killed_while_undoing(place: Place) -> None:
    def applied() -> None:
        place.anew()
        place.apply()

    assert at_each_call(place, place.undo, applied) == {"old", "new"}
