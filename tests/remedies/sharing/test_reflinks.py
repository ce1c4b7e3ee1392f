"""Sharing on file systems that share blocks: snapshots, files that share already, and those that may not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from runworthy.model.edit import ShareFile
from runworthy.model.storage import How, Reclaimed
from runworthy.remedies.applying import undo
from runworthy.remedies.journal import Journal
from runworthy.remedies.sharing import share
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.sharing import share_ranges
from tests.remedies.sharing.made import left
from tests.storage.ground import Ground, extents
from tests.storage.test_extents import BLOCK, SIZE, noise, overwritten, state, written
from tests.storage.test_partial import binary, found, patched

pytestmark = pytest.mark.judge


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(str(tmp_path / "journal"))


def do(
    journal: Journal, top: Path, kept: Path, path: Path, how: How, *, ranges: tuple[tuple[int, int], ...] = ()
) -> Reclaimed:
    edit = ShareFile(paths=(str(path),), kept=str(kept), how=how, size=path.stat().st_size, ranges=ranges)
    return share([edit], journal, title="share", subject="here", boundaries=[str(top)])


@pytest.mark.parametrize("how", ["extents", "ranges", "clone"])
def test_read_only_snapshots_are_left(btrfs: Ground, journal: Journal, how: How) -> None:
    """The kernel shares in them all the same (fs/btrfs/reflink.c lets deduplication pass); access(2) is EROFS there."""
    one, two = btrfs.subvolume("one"), btrfs.subvolume("two")
    a, _ = written(one / "a", noise()), written(two / "b", noise())
    frozen = btrfs.snapshot("two", "frozen")
    done = do(journal, btrfs.path, a, frozen / "b", how, ranges=((0, SIZE),))
    assert not done.shared
    assert left(done) == "it lies in a read-only snapshot"
    assert Places().place(str(frozen)).read_only, "and the plan knows it"
    assert not Places().place(str(two)).read_only


def test_what_was_shared_in_part_is_told_and_taken_back(reflinking: Ground, journal: Journal) -> None:
    """One range differs by now: most are shared, and that has to be in the report and in the journal."""
    program = binary()
    a, b = (written(reflinking.path / name, patched(program, name.encode())) for name in "ab")
    (one,) = found(a, b)
    overwritten(b, one.ranges[1][0] + 7, b"other")
    before = state(b)
    done = do(journal, reflinking.path, a, b, "ranges", ranges=one.ranges)
    assert state(b) == before
    assert done.measured > SIZE // 2
    assert [how for _, how, _ in done.shared] == ["ranges"]
    assert done.entry
    assert "bytes: no more could be shared" in done.notes[0]
    used = reflinking.used()
    assert not undo(journal).left
    assert reflinking.used() - used > SIZE // 2, "it takes its room again"
    assert state(b) == before


def test_what_a_snapshot_has_as_well_is_not_freed(btrfs: Ground, journal: Journal) -> None:
    """``runworthy.targets.storage.extents.exclusive`` tells before the act what it will give."""
    one = btrfs.subvolume("one")
    a, b = written(one / "a", noise()), written(one / "b", noise())
    btrfs.snapshot("one", "frozen")
    done = do(journal, btrfs.path, a, b, "extents")
    assert done.measured <= BLOCK
    assert sum(freed for _, _, freed in done.shared) <= BLOCK


def test_why_a_file_without_copy_on_write_is_left_is_told(btrfs: Ground, journal: Journal) -> None:
    a, b = written(btrfs.path / "a", noise()), btrfs.path / "b"
    b.touch()
    subprocess.check_call(["chattr", "+C", b])
    written(b, noise())
    ((_, why),) = do(journal, btrfs.path, a, b, "extents").left
    assert "never copied on write (chattr +C)" in why


def test_two_files_without_copy_on_write_can_be_clones(btrfs: Ground, journal: Journal) -> None:
    """The file that takes the place needs the flag before it has bytes: FICLONE is EINVAL where one has it alone."""
    a, b = btrfs.path / "a", btrfs.path / "b"
    for path in (a, b):
        path.touch()
        subprocess.check_call(["chattr", "+C", path])
        written(path, noise())
    done = do(journal, btrfs.path, a, b, "clone")
    assert done.shared
    assert "C" in subprocess.check_output(["lsattr", b], text=True).split()[0]


def test_files_that_shared_with_each_other_do_so_again(reflinking: Ground, journal: Journal) -> None:
    """And not with the one that stayed: both take as much room as one of them."""
    a, b, c = (reflinking.path / name for name in "abc")
    data = noise()
    written(a, data)
    written(b, data)
    subprocess.check_call(["cp", "--reflink=always", b, c])
    os.sync()
    used = reflinking.used()
    shares = [ShareFile(paths=(str(one),), kept=str(a), how="extents", size=SIZE) for one in (b, c)]
    assert not share(shares, journal, title="share", subject="here").left
    assert used - reflinking.used() > SIZE // 2
    assert extents(b) == extents(c) == extents(a)
    assert not undo(journal).left
    assert extents(b) == extents(c) != extents(a)
    assert abs(used - reflinking.used()) < SIZE // 2


def test_what_shares_with_a_third_one_since_goes_on(reflinking: Ground, journal: Journal) -> None:
    """Undoing gives a file storage of its own where it shares that of the one that stayed, and nowhere else."""
    a, b, c = (reflinking.path / name for name in "abc")
    data = noise()
    for path in (a, b, c):
        written(path, data)
    assert not do(journal, reflinking.path, a, b, "extents").left
    half = SIZE // 2 // BLOCK * BLOCK
    with c.open("rb") as source, b.open("rb") as target:
        assert share_ranges(source.fileno(), target.fileno(), [(0, half)]) == half
    assert blocks(b)[: half // BLOCK] == blocks(c)[: half // BLOCK]
    assert not undo(journal).left
    assert blocks(b)[: half // BLOCK] == blocks(c)[: half // BLOCK]
    assert not set(blocks(b)[half // BLOCK :]) & set(blocks(a))


def blocks(path: Path) -> list[int]:
    """Return where each block of a file lies."""
    return [block + at for _, block, many in extents(path) for at in range(many)]
