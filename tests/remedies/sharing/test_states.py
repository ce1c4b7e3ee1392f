"""Whatever lies at a name and beside it when something was cut off: what is put back, what goes, and what stays.

Each state is made by hand. Files are "old" (what was there), "new" (what took its place, or was to), "other"
(somebody's), "own" (the copy that undoing has made); ``kept`` is the file that stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from runworthy.model.edit import ShareFile
from runworthy.model.errors import RemedyError
from runworthy.model.records import replace
from runworthy.model.storage import How
from runworthy.remedies.applying import recover, would_undo
from runworthy.remedies.applying.inodes import held_as
from runworthy.remedies.applying.record import Record
from runworthy.remedies.journal import Held, ShareChange
from runworthy.remedies.sharing import share, undoing
from runworthy.remedies.sharing.reverting import revert
from tests.remedies.sharing.made import TIME, Pair, as_user, given

pytestmark = pytest.mark.skipif(not hasattr(os, "O_NOATIME"), reason="sharing is for Linux")

DATA = b"the same bytes\n" * 900
NAMES = ("first.so", "second.so")
WRITTEN = b"WHAT SOMEBODY HAS WRITTEN\n"


class Scene:
    """Files in a store beside a directory, given names in it as a state wants them."""

    def __init__(self, top: Path, how: How = "hardlink", *, names: int = 1) -> None:
        self.top, self.how, self.names = top, how, NAMES[:names]
        self.place, self.store = top / "place", top / "store"
        for directory in (self.place, self.store):
            directory.mkdir()
        self.held: dict[str, Held] = {}
        for number, kind in enumerate(("old", "new", "other")):
            path = self.store / kind
            path.write_bytes(DATA if kind != "other" else DATA.upper())
            os.utime(path, ns=(TIME + number, TIME + number * 1_000_000_000))
            self.held[kind] = held_as("file", path.stat())

    def changes(self) -> list[ShareChange]:
        after = self.held["new"]
        if self.how == "symlink":
            after = Held(kind="link", text="../store/new")
        return [
            ShareChange(
                words="share",
                number=number,
                unit=0,
                base="/",
                path=str(self.place / name),
                how=self.how,
                kept=str(self.store / "new"),
                before=self.held["old"],
                after=after,
                names=len(self.names),
                temporary=self.hidden(number),
            )
            for number, name in enumerate(self.names)
        ]

    def hidden(self, number: int) -> str:
        return f".runworthy-{'0' * 16}-{number}.tmp"

    def put(self, kind: str, name: str) -> None:
        """Have a name lead to a file: to that of the store, or to a link where the way is by links."""
        if kind == "link":
            (self.place / name).symlink_to("../store/other")
        elif kind == "new" and self.how == "symlink":
            (self.place / name).symlink_to("../store/new")
        elif kind != "none":
            os.link(self.store / kind, self.place / name)

    def state(self, *kinds: str) -> None:
        """Lay out "name beside" for each name; then the store has only what stays."""
        for number, (name, both) in enumerate(zip(self.names, kinds, strict=True)):
            for kind, where in zip(both.split(), (name, self.hidden(number)), strict=True):
                self.put(kind, where)
        (self.store / "old").unlink()

    def seen(self) -> tuple[str, ...]:
        """What each name leads to, and what is hidden beside it."""
        return tuple(f"{self.kind(name)} {self.kind(self.hidden(at))}" for at, name in enumerate(self.names))

    def kind(self, name: str) -> str:
        path = self.place / name
        try:
            status = path.lstat()
        except FileNotFoundError:
            return "none"
        if stat.S_ISLNK(status.st_mode):
            return "new" if os.readlink(path) == "../store/new" else "link"
        return next((kind for kind, held in self.held.items() if held.inode == status.st_ino), "unknown")

    def write(self, kind: str) -> None:
        """Write into a file, by whichever name it has."""
        inode = self.held[kind].inode
        path = next(one for one in self.top.rglob("*") if one.lstat().st_ino == inode)
        with path.open("r+b") as stream:
            stream.write(WRITTEN)


REVERTED: Mapping[str, tuple[Sequence[str], Sequence[str], str]] = {
    "nothing was done": (["old none"], ["old none"], "undone"),
    "it was made": (["old new"], ["old none"], "undone"),
    "names were exchanged": (["new old"], ["old none"], "undone"),
    "what was there is gone": (["new none"], ["new none"], "done"),
    "one of two was exchanged": (["new old", "old new"], ["old none", "old none"], "undone"),
    "one of two went": (["new none", "new old"], ["old none", "old none"], "undone"),
    "the other one of two went": (["new old", "new none"], ["old none", "old none"], "undone"),
    "one of two is to be put back by the other": (["new none", "old none"], ["old none", "old none"], "undone"),
    "somebody replaced it": (["other old"], ["other none"], "undone"),
    "somebody replaced it just before": (["new other"], ["other none"], "undone"),
    "somebody removed it": (["none old"], ["none none"], "undone"),
    "somebody has the hidden name": (["old other"], ["old other"], "undone"),
    "somebody replaced it by a link": (["link old"], ["link none"], "undone"),
}


@pytest.mark.parametrize("how", ["hardlink", "symlink"])
@pytest.mark.parametrize("name", REVERTED)
def test_what_was_begun_is_put_back(memory: Path, name: str, how: How) -> None:
    before, after, state = REVERTED[name]
    scene = Scene(memory, how, names=len(before))
    scene.state(*before)
    changes, left = revert(scene.changes())
    assert scene.seen() == tuple(after)
    assert {one.state for one in changes} == {state}
    assert bool(left) == (name == "somebody has the hidden name")
    assert revert(changes)[0] == changes, "it can be begun anew"
    assert scene.seen() == tuple(after)


def test_where_names_cannot_be_exchanged(memory: Path) -> None:
    """What was there has a second hidden name meanwhile, and what is new comes by a rename."""
    for number, (name, hidden, second) in enumerate((("old", "new", "old"), ("new", "none", "old"))):
        (top := memory / str(number)).mkdir()
        scene = Scene(top)
        scene.put(second, f"{scene.hidden(0)}.second")
        scene.state(f"{name} {hidden}")
        revert(scene.changes())
        assert os.listdir(scene.place) == ["first.so"]
        assert scene.seen() == ("old none",)


def test_what_was_written_by_the_new_name_is_not_put_back(memory: Path) -> None:
    """Who wrote found it by a name that would lead elsewhere then; or it has no other name than ours."""
    states: Sequence[tuple[Sequence[str], bool]] = [
        (["new old"], True),
        (["new old"], False),
        (["new old", "old new"], False),
    ]
    for number, (state, kept) in enumerate(states):
        (top := memory / str(number)).mkdir()
        scene = Scene(top, names=len(state))
        scene.state(*state)
        if not kept:
            (scene.store / "new").unlink()
        scene.write("new")
        changes, _ = revert(scene.changes())
        assert scene.kind("first.so") == "new", number
        assert changes[0].state == "done"


def test_one_of_two_was_written_by_the_name_of_the_one_that_stays(memory: Path) -> None:
    """He may go on: what was there is put back, and his file stays."""
    scene = Scene(memory, names=2)
    scene.state("new old", "old new")
    scene.write("new")
    changes, _ = revert(scene.changes())
    assert scene.seen() == ("old none", "old none")
    assert changes[0].state == "undone"
    assert (scene.store / "new").read_bytes().startswith(WRITTEN)


@pytest.mark.parametrize("how", ["content", "mode"])
def test_the_number_of_an_inode_alone_is_no_file(memory: Path, how: str) -> None:
    """What was there is gone, and what somebody made since has its number: no other name comes to lead to it."""
    scene = Scene(memory, names=2)
    scene.state("old none", "new none")
    if how == "content":
        scene.write("old")
    else:
        (scene.place / "first.so").chmod(0o600)
    changes, _ = revert(scene.changes())
    assert scene.seen() == ("old none", "new none")
    assert changes[0].state == "done"


def test_a_link_with_the_number_of_an_inode_is_no_file(memory: Path) -> None:
    scene = Scene(memory, names=2)
    scene.state("new link", "new none")
    scene.held["old"] = replace(scene.held["old"], inode=(scene.place / scene.hidden(0)).lstat().st_ino)
    revert(scene.changes())
    assert (scene.place / "first.so").is_symlink(), "it was there just before"
    assert not (scene.place / "second.so").is_symlink()


def test_what_somebody_wrote_into_what_was_there_stays(memory: Path) -> None:
    """Both were written to: the one has the names, the other the hidden ones, of which none goes."""
    scene = Scene(memory, names=2)
    scene.state("new old", "new old")
    scene.write("old")
    scene.write("new")
    changes, left = revert(scene.changes())
    assert changes[0].state == "done"
    assert scene.seen() == ("new old", "new old")
    assert [line.rpartition(" beside ")[2] for line in left] == [
        f"{scene.place / name} holds what somebody has written" for name in scene.names
    ]


@pytest.mark.parametrize("writes", [False, True])
def test_who_has_it_open_may_still_write(memory: Path, writes: bool) -> None:  # noqa: FBT001
    scene = Scene(memory)
    scene.state("new old")
    scene.write("new")
    with (scene.place / scene.hidden(0)).open("r+b" if writes else "rb"):
        left = revert(scene.changes())[1]
    assert bool(left) == writes
    assert scene.seen() == ("new old" if writes else "new none",)


def test_another_file_that_looks_the_same_stays(memory: Path) -> None:
    scene = Scene(memory)
    other = scene.store / "other"
    os.utime(other, ns=(scene.held["new"].atime, scene.held["new"].mtime))
    scene.state("old other")
    assert revert(scene.changes())[1]
    other.unlink()
    assert revert(scene.changes())[1]
    assert scene.seen() == ("old other",)


@pytest.mark.skipif(os.geteuid() != 0, reason="a user without privileges is made")
def test_what_cannot_be_looked_at_is_not_taken_for_undone(memory: Path) -> None:
    scene = Scene(memory)
    scene.state("new old")
    given(memory)
    memory.chmod(0o755)
    scene.place.chmod(0)

    def work() -> None:
        with pytest.raises(PermissionError):
            revert(scene.changes())

    assert as_user(work) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="a user without privileges is made")
def test_what_somebody_has_changed_need_not_be_readable(memory: Path) -> None:
    scene = Scene(memory)
    scene.state("new old")
    scene.write("new")
    (scene.place / scene.hidden(0)).chmod(0)
    given(memory)

    def work() -> None:
        assert revert([replace(one, before=owned(one.before), after=owned(one.after)) for one in scene.changes()])[1]

    assert as_user(work) == 0
    assert scene.seen() == ("new old",)


def owned(held: Held) -> Held:
    """As it is when it has been given to the user of :func:`as_user`."""
    return replace(held, uid=1234, gid=4321)


# -- undoing ---------------------------------------------------------------------------------


class Undoing(Pair):
    """A file that is shared, while that is being undone: copies may have been made."""

    def __init__(self, top: Path, *, ready: bool = True, names: int = 1, how: How = "hardlink") -> None:
        super().__init__(top)
        self.second = self.path.with_name("second.so")
        if names == 2:
            os.link(self.path, self.second)
        self.share(how, paths=[self.path, self.second][:names])
        self.status = self.path.stat()
        (entry,) = self.journal.entries()
        record = Record(self.journal, entry)
        with self.journal.locked():
            record.update(state="undoing", directories=record.untouched_since())
            if ready:
                undoing.ready(record, force=False)
        change = entry.changes[0]
        assert isinstance(change, ShareChange)
        self.hidden = self.path.with_name(change.temporary)
        self.wanted = change.before

    def recover(self) -> tuple[str, ...]:
        (done,) = recover(self.journal)
        return done.left

    def is_own(self) -> bool:
        """Whether the name has its own file again, as it was."""
        status = self.path.lstat()
        return (
            self.path.read_bytes() == DATA
            and status.st_nlink == 1
            and (status.st_mtime_ns, stat.S_IMODE(status.st_mode)) == (self.wanted.mtime, self.wanted.mode)
        )

    @property
    def is_tidy(self) -> bool:
        return not list(self.root.rglob(".runworthy-*"))


def other(path: Path, *, like: Held | None = None) -> None:
    """Put somebody's file at a path; it may look the same but for its bytes."""
    path.unlink(missing_ok=True)
    path.write_bytes(DATA.upper() if like else b"somebody's")
    if like:
        path.chmod(like.mode)
        os.utime(path, ns=(like.atime, like.mtime))


def test_undoing_is_ended(memory: Path) -> None:
    pair = Undoing(memory)
    assert pair.hidden.exists()
    assert pair.recover() == ()
    assert pair.is_own()
    assert pair.is_tidy


def test_a_copy_that_was_not_ended_is_never_seen(memory: Path) -> None:
    pair = Undoing(memory)
    with pair.hidden.open("r+b") as stream:
        stream.truncate(100)
    assert pair.recover() == ()
    assert pair.is_own()
    assert pair.is_tidy


def test_a_copy_has_taken_its_place_and_what_was_there_is_left(memory: Path) -> None:
    pair = Undoing(memory)
    pair.hidden.rename(pair.path)
    os.link(pair.kept, pair.hidden)
    assert pair.recover() == ()
    assert pair.is_own()
    assert pair.is_tidy


def test_a_copy_has_taken_its_place_where_names_cannot_be_exchanged(memory: Path) -> None:
    pair = Undoing(memory)
    os.link(pair.path, f"{pair.hidden}.second")
    pair.hidden.rename(pair.path)
    assert pair.recover() == ()
    assert pair.is_own()
    assert pair.is_tidy


def test_what_somebody_put_there_just_before_is_put_back(memory: Path) -> None:
    pair = Undoing(memory)
    pair.hidden.rename(pair.path)
    other(pair.hidden)
    assert pair.recover() == (f"{pair.path} was changed by somebody else, and stays",)
    assert pair.path.read_bytes() == b"somebody's"
    assert pair.is_tidy


def test_what_somebody_wrote_into_what_was_shared_stays(memory: Path) -> None:
    """It has no other name by now."""
    pair = Undoing(memory)
    pair.kept.unlink()
    shared = pair.path.rename(pair.root / "shared")
    pair.hidden.rename(pair.path)
    with shared.open("r+b") as stream:
        stream.write(WRITTEN)
    shared.rename(pair.hidden)
    assert pair.recover() == (f"{pair.hidden.name} beside {pair.path} holds what somebody has written",)
    assert pair.hidden.read_bytes().startswith(WRITTEN)
    assert pair.is_own()


def test_two_files_of_somebody_stay(memory: Path) -> None:
    pair = Undoing(memory)
    for path in (pair.path, pair.hidden):
        other(path)
    assert f"{pair.hidden.name} beside {pair.path} holds what somebody has written" in pair.recover()
    assert pair.path.read_bytes() == pair.hidden.read_bytes() == b"somebody's"


def test_what_was_written_since_is_not_replaced(memory: Path) -> None:
    for ready in (True, False):
        (top := memory / str(ready)).mkdir()
        pair = Undoing(top, ready=ready)
        pair.kept.write_bytes(WRITTEN)
        assert pair.recover() == (f"{pair.path} was changed by somebody else, and stays",)
        assert pair.path.samefile(pair.kept)
        assert pair.is_tidy


def test_what_was_written_since_is_seen_by_its_bytes_when_it_is_ended(memory: Path) -> None:
    pair = Undoing(memory, ready=False)
    pair.kept.write_bytes(DATA.upper())
    os.utime(pair.kept, ns=(pair.status.st_atime_ns, pair.status.st_mtime_ns))
    assert pair.recover() == (f"{pair.path} was changed by somebody else, and stays",)
    assert pair.path.samefile(pair.kept)
    assert pair.is_tidy


def test_who_writes_keeps_it(memory: Path) -> None:
    pair = Undoing(memory)
    with pair.kept.open("r+b") as stream:
        assert pair.recover() == (f"{pair.path} was changed by somebody else, and stays",)
        stream.write(WRITTEN)
    assert pair.path.read_bytes().startswith(WRITTEN)
    assert pair.is_tidy


@pytest.mark.parametrize("what", ["bytes", "mode"])
def test_somebodys_file_does_not_become_that_of_another_name(memory: Path, what: str) -> None:
    """Of two names the first leads to a file that looks as what was there did, or has its bytes."""
    pair = Undoing(memory, ready=False, names=2)
    other(pair.path, like=pair.wanted)
    if what == "mode":
        pair.path.write_bytes(DATA)
        pair.path.chmod(0o600)
    pair.recover()
    assert pair.second.read_bytes() == DATA
    assert stat.S_IMODE(pair.second.stat().st_mode) == pair.wanted.mode
    assert not pair.second.samefile(pair.path)
    assert not pair.second.samefile(pair.kept)


def test_by_force_what_was_written_since_is_copied_with_its_time(memory: Path) -> None:
    pair = Pair(memory)
    pair.share()
    pair.kept.write_bytes(WRITTEN)
    os.utime(pair.kept, ns=(TIME, TIME + 5))
    assert not pair.undo(force=True).left
    assert pair.path.read_bytes() == WRITTEN
    assert pair.path.stat().st_mtime_ns == TIME + 5
    assert not pair.is_shared


def test_what_a_symbolic_link_leads_to_is_no_file_any_more(memory: Path) -> None:
    pair = Undoing(memory, ready=False, how="symlink")
    pair.kept.unlink()
    pair.kept.symlink_to("/etc/hostname")
    assert pair.recover() == (f"{pair.path} was changed by somebody else, and stays",)
    assert pair.path.is_symlink()
    assert pair.is_tidy


def test_nothing_is_left_where_undoing_cannot_begin(memory: Path) -> None:
    """The second of two files cannot be copied: the copy of the first goes, and directories have their times."""
    pairs = [Pair(memory / str(number)) for number in range(2)]
    pairs[1].journal = pairs[0].journal
    shares = [ShareFile(paths=(str(one.path),), kept=str(one.kept), how="hardlink") for one in pairs]
    assert not share(shares, pairs[0].journal, title="t", subject="s").left
    for one in pairs:
        os.utime(one.path.parent, ns=(7, 7))
    (entry,) = pairs[0].journal.entries()
    record = Record(pairs[0].journal, entry)
    with pairs[0].journal.locked():
        record.update(directories=record.settle())
    status = pairs[1].kept.stat()
    pairs[1].kept.write_bytes(DATA.upper())
    os.utime(pairs[1].kept, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert would_undo(pairs[0].journal)[1] == (), "it looks as it was left"
    with pytest.raises(RemedyError, match="is no longer as it was left; nothing was changed"):
        pairs[0].undo()
    for one in pairs:
        assert one.is_shared
        assert not list(one.root.rglob(".runworthy-*"))
        assert one.path.parent.stat().st_mtime_ns == 7
    assert [one.state for one in pairs[0].journal.entries()] == ["applied"]


# -- what the log may say --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("hardlink", {"base": "/a"}),
        ("hardlink", {"path": "/a/../b"}),
        ("hardlink", {"path": "//a/b"}),
        ("hardlink", {"path": "a/b"}),
        ("hardlink", {"kept": "a/b"}),
        ("hardlink", {"how": "copy"}),
        ("hardlink", {"how": "extents"}),
        ("hardlink", {"before": {"kind": "directory"}}),
        ("hardlink", {"before": {"kind": "link"}}),
        ("hardlink", {"before": {"mode": 0o2755}}),
        ("hardlink", {"before": {"told": [1, 2]}}),
        ("hardlink", {"before": {"told": [0, 0, 0, 0, 2**32]}}),
        ("hardlink", {"before": {"told": [0, 0, 0, 0, -1]}}),
        ("hardlink", {"before": {"told": [0, 0, 0, 0, True]}}),
        ("hardlink", {"before": {"told": ["0", 0, 0, 0, 0]}}),
    ],
    ids=str,
)
def test_lines_that_are_not_ours(memory: Path, how: How, said: dict[str, object]) -> None:
    pair = Pair(memory)
    pair.share(how)
    (log,) = Path(pair.journal.path).glob("*/shares.jsonl")
    lines = log.read_text().splitlines()
    held = json.loads(lines[-1])
    for key, value in said.items():
        held[key] = {**held[key], **value} if isinstance(value, dict) else value
    log.write_text("\n".join((*lines[:-1], json.dumps(held), "")))
    assert pair.journal.entries()[0].unreadable


def test_what_is_told_to_an_inode_never_keeps_it_from_being_changed(memory: Path) -> None:
    """A log that says so would have files made that nobody can remove: immutable ones."""
    pair = Pair(memory)
    pair.share()
    (log,) = Path(pair.journal.path).glob("*/shares.jsonl")
    log.write_text(log.read_text().replace('"sha256":', '"told":[48,0,0,0,0],"sha256":'))
    with contextlib.suppress(Exception):
        pair.undo()
    pair.path.unlink()
