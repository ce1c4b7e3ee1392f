"""A walk finds every stored file once, with all its names, and follows nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runworthy.model.errors import UsageError
from runworthy.targets.storage.apart import kept_apart
from runworthy.targets.storage.files import Files
from runworthy.targets.storage.walk import Selection, Walk, walk, with_caches

ALL = Selection(min_size=1)
IN_PROCESSES = """
import sys
from runworthy.targets.storage import crew, listing, walk as module
from runworthy.targets.storage.copies import find_copies
listing._AT_A_TIME = 1
module.at_once = lambda: 3
found = module.walk(sys.argv[1:], module.Selection(min_size=1))
print(ascii(list(found.files.values())), ascii(found.sizes), ascii(found.marks))
print(ascii(list(find_copies(found, filesystem_of=str, threads=3))))
"""


def put(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(found: Walk) -> list[tuple[str, ...]]:
    return sorted(file.names for file in found.files.values())


def test_hard_links_are_one_file(tmp_path: Path) -> None:
    one = put(tmp_path / "a" / "one", b"bytes")
    put(tmp_path / "b" / "alone", b"bytes")
    os.link(one, tmp_path / "b" / "other")
    found = walk([str(tmp_path)], ALL)
    assert names(found) == [(str(one), str(tmp_path / "b/other")), (str(tmp_path / "b/alone"),)]
    assert [file.links for file in found.files.values()] == [2, 1]
    assert sum(files for files, _ in found.sizes.values()) == 2
    status = one.lstat()
    stored = found.files[status.st_dev, status.st_ino]
    assert (stored.size, stored.mode, stored.uid, stored.gid) == (5, status.st_mode, status.st_uid, status.st_gid)
    assert (stored.mtime, stored.ctime, stored.allocated) == (
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_blocks * 512,
    )


def test_nothing_is_followed_and_nothing_but_files_is_taken(tmp_path: Path) -> None:
    put(tmp_path / "outside" / "file")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "directory").symlink_to(tmp_path / "outside")
    (tree / "link").symlink_to(tmp_path / "outside" / "file")
    (tree / "round").symlink_to(tree)
    os.mkfifo(tree / "fifo")
    put(tree / "empty", b"")
    put(tree / ".runworthy-1.tmp")
    found = walk([str(tree)], ALL)
    assert not found.files
    assert found.passed_over == {"called otherwise": 1, "link": 3, "small": 1, "special": 1}


def test_what_is_given_twice_is_entered_once(tmp_path: Path) -> None:
    file = put(tmp_path / "a" / "b" / "file")
    (tmp_path / "again").symlink_to(tmp_path / "a")
    found = walk([str(tmp_path / "a" / "b"), str(tmp_path / "a"), str(tmp_path / "again")], ALL)
    assert found.tops == (str(tmp_path / "a"),)
    assert names(found) == [(str(file),)]
    assert names(walk([str(file), str(file)], ALL)) == [(str(file),)]


def test_what_is_not_there_is_an_error_of_who_asks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        walk([str(tmp_path / "nothing")], ALL)


def test_a_link_counts_by_any_of_its_names(tmp_path: Path) -> None:
    data = put(tmp_path / "a.data", b"12345678")
    os.link(data, tmp_path / "b.so")
    put(tmp_path / "c.so", b"12")
    found = walk([str(tmp_path)], Selection(min_size=4, only=("*.so", "*.so.*")))
    assert names(found) == [(str(data), str(tmp_path / "b.so"))]


def test_marks_and_sizes(tmp_path: Path) -> None:
    put(tmp_path / "env" / "pyvenv.cfg", b"home")
    put(tmp_path / "env" / "lib" / "big", bytes(100_000))
    found = walk([str(tmp_path)], Selection())
    assert found.marks == {str(tmp_path / "env"): frozenset({"pyvenv.cfg"})}
    assert found.sizes[str(tmp_path / "env" / "lib")][0] == 1
    assert found.sizes[str(tmp_path / "env" / "lib")][1] >= 100_000
    assert found.devices == {str(tmp_path): tmp_path.stat().st_dev}
    assert found.passed_over == {"small": 1}


def test_deep_trees_and_hostile_names(tmp_path: Path) -> None:
    deep = tmp_path
    while len(str(deep)) < 3000:
        deep = deep / ("d" * 100)
    deep.mkdir(parents=True)
    put(deep / "file")
    hostile = os.fsdecode(b"new\nline \xff\xfe")
    put(tmp_path / hostile / hostile)
    assert {paths[0] for paths in names(walk([str(tmp_path)], ALL))} == {
        str(deep / "file"),
        f"{tmp_path}/{hostile}/{hostile}",
    }


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    hostile = os.fsdecode(b"\xff\n")
    for number in range(6):
        put(tmp_path / hostile / str(number) / "deep" / "file", b"same")
        put(tmp_path / str(number) / "CACHEDIR.TAG", b"tag")
    os.link(tmp_path / "0" / "CACHEDIR.TAG", tmp_path / "5" / "link")
    alone = walk([str(tmp_path)], ALL)
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", IN_PROCESSES, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first == f"{list(alone.files.values())!a} {alone.sizes!a} {alone.marks!a}"
    assert second.count("StoredFile") == 6 + 6


def test_caches_add_names_and_what_has_the_size_of_a_candidate(tmp_path: Path) -> None:
    linked = put(tmp_path / "env" / "linked", b"linked one")
    copied = put(tmp_path / "env" / "copied", b"copy")
    cache = tmp_path / "cache"
    cache.mkdir()
    os.link(linked, cache / "entry")
    put(cache / "same", b"copy")
    put(cache / "other", b"of another size")
    put(cache / "within" / "pyvenv.cfg", b"as long as none")
    found = walk([str(tmp_path / "env")], ALL)
    both = with_caches(found, [str(cache), str(cache / "within"), str(tmp_path / "nothing"), str(tmp_path / "env")])
    assert names(both) == [
        (str(cache / "entry"), str(linked)),
        (str(cache / "same"),),
        (str(copied),),
    ]
    status = (cache / "same").stat()
    assert both.added == {(status.st_dev, status.st_ino)}
    assert both.tops == found.tops
    assert both.marks == {str(cache / "within"): frozenset({"pyvenv.cfg"})}
    assert both.sizes[str(cache)][0] == 3
    assert [file.outside for file in both.files.values()] == [0, 0, 0]
    assert names(found) == [(str(copied),), (str(linked),)]  # as it was


def test_files_that_are_known_already() -> None:
    made = walk([__file__], ALL)
    again = Files.of(made.files.values())
    assert list(again.items()) == list(made.files.items())
    assert (0, 0) not in again


def test_files_that_are_asked_for_count_once(tmp_path: Path) -> None:
    one, two = (put(tmp_path / name, b"x" * 5000) for name in ("a/one", "a/two"))
    os.link(one, tmp_path / "a" / "again")
    put(tmp_path / "b" / "three", b"x")
    os.link(one, tmp_path / "b" / "four")
    found = walk(map(str, (one, tmp_path / "a" / "again", two, tmp_path / "b")), ALL)
    assert {directory: files for directory, (files, _) in found.sizes.items()} == {
        str(tmp_path / "a"): 2,
        str(tmp_path / "b"): 1,
    }
    assert found.sizes[str(tmp_path / "a")][1] == sum(path.stat().st_blocks for path in (one, two)) * 512


@pytest.mark.parametrize(
    ("path", "apart"),
    [
        ("/e/lib/x.dist-info/RECORD", True),
        ("/e/lib/x.pth", True),
        ("/e/conda-meta/x.json", True),
        ("/e/a.sqlite3-wal", True),
        ("/e/.git/config", True),
        ("/e/.git/objects/ab/cdef", False),
        ("/e/package-lock.json", True),  # npm writes into it: with one inode, into that of another project too
        ("/e/lib/libx.so", False),
        ("/e/lib/RECORDS.py", False),
        ("/e/.runworthy-x.tmp", True),
    ],
)
def test_what_is_kept_apart(path: str, *, apart: bool) -> None:
    assert kept_apart(path) is apart
