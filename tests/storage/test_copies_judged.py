"""What is called a copy is what jdupes calls one, and stays right on real file systems and while files change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runworthy.targets.storage import comparing
from runworthy.targets.storage.copies import find_copies
from runworthy.targets.storage.walk import Selection, walk
from tests.storage.ground import Ground, bound
from tests.storage.test_walk import ALL, put

pytestmark = pytest.mark.judge
SOURCE = Path(__file__).parents[2] / "src"
AS_NOBODY = """
import os, select, sys, threading
from runworthy.targets.storage.copies import find_copies
from runworthy.targets.storage.walk import Selection, walk
os.setgid(65534), os.setuid(65534)
problems = []
found = walk(sys.argv[1:], Selection(min_size=1))
copies = find_copies(found, filesystem_of=str, problems=problems)
print([[name for file in one.files for name in file.names] for one in copies])
print(list(found.problems))
print(problems)
"""


def inodes(path: bytes) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def theirs(top: str, smallest: int) -> set[frozenset[tuple[int, int]]]:
    """Return the sets of jdupes: of a file with several names it tells one."""
    done = subprocess.run(
        ["jdupes", "-r", "-q", "-0", "-X", f"size+=:{smallest}", top],
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    found = [[name for name in one.split(b"\0") if name] for one in done.stdout.split(b"\0\0")]
    return {frozenset(map(inodes, names)) for names in found if names}


def ours(top: str, smallest: int, threads: int = 0) -> set[frozenset[tuple[int, int]]]:
    copies = find_copies(
        walk([top], Selection(min_size=smallest)), filesystem_of=lambda device: str(device > 0), threads=threads
    )
    return {frozenset((file.device, file.inode) for file in one.files) for one in copies}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("jdupes") is None, reason="jdupes is not installed")
@pytest.mark.parametrize(
    ("top", "smallest"), [("/usr/lib", 65536), ("/usr/share", 1), (sys.base_prefix, 4096), (sys.prefix, 1)]
)
def test_equals_jdupes_on_real_trees(top: str, smallest: int) -> None:
    expected = theirs(top, smallest)
    assert expected
    assert ours(top, smallest) == expected
    assert ours(top, smallest, threads=2) == expected


@pytest.mark.skipif(shutil.which("jdupes") is None, reason="jdupes is not installed")
def test_equals_jdupes_on_every_file_system(everywhere: Ground) -> None:
    top = everywhere.path / "tree"
    hostile = os.fsdecode(b"\xff'\"\n")
    block = os.urandom(64 << 10)
    for number in range(40):
        data = block * (number % 4) + bytes([number % 3]) * (1 + number % 2)
        file = put(top / f"{number % 7}" / hostile / f"{number}", data)
        if not number % 6:
            os.link(file, top / f"{number}.link")
        if not number % 9:
            (top / f"{number}.symlink").symlink_to(file)
    sparse = put(top / "sparse", b"")
    os.truncate(sparse, 64 << 10)
    put(top / "written", bytes(64 << 10))
    expected = theirs(str(top), 1)
    assert len(expected) > 8
    assert ours(str(top), 1) == expected


def test_directories_and_files_that_are_mounted_twice(ext4: Ground) -> None:
    top = ext4.path / "tree"
    one, two = put(top / "a" / "one", b"same"), put(top / "b" / "two", b"same")
    put(top / "c" / "place")
    (top / "d").mkdir()
    with bound(top / "a", top / "d"):
        subprocess.run(["mount", "--bind", str(two), str(top / "c" / "place")], check=True)
        try:
            found = walk([str(top)], ALL)
            (copies,) = find_copies(found, filesystem_of=str)
        finally:
            subprocess.run(["umount", str(top / "c" / "place")], check=True)
    assert [file.names for file in copies.files] == [(str(one),), (str(two), str(top / "c" / "place"))]
    assert sum(files for files, _ in found.sizes.values()) >= 2


def test_pseudo_file_systems_are_passed_over() -> None:
    assert not walk(["/proc"], ALL).files
    assert not walk(["/proc/self"], ALL).files
    assert walk(["/sys/kernel"], ALL).passed_over == {"pseudo": 1}


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else")
def test_what_may_not_be_read_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    top = tmp_path_factory.mktemp("shared")
    for parent in (top, *top.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    try:
        one, two, three = (put(top / name, b"same") for name in ("one", "two", "three"))
        put(top / "closed" / "four", b"same")
        (top / "closed").chmod(0o700)
        three.chmod(0o600)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(top)],
            env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        copies, walked, problems = done.stdout.splitlines()
        assert sorted(eval(copies)[0]) == sorted([str(one), str(two)])  # noqa: S307 - our own repr
        assert walked == f"[('{top}/closed', 'Permission denied')]"
        assert problems == f"[('{three}', 'Permission denied')]"
    finally:
        (top / "closed").chmod(0o755)


def test_cut_off_while_it_is_compared(tmp_path: Path) -> None:
    """A file is cut and grown again and again: it may never be in a set, however the reads fall, once it was seen."""
    size = 8 << 20
    data = os.urandom(1 << 20) * 8
    for name in ("one", "two", "three"):
        put(tmp_path / name, data)
    found = walk([str(tmp_path)], ALL)
    stop = threading.Event()

    def cut() -> None:
        while not stop.is_set():
            os.truncate(tmp_path / "two", size // 3)
            with open(tmp_path / "two", "r+b") as stream:
                stream.write(data)

    worker = threading.Thread(target=cut)
    os.truncate(tmp_path / "two", size // 2)
    worker.start()
    try:
        for _ in range(10):
            problems: list[tuple[str, str]] = []
            (copies,) = find_copies(found, filesystem_of=str, problems=problems)
            assert [file.names[0] for file in copies.files] == [str(tmp_path / "one"), str(tmp_path / "three")]
            assert problems == [(str(tmp_path / "two"), comparing.CHANGED)]
    finally:
        stop.set()
        worker.join()


def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    one, two = put(tmp_path / "one", b"same"), put(tmp_path / "two", b"same")
    for path in (one, two):
        os.utime(path, (0, 10**9))  # older than the change, where a read would show
    assert len(find_copies(walk([str(tmp_path)], ALL), filesystem_of=str)) == 1
    assert [path.stat().st_atime_ns for path in (one, two)] == [0, 0]
