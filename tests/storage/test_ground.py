"""The ground is what it says: errors of the real kernel, and nothing left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.storage import ground
from tests.storage.ground import Ground

pytestmark = pytest.mark.judge

FICLONE = 0x40049409  # linux/fs.h
BLOCK = 4096
BYTES = b"runworthy" * 4096


@contextmanager
def refused(number: int) -> Iterator[None]:
    with pytest.raises(OSError, match=r"\[Errno") as raised:
        yield
    assert errno.errorcode[raised.value.errno or 0] == errno.errorcode[number]


def written(path: Path, data: bytes = BYTES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def clone(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("wb") as writing:
        fcntl.ioctl(writing, FICLONE, reading.fileno())


def loops() -> str:
    """Which files loop devices of this machine are made of."""
    return subprocess.check_output(["losetup", "--list", "--noheadings", "-O", "BACK-FILE"], text=True)


def test_a_link_frees_what_the_file_took(everywhere: Ground) -> None:
    first, second = written(everywhere.path / "a", BYTES * 30), written(everywhere.path / "b", BYTES * 30)
    before = everywhere.used()
    second.unlink()
    second.hardlink_to(first)
    assert abs(before - everywhere.used() - len(BYTES) * 30) <= BLOCK


def test_blocks_are_shared_where_they_can_be(reflinking: Ground, ext4: Ground) -> None:
    clone(written(reflinking.path / "a"), reflinking.path / "b")
    with refused(errno.EOPNOTSUPP):
        clone(written(ext4.path / "a"), ext4.path / "b")


def test_a_full_one_takes_no_more(tmp_path: Path) -> None:
    with ground.made("ext4", tmp_path, megabytes=8, options=("-m", "0")) as disk:
        ground.fill(disk.path, leave=2 * BLOCK)
        written(disk.path / "small", b"x" * BLOCK)
        with refused(errno.ENOSPC):
            written(disk.path / "large", b"x" * 8 * BLOCK)


@pytest.mark.parametrize("kind", ["xfs", "btrfs", "tmpfs"])
def test_others_are_full_too(kind: str, tmp_path: Path) -> None:
    with ground.made(kind, tmp_path) as disk:
        ground.fill(disk.path)
        with refused(errno.ENOSPC):
            written(disk.path / "large", b"x" * (1 << 20))


def test_read_only(everywhere: Ground) -> None:
    kept = written(everywhere.path / "kept")
    everywhere.read_only()
    with refused(errno.EROFS):
        (everywhere.path / "link").hardlink_to(kept)
    everywhere.writable()
    (everywhere.path / "link").hardlink_to(kept)


def test_a_cold_one_is_the_same(everywhere: Ground) -> None:
    path = written(everywhere.path / "kept")
    before = path.stat()
    everywhere.cold()
    after = path.stat()
    assert (before.st_dev, before.st_ino, before.st_ctime_ns) == (after.st_dev, after.st_ino, after.st_ctime_ns)
    assert path.read_bytes() == BYTES


def test_subvolumes_are_other_devices_that_share_blocks(btrfs: Ground) -> None:
    first = written(btrfs.subvolume("one") / "a")
    other = btrfs.subvolume("two")
    assert first.stat().st_dev != other.stat().st_dev
    with refused(errno.EXDEV):
        (other / "b").hardlink_to(first)
    clone(first, other / "b")
    frozen = btrfs.snapshot("one", "frozen") / "a"
    assert frozen.read_bytes() == BYTES
    with refused(errno.EROFS):
        frozen.unlink()


def test_a_bind_mount_has_the_same_device_and_takes_no_links(ext4: Ground) -> None:
    source = written(ext4.path / "a" / "x")
    with ground.bound(ext4.path / "a", ext4.path / "b") as seen:
        assert (seen / "x").stat() == source.stat()
        with refused(errno.EXDEV):
            (seen / "y").hardlink_to(source)
    assert list((ext4.path / "b").iterdir()) == []
    with ground.bound(ext4.path / "a", ext4.path / "b", read_only=True) as seen, refused(errno.EROFS):
        (seen / "y").touch()


def test_an_overlay_copies_lower_files_up(ext4: Ground) -> None:
    lower = written(ext4.path / "lower" / "x")
    with ground.overlaid(lower.parent, ext4.path) as overlay:
        assert list(overlay.upper.iterdir()) == []
        (overlay.path / "y").hardlink_to(overlay.path / "x")
        assert sorted(path.name for path in overlay.upper.iterdir()) == ["x", "y"]
    assert lower.stat().st_nlink == 1


def test_links_run_out(ext4: Ground) -> None:
    path = written(ext4.path / "x")
    assert ground.linked_out(path) == 65_000  # fs/ext4/ext4.h, EXT4_LINK_MAX
    with refused(errno.EMLINK):
        (ext4.path / "y").hardlink_to(path)


def test_a_number_of_links_can_be_written_down(ext4: Ground) -> None:
    path = written(ext4.path / "x")
    ext4.count_links(path, 64_999)
    (ext4.path / "y").hardlink_to(path)
    with refused(errno.EMLINK):
        (ext4.path / "z").hardlink_to(path)


def test_a_kept_one_is_filled_once(tmp_path: Path) -> None:
    image, filled = tmp_path / "kept" / "image", []

    def fill_it(path: Path) -> None:
        filled.append(written(path / "x"))

    for _ in range(2):
        with ground.kept(image, tmp_path, fill_it, megabytes=64) as disk:
            assert (disk.path / "x").read_bytes() == BYTES
            disk.cold()
    assert len(filled) == 1
    assert [path.name for path in image.parent.iterdir()] == ["image"]


def test_several_at_once_and_nothing_is_left(tmp_path: Path) -> None:
    with ExitStack() as closing:
        for kind in (*ground.KINDS, "tmpfs", "ext4"):
            disk = closing.enter_context(ground.made(kind, tmp_path))
            left = closing.enter_context(written(disk.path / "open").open("rb"))
        assert str(tmp_path) in loops()
        assert str(tmp_path) not in Path("/proc/1/mountinfo").read_text(encoding="utf-8")
    left.close()
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in loops()


def test_files_that_are_still_open_keep_no_mount(tmp_path: Path) -> None:
    with ground.made("ext4", tmp_path) as disk:
        left = written(disk.path / "x").open("rb")
    assert list(tmp_path.iterdir()) == []
    assert left.read() == BYTES
    left.close()
    assert str(tmp_path) not in loops()


def test_killed_in_the_middle_it_leaves_no_mount(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, time; from tests.storage import ground\n"
        "with ground.made('btrfs', pathlib.Path(sys.argv[1])) as disk:\n"
        "    print(disk.device, flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, env=environment, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("/dev/loop")
        assert str(tmp_path) in loops()
        child.send_signal(signal.SIGKILL)
    assert str(tmp_path) not in loops()
