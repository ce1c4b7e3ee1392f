"""Where directories lie on real mounts, and what link(2) says between them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runworthy.targets.storage.places import Places
from tests.storage import ground

pytestmark = pytest.mark.judge


def _link(source: Path, target: Path) -> str:
    (source / "file").write_bytes(b"x")
    try:
        os.link(source / "file", target / "linked")
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "")
    return ""


def test_subvolumes_are_of_one_file_system_and_two_devices(btrfs: ground.Ground) -> None:
    places = Places()
    other = btrfs.subvolume("other")
    here, there = places.place(str(btrfs.path)), places.place(str(other))
    assert here.filesystem == there.filesystem != ""
    assert here.filesystem.startswith("btrfs:")
    assert (here.mount, here.point) == (there.mount, str(btrfs.path))
    assert here.device != there.device
    assert places.filesystem_of(there.device) == here.filesystem
    assert _link(btrfs.path, other) == "EXDEV"


def test_two_file_systems_of_one_kind_are_two(tmp_path: Path) -> None:
    places = Places()
    with ground.made("btrfs", tmp_path) as one, ground.made("btrfs", tmp_path) as other:
        assert places.place(str(one.path)).filesystem != places.place(str(other.path)).filesystem


def test_a_bind_mount_is_another_mount_of_one_device(everywhere: ground.Ground) -> None:
    """The table of mounts says what is shown there."""
    places = Places()
    below = everywhere.path
    with ground.bound(below / "cache", below / "seen"):
        cache, seen = places.place(str(below / "cache")), places.place(str(below / "seen"))
        assert (cache.filesystem, cache.device) == (seen.filesystem, seen.device)
        assert cache.mount != seen.mount
        assert (seen.point, seen.subvolume) == (str(below / "seen"), "/cache")
        (below / "env").mkdir()
        assert _link(below / "seen", below / "env") == "EXDEV"
        assert _link(below / "cache", below / "env") == ""


def test_a_hidden_mount_is_not_taken_for_what_hides_it(ext4: ground.Ground) -> None:
    """The longest path in the table of mounts may be that of a mount nobody sees any more."""
    below = ext4.path
    with ground.bound(below / "a" / "inner", below / "b" / "inner"), ground.bound(below / "c", below / "b"):
        (below / "b" / "inner").mkdir()
        place = Places().place(str(below / "b" / "inner"))
        assert place.point == str(below / "b")
        assert place.subvolume == "/c"


def test_mounts_that_come_later_are_seen(ext4: ground.Ground) -> None:
    places = Places()
    (ext4.path / "b").mkdir()
    before = places.place(str(ext4.path))
    with ground.bound(ext4.path / "a", ext4.path / "b" / "new"):
        assert places.place(str(ext4.path / "b" / "new")).mount != before.mount


def test_an_overlay_is_recognised(ext4: ground.Ground) -> None:
    (ext4.path / "lower").mkdir()
    with ground.overlaid(ext4.path / "lower", ext4.path) as overlay:
        place = Places().place(str(overlay.path))
        assert place.type == "overlay"
        assert place.filesystem != Places().place(str(ext4.path)).filesystem


@pytest.mark.parametrize("how", ["file system", "mount"])
def test_what_is_read_only_is_told(ext4: ground.Ground, how: str) -> None:
    """A file system may be, or one of its mounts."""
    below = ext4.path
    (below / "a").mkdir()
    with ground.bound(below / "a", below / "b", read_only=how == "mount"):
        if how == "file system":
            ext4.read_only()
        places = Places()
        assert places.place(str(below / "b")).read_only
        assert places.place(str(below / "a")).read_only == (how == "file system")


_AWKWARD = ["a b", "a\\040b", "a\nb", "a\x0bb\x85", "a\udcffb"]


@pytest.fixture(params=_AWKWARD, ids=ascii)
def awkward(request: pytest.FixtureRequest, ext4: ground.Ground) -> Iterator[Path]:
    """A mount point with a name that the table of mounts has to escape, or that breaks lines."""
    with ground.bound(ext4.path / "source", ext4.path / str(request.param)) as target:
        yield target


def test_names_of_mount_points_are_read_as_they_are(awkward: Path) -> None:
    place = Places().place(str(awkward))
    assert place.point == str(awkward)
    assert place.subvolume == "/source"
