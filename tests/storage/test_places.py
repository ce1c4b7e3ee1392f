"""Where directories lie: what the kernel says of this machine's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from runworthy.targets.storage.places import Places


def test_a_place_has_the_device_and_the_mount_of_its_directory(tmp_path: Path) -> None:
    """The top of the mount is the highest directory that is on it."""
    place = Places().place(str(tmp_path))
    assert place.path == str(tmp_path)
    assert place.device == os.stat(tmp_path).st_dev
    assert str(tmp_path).startswith(place.point)
    assert os.path.ismount(place.point)
    assert os.stat(place.point).st_dev == place.device or place.type in ("btrfs", "overlay")


def test_a_file_and_what_is_not_there_lie_in_the_next_directory(tmp_path: Path) -> None:
    """A cache that is yet to be made has a place as well."""
    places = Places()
    (tmp_path / "file").write_bytes(b"")
    directory = places.place(str(tmp_path))
    for below in ("file", "not/there/yet"):
        place = places.place(str(tmp_path / below))
        assert place.path == str(tmp_path / below)
        assert (place.filesystem, place.device, place.mount) == (
            directory.filesystem,
            directory.device,
            directory.mount,
        )


def test_links_are_followed_to_where_the_files_lie(tmp_path: Path) -> None:
    """A cache is often a link to a larger disk."""
    places = Places()
    (tmp_path / "link").symlink_to("/proc" if sys.platform == "linux" else "/")
    there = places.place("/proc" if sys.platform == "linux" else "/")
    assert places.place(str(tmp_path / "link")).filesystem == there.filesystem


def test_a_device_has_the_file_system_of_the_directories_that_were_placed(tmp_path: Path) -> None:
    """One that was never seen is a file system of its own."""
    places = Places()
    place = places.place(str(tmp_path))
    assert places.filesystem_of(place.device) == place.filesystem
    unseen = (1 << 20) - 1
    assert places.filesystem_of(unseen) not in ("", place.filesystem)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of mounts")
def test_a_directory_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found is kept: a scan asks for the same directories over and over."""
    places = Places()
    place = places.place(str(tmp_path))
    monkeypatch.delattr(os, "open")
    assert places.place(str(tmp_path)) is place


def test_without_descriptors_that_only_name_there_is_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is on macOS."""
    monkeypatch.delattr(os, "O_PATH", raising=False)
    place = Places().place(str(tmp_path / "later"))
    assert place.device == os.stat(tmp_path).st_dev
    assert place.filesystem.startswith("device:")
    assert place.type == ""
    assert os.stat(place.point).st_dev == place.device
    assert not place.read_only
