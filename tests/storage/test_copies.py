"""What is called a copy has the same bytes, whatever happens while it is read."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runworthy.targets import kept
from runworthy.targets.storage import comparing
from runworthy.targets.storage.copies import find_copies
from runworthy.targets.storage.files import Files
from runworthy.targets.storage.index import Index
from runworthy.targets.storage.walk import Selection, Walk, walk, with_caches
from tests.storage.test_walk import ALL, put

LARGE = 200 << 10
"""More than is read at one go."""


def sets(found: Walk, index: Index | None = None, threads: int = 0) -> list[set[str]]:
    copies = find_copies(found, filesystem_of=lambda _: "one", index=index, threads=threads)
    assert list(copies) == sorted(copies, key=lambda one: (-one.size, one.files[0].names))
    return [{name for file in one.files for name in file.names} for one in copies]


def look(top: Path) -> Walk:
    return walk([str(top)], ALL)


def of(*paths: Path) -> set[str]:
    return {str(path) for path in paths}


PIECES = st.sampled_from([b"", b"a", b"b", b"ab", b"ba", bytes(700), bytes(699) + b"x", b"x" + bytes(699)])
CONTENTS = st.lists(PIECES, min_size=1, max_size=3).map(b"".join)
TREES = st.lists(st.one_of(CONTENTS, st.integers(0, 20)), max_size=24)


@pytest.fixture
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small files be read chunk by chunk, and a few of them be too many to be kept open."""
    monkeypatch.setattr(comparing, "_WHOLE", 100)
    monkeypatch.setattr(comparing, "_FIRST", 128)
    monkeypatch.setattr(comparing, "_CHUNK", 512)
    monkeypatch.setattr(comparing, "_LEAST", 64)
    monkeypatch.setattr(comparing, "_HELD", 700)
    monkeypatch.setattr(comparing, "_MANY", 4)
    monkeypatch.setattr(comparing, "_OPEN", 3)


@pytest.mark.usefixtures("_small_chunks")
@settings(max_examples=60, deadline=None)
@given(TREES)
def test_the_same_as_by_contents(tree: list[bytes | int]) -> None:
    """A number is a hard link to the file with that number."""
    with tempfile.TemporaryDirectory() as directory:
        paths: list[Path] = []
        for number, content in enumerate(tree):
            path = Path(os.path.realpath(directory)) / str(number % 3) / str(number)
            if isinstance(content, bytes):
                paths.append(put(path, content))
            elif content < len(paths):
                path.parent.mkdir(exist_ok=True)
                os.link(paths[content], path)
                paths.append(path)
        by_content: dict[bytes, dict[int, set[str]]] = {}
        for path in paths:
            inodes = by_content.setdefault(path.read_bytes(), {})
            inodes.setdefault(path.stat().st_ino, set()).add(str(path))
        expected = [set().union(*inodes.values()) for data, inodes in by_content.items() if data and len(inodes) > 1]
        assert sorted(map(sorted, sets(look(Path(directory))))) == sorted(map(sorted, expected))


def test_large_files_differ_at_the_last_byte(tmp_path: Path) -> None:
    data = os.urandom(LARGE)
    one, two = put(tmp_path / "one", data), put(tmp_path / "two", data)
    put(tmp_path / "three", data[:-1] + bytes([data[-1] ^ 1]))
    assert sets(look(tmp_path)) == [of(one, two)]


def test_file_systems_are_apart_and_joined_by_their_names(tmp_path: Path) -> None:
    put(tmp_path / "one"), put(tmp_path / "two")
    found = look(tmp_path)
    first, second = found.files.values()
    moved = Walk(tops=found.tops, files=Files.of([first, second._replace(device=second.device + 1)]))
    assert not find_copies(moved, filesystem_of=str)


def test_what_lies_in_caches_alone_is_left_out(tmp_path: Path) -> None:
    environment = put(tmp_path / "env" / "file", b"1" * LARGE)
    other = put(tmp_path / "cache" / "a", b"1" * LARGE)
    put(tmp_path / "cache" / "b", b"2" * LARGE)
    put(tmp_path / "cache" / "c", b"2" * LARGE)
    found = with_caches(look(tmp_path / "env"), [str(tmp_path / "cache")])
    assert sets(found) == [of(environment, other)]


# -- what changes meanwhile ------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, LARGE])
@pytest.mark.parametrize("change", ["cut", "grown", "written", "link", "fifo", "gone", "replaced", "directory"])
def test_what_is_not_what_the_walk_saw_drops_out(tmp_path: Path, size: int, change: str) -> None:
    data = bytes(size)
    one, two, three = (put(tmp_path / name, data) for name in ("one", "two", "three"))
    found = look(tmp_path)
    two.chmod(0o600)
    if change == "cut":
        os.truncate(two, size - 1)
    elif change == "grown":
        os.truncate(two, size + 1)
    elif change == "written":
        two.write_bytes(data)
    else:
        two.unlink()
    if change == "link":
        two.symlink_to(one)
    elif change == "fifo":
        os.mkfifo(two)
    elif change == "replaced":
        put(tmp_path / "elsewhere", data).rename(two)
    elif change == "directory":
        two.mkdir()
    problems: list[tuple[str, str]] = []
    (copies,) = find_copies(found, filesystem_of=str, problems=problems)
    assert [file.names for file in copies.files] == [(str(one),), (str(three),)]
    assert problems == [(str(two), comparing.CHANGED)]


def test_a_change_during_the_last_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are equal to the last byte, and one is written to before they are called so."""
    one, two = put(tmp_path / "one", bytes(LARGE)), put(tmp_path / "two", bytes(LARGE))
    found = look(tmp_path)
    real, looks = Files.is_same, []

    def written(self: Files, number: int, status: os.stat_result) -> bool:
        looks.append(number)
        if len(looks) == 3:
            two.write_bytes(b"x" * LARGE)
            status = os.stat(two)
        return real(self, number, status)

    monkeypatch.setattr(Files, "is_same", written)
    assert sets(found, threads=1) == []
    assert len(looks) == 4
    assert one.read_bytes() != two.read_bytes()


def test_more_files_than_can_be_open(tmp_path: Path) -> None:
    import resource

    data = os.urandom(LARGE)
    paths = [put(tmp_path / str(number), data) for number in range(30)]
    found = look(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 8, hard))
    try:
        problems: list[tuple[str, str]] = []
        (copies,) = find_copies(found, filesystem_of=str, threads=1, problems=problems)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(copies.files) == len(paths)
    assert problems == []


def test_progress_ends_with_all_bytes(tmp_path: Path) -> None:
    put(tmp_path / "one", b"same"), put(tmp_path / "two", b"same")
    told: list[tuple[str, int, int]] = []
    found = walk([str(tmp_path)], ALL, lambda *what: told.append(what))
    find_copies(found, filesystem_of=str, watch=lambda *what: told.append(what))
    assert told == [("scan", 2, 2), ("compare", 8, 8)]


# -- what is remembered ----------------------------------------------------------------------


@pytest.fixture
def index(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    monkeypatch.setattr(kept, "_SETTLED", -(10**12))  # what a test is about to make counts as made long ago
    made = Index(str(tmp_path_factory.mktemp("cache")))
    yield made
    made.close()


def reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the base name of each file that is opened."""
    opened: list[str] = []
    real = comparing.open_quietly

    def noted(path: str) -> int:
        opened.append(os.path.basename(path))
        return real(path)

    monkeypatch.setattr(comparing, "open_quietly", noted)
    return opened


def test_a_second_run_reads_nothing(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = put(tmp_path / "one", b"same"), put(tmp_path / "two", b"same")
    put(tmp_path / "three", b"else")
    (first,) = find_copies(look(tmp_path), filesystem_of=str, index=index)
    assert first.proof == "compared"
    opened = reading(monkeypatch)
    (second,) = find_copies(look(tmp_path), filesystem_of=str, index=index)
    assert second.proof == "remembered"
    assert second.files == first.files
    assert opened == []
    os.utime(one)
    assert sets(look(tmp_path), index) == [of(one, two)]
    assert sorted(opened) == ["one", "three", "two"]


def test_a_scan_that_sees_the_same_is_remembered_as_a_whole(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changes about a file, its sets are put together anew."""
    one, two = put(tmp_path / "one", b"same"), put(tmp_path / "two", b"same")
    three = put(tmp_path / "three", b"else")
    asked: list[int] = []
    real = Index.classes

    def noted(self: Index, signatures: Sequence[bytes]) -> list[bytes | None]:
        asked.append(len(signatures))
        return real(self, signatures)

    monkeypatch.setattr(Index, "classes", noted)
    for expected in (1, 1):
        assert sets(look(tmp_path), index) == [of(one, two)]
        assert len(asked) == expected
    three.write_bytes(b"same")
    assert sets(look(tmp_path), index) == [of(one, two, three)]
    two.rename(tmp_path / "four")
    assert sets(look(tmp_path), index) == [of(one, three, tmp_path / "four")]
    os.link(one, tmp_path / "five")
    assert sets(look(tmp_path), index) == [of(one, three, tmp_path / "four", tmp_path / "five")]
    three.unlink()
    assert sets(look(tmp_path), index) == [of(one, tmp_path / "four", tmp_path / "five")]
    assert len(asked) == 5
    assert sets(look(tmp_path), index) == [of(one, tmp_path / "four", tmp_path / "five")]
    assert len(asked) == 5


def test_only_the_last_scans_are_kept(index: Index) -> None:
    for number in range(20):
        index.keep(bytes([number]), [[number, 99]], [1])
    index.keep(b"now", [[1, 2]], [time.time_ns() + 10**13])
    assert index.sets(b"now") == []
    assert [bytes([number]) for number in range(20) if index.sets(bytes([number]))] == [
        bytes([number]) for number in range(4, 20)
    ]
    assert [list(one) for one in index.sets(bytes([19]))] == [[19, 99]]


@pytest.mark.parametrize("held", [b"", b"odd", b"\x09\0\0\0\x01\0\0\0", bytes(4), "text", None])
def test_a_damaged_scan_is_no_scan(index: Index, held: object) -> None:
    import sqlite3

    index.keep(b"key", [[1, 2]], [1])
    with sqlite3.connect(index.path) as connection:
        connection.execute("UPDATE scans SET sets = ?", (held,))
    connection.close()
    assert index.sets(b"key") == []


def test_classes_of_different_runs_are_compared(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs looked at two trees; a third one looks at both, and reads one file of each class."""
    a = [put(tmp_path / "a" / f"a{number}", b"same") for number in range(3)]
    b = [put(tmp_path / "b" / f"b{number}", b"same") for number in range(3)]
    sets(look(tmp_path / "a"), index), sets(look(tmp_path / "b"), index)
    opened = reading(monkeypatch)
    assert sets(look(tmp_path), index) == [of(*a, *b)]
    assert len(opened) == 2
    opened.clear()
    assert sets(look(tmp_path), index) == [of(*a, *b)]
    assert opened == []


def test_what_stands_for_a_class_goes_away(tmp_path: Path, index: Index) -> None:
    paths = [put(tmp_path / f"{number}", b"same") for number in range(3)]
    sets(look(tmp_path), index)
    new = put(tmp_path / "new", b"same")
    found = look(tmp_path)
    first = next(file.names[0] for file in found.files.values() if file.names != (str(new),))
    os.unlink(first)
    assert sets(found, index) == [of(*paths, new) - {first}]


def test_what_was_changed_just_now_is_not_remembered(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_SETTLED", 10**12)
    put(tmp_path / "one", b"same"), put(tmp_path / "two", b"same")
    sets(look(tmp_path), index)
    opened = reading(monkeypatch)
    sets(look(tmp_path), index)
    assert len(opened) == 2


@pytest.mark.parametrize("damage", [b"nonsense" * 1000, b"", None])
def test_a_damaged_index_is_made_anew(tmp_path: Path, index: Index, damage: bytes | None) -> None:
    one, two = put(tmp_path / "one", b"same"), put(tmp_path / "two", b"same")
    sets(look(tmp_path), index)
    index.close()
    if damage is None:
        import sqlite3

        with sqlite3.connect(index.path) as connection:
            connection.execute("UPDATE stretches SET rows = 'no bytes'")
            connection.execute("UPDATE scans SET sets = 'no bytes'")
        connection.close()
    else:
        Path(index.path).write_bytes(damage)
    for _ in range(2):
        assert sets(look(tmp_path), index) == [of(one, two)]
    assert index.info().files == 2


def test_telling_what_is_new(index: Index) -> None:
    assert index.unseen(["a", "b"]) == {"a", "b"}
    index.tell(["a"])
    index.tell(["a"])
    assert index.unseen(["a", "b"]) == {"b"}
    assert index.info().told == 1
    index.clear()
    assert index.unseen(["a"]) == {"a"}
    assert Index(index.path + "-nothing").info().size == 0


def test_selection_by_size_leaves_smaller_ones_alone(tmp_path: Path) -> None:
    put(tmp_path / "one", b"same"), put(tmp_path / "two", b"same")
    assert sets(walk([str(tmp_path)], Selection(min_size=5))) == []


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="holes cannot be told from zeros here")
def test_holes_are_not_read(tmp_path: Path) -> None:
    """Each of them says that it is as long as takes minutes to read."""
    half, zeros = 1 << 39, bytes(1 << 20)  # zeros that are stored are what holes are, too
    contents = {"a": (0, b"x"), "b": (0, b"x"), "c": (half, b"x"), "d": (half, b"x"), "e": (half, b"y")}
    for name, (where, data) in {**contents, "f": (0, zeros), "g": (half, zeros), "h": (0, b"")}.items():
        with (tmp_path / name).open("wb") as file:
            file.seek(where)
            file.write(data)
            file.truncate(1 << 40)
    assert sets(look(tmp_path)) == [{str(tmp_path / name) for name in names} for names in ("ab", "cd", "fgh")]
