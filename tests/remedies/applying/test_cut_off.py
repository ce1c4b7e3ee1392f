"""A run is killed at each of its system calls: what is there after `recover` is exactly the old or the new."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runworthy.model.errors import RemedyError
from runworthy.remedies.applying import Ground, apply, recover, undo
from runworthy.remedies.journal import UNFINISHED, Journal
from tests.remedies.applying.made import SCENARIOS, Dump, dump, world
from tests.remedies.applying.tracing import MUTATING, calls_of, failing, kill, stopped

pytestmark = [
    pytest.mark.judge,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls are those of x86-64"),
]


class Place:
    """A tree and a journal, made anew as often as it is wanted."""

    def __init__(self, top: Path, name: str, journal: Path | None = None) -> None:
        self.top, self.edits = top, SCENARIOS[name]()
        self.root, self.journal = top / "root", Journal(str(journal or top / "state" / "journal"))
        self.anew()
        self.old = self.seen()
        self.apply()
        self.new = self.seen()

    def anew(self) -> None:
        shutil.rmtree(self.top, ignore_errors=True)
        shutil.rmtree(self.journal.path, ignore_errors=True)
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
        now = self.seen()
        state = "old" if without_times(now) == without_times(self.old) else "new"
        assert state == "old" or without_kept(now) == without_kept(self.new), what
        entries = self.journal.entries()
        if state == "old" and not any("left: the time of " in note for entry in entries for note in entry.notes):
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


def without_kept(seen: Dump) -> Dump:
    """How what was there is kept depends on what works."""
    return {name: facts[:6] for name, facts in seen.items() if facts and not name.endswith(".kept")}


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


def at_each_call(
    place: Place, work: Callable[[], object], prepared: Callable[[], object], *, every: int = 1
) -> set[str]:
    """Kill ``work`` before each call that changes something, and its last; return which trees were recovered."""
    prepared()
    found: set[str] = set()
    calls = calls_of(work)
    for number in [at for at, name in enumerate(calls) if name in MUTATING or at == len(calls) - 1][::every]:
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


# -- a second kill ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["replaced", "several"])
def test_killed_while_recovering(top: Path, name: str) -> None:
    """Cut off at a quarter, the middle and the end of applying and undoing, then while that is recovered from."""
    place = Place(top, name)

    def applied() -> None:
        place.anew()
        place.apply()

    for work, prepared in ((place.apply, place.anew), (place.undo, applied)):
        prepared()
        calls = calls_of(work)
        changing = [at for at, call in enumerate(calls) if call in MUTATING]
        for share in (4, 2) if name == "several" else range(2, 12, 3):
            cut = changing[len(changing) // share]

            def cut_off(
                work: Callable[[], None] = work, prepared: Callable[[], None] = prepared, cut: int = cut
            ) -> None:
                prepared()
                assert stopped(work, cut, kill) == "killed"

            found = at_each_call(place, place.recover, cut_off, every=3 if name == "several" else 1)
            assert found in ({"old"}, {"new"}), "it depends on where the first was killed, not on where the second was"
            assert found == {"old"} or work == place.undo


def test_killed_where_nothing_can_be_linked(tmp_path: Path) -> None:
    """The journal lies on another file system: bytes are copied, and a file of several names is kept beside itself."""
    other = Path(tempfile.mkdtemp(prefix="runworthy-", dir="/dev/shm"))
    try:
        assert os.stat(other).st_dev != os.stat(tmp_path).st_dev
        for name, backup in (("edit", "copy"), ("replaced", "beside"), ("link", "")):
            place = Place(tmp_path / name, name, journal=other / name)
            place.anew()
            place.apply()
            assert [one.backup for one in place.journal.entries()[0].changes] == [backup]  # type: ignore[union-attr]
            place.undo()
            assert place.seen() == place.old
            assert at_each_call(place, place.apply, place.anew) == {"old", "new"}
            assert at_each_call(place, place.undo, lambda place=place: (place.anew(), place.apply())) == {"old", "new"}  # type: ignore[misc]
    finally:
        shutil.rmtree(other)


# -- calls that fail -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("edit", errno.ENOSPC), ("edit", errno.EROFS), ("edit", errno.EACCES),
        ("replaced", errno.EIO), ("replaced", errno.EACCES), ("new", errno.ENOSPC), ("new", errno.EDQUOT),
    ],
    ids=lambda value: value if isinstance(value, str) else errno.errorcode[value],
)  # fmt: skip
def test_each_call_fails(top: Path, name: str, number: int) -> None:
    """One call fails: what is said is for people, and the old or the new tree is there."""
    place = Place(top, name)

    def applied() -> None:
        place.anew()
        place.apply()

    for work, prepared in ((place.apply, place.anew), (place.undo, applied)):
        prepared()
        found = set()
        for at in [at for at, call in enumerate(calls_of(work)) if call in MUTATING]:
            prepared()
            assert stopped(lambda work=work: said_for_people(work), at, failing(number)) == "ended", at  # type: ignore[misc]
            found.add(place.check_recovered(f"call {at} failed"))
        assert "old" in found


def said_for_people(work: Callable[[], None]) -> None:
    """Take what the product says on purpose; anything else comes out of it."""
    with contextlib.suppress(RemedyError):
        work()


# -- roots that change under us --------------------------------------------------------------


def test_a_directory_that_becomes_a_link_leads_nowhere(top: Path) -> None:
    """At each call a directory of the root is swapped for a link to a directory outside of it."""
    place = Place(top, "edit")
    outside = top.parent / "outside"

    def prepared() -> None:
        place.anew()
        shutil.rmtree(outside, ignore_errors=True)
        outside.mkdir()
        for name in ("text", "new"):
            (outside / name).write_bytes(b"one\ntwo\n")

    def swap(_pid: int, _name: str) -> bool:
        (place.root / "etc").rename(place.root / "moved")
        (place.root / "etc").symlink_to(outside)
        return False

    prepared()
    for at in range(len(calls_of(place.apply))):
        prepared()
        before = dump(outside)
        assert stopped(lambda: said_for_people(place.apply), at, swap) == "ended", at
        assert dump(outside) == before, f"swapped at call {at}"
        assert (place.root / "moved/text").read_bytes() in (b"one\ntwo\n", b"2\n")
        place.recover()
        assert dump(outside) == before, f"swapped at call {at}"
    shutil.rmtree(outside)
