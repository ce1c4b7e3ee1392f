"""Files that differ in a few blocks alone: which are tried, what is found, and what sharing the rest frees."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runworthy.engine.dedupe import Search, dedupe_of
from runworthy.model.storage import Copies, EnvironmentKind, Owner, Partial, StoredFile
from runworthy.storage.likely import likely
from runworthy.targets.storage.extents import exclusive
from runworthy.targets.storage.partial import equal_ranges, find_partial
from runworthy.targets.storage.sharing import share_ranges
from tests.storage import ground
from tests.storage.ground import Ground
from tests.storage.test_extents import BLOCK, cloned, metadata, noise, opened, overwritten, state, stored, written

PLACEHOLDER = b"/home/conda/feedstock_root/build_artifacts/python_1712345678901/_h_env" + b"_placehold" * 18


def binary(placeholders: int = 6, size: int = 500_093) -> bytes:
    """A program of a package, with paths in it that begin with a placeholder of 255 bytes, as conda-build makes it."""
    data = bytearray(noise(size))
    for number in range(placeholders):
        at = 1000 + number * (size // placeholders)
        text = PLACEHOLDER + b"/lib/python3.12/lib-dynload\0"
        data[at : at + len(text)] = text
    return bytes(data)


def patched(data: bytes, prefix: bytes) -> bytes:
    """What an installer makes of it: the path gets shorter, and zeros fill what that leaves.

    As conda does (conda/core/portability.py, replace_long_shebang and binary_replace) and rattler
    (crates/rattler/src/install/link.rs, copy_and_replace_cstring_placeholder).
    """
    parts = data.split(PLACEHOLDER)
    found = [parts[0]]
    for part in parts[1:]:
        text, end, rest = part.partition(b"\0")
        found.append(prefix + text + end + bytes(len(PLACEHOLDER) - len(prefix)) + rest)
    return b"".join(found)


# -- which are tried -------------------------------------------------------------------------


def known(path: str, inode: int, *, size: int = 100_000, device: int = 1, links: int = 1) -> StoredFile:
    return StoredFile(
        device=device,
        inode=inode,
        size=size,
        allocated=size,
        mode=0o100644,
        uid=0,
        gid=0,
        links=links,
        mtime=0,
        ctime=0,
        names=(path,),
    )


KINDS: Mapping[str, EnvironmentKind] = {
    "/a": "conda",
    "/b": "conda",
    "/v": "venv",
    "/cache": "rattler-cache",
    "/t": "tree",
    "/u": "tree",
}


def tried(
    *files: StoredFile, copies: Sequence[Copies] = (), packages: Mapping[str, str] | None = None
) -> list[tuple[str, ...]]:
    def owner(path: str) -> Owner:
        environment = path[: path.index("/", 1)]
        package = (packages or {}).get(path, "")
        return Owner(environment=environment, package=package, version="1" if package else "")

    groups = likely(
        files,
        copies,
        owner=owner,
        kinds=KINDS,
        filesystem_of=lambda device: {1: "btrfs:x", 2: "btrfs:x", 3: "ext4:8:1"}[device],
        reflinks=lambda filesystem: filesystem.startswith("btrfs"),
    )
    return [tuple(file.names[0] for file in group) for group in groups]


def test_one_place_in_two_environments_of_one_kind() -> None:
    files = [known("/a/lib/x.so", 1), known("/b/lib/x.so", 2), known("/v/lib/x.so", 3)]
    assert tried(*files) == [("/a/lib/x.so", "/b/lib/x.so")]


def test_one_file_of_one_package_whatever_holds_it() -> None:
    files = [known("/a/bin/python", 1), known("/cache/python-1-h0/bin/python", 2), known("/v/bin/python", 3)]
    packages = {"/a/bin/python": "python", "/cache/python-1-h0/bin/python": "python", "/v/bin/python": "other"}
    assert tried(*files, packages=packages) == [("/a/bin/python", "/cache/python-1-h0/bin/python")]


def test_one_group_is_told_once() -> None:
    packages = {"/a/bin/x": "x", "/b/bin/x": "x"}
    assert tried(known("/a/bin/x", 1), known("/b/bin/x", 2), packages=packages) == [("/a/bin/x", "/b/bin/x")]


@pytest.mark.parametrize(
    "other",
    [
        known("/b/lib/x.so", 2, size=100_001),
        known("/b/lib/y.so", 2),
        known("/b/lib64/x.so", 2),
        known("/b/lib/x.so", 2, device=3),
        known("/b/lib/x.so", 1),
        known("/elsewhere/lib/x.so", 2),
    ],
    ids=["size", "name", "place", "file-system", "same", "no-environment"],
)
def test_others_are_not_tried(other: StoredFile) -> None:
    assert not tried(known("/a/lib/x.so", 1), other)


def test_small_ones_are_not_tried() -> None:
    assert not tried(known("/a/x", 1, size=65535), known("/b/x", 2, size=65535))
    assert tried(known("/a/x", 1, size=65536), known("/b/x", 2, size=65536))


def test_subvolumes_are_of_one_file_system() -> None:
    assert tried(known("/a/x", 1), known("/b/x", 1, device=2)) == [("/a/x", "/b/x")]


def test_of_copies_one_is_tried() -> None:
    files = (known("/a/x", 1), known("/b/x", 2, links=5))
    copies = Copies(size=100_000, filesystem="btrfs:x", files=files)
    assert not tried(*files, copies=[copies])
    third = known("/a/x", 3, device=2)
    assert tried(*files, third, copies=[copies]) == [("/a/x", "/b/x")]


# -- what is equal ---------------------------------------------------------------------------


@contextmanager
def both(tmp_path: Path, one: bytes | bytearray, other: bytes | bytearray) -> Iterator[tuple[int, int]]:
    paths = [tmp_path / "one", tmp_path / "other"]
    for path, data in zip(paths, (one, other), strict=True):
        path.write_bytes(data)
    with opened(*paths) as (first, second):
        yield first, second


def test_ranges_are_what_is_equal_in_whole_blocks(tmp_path: Path) -> None:
    data = bytearray(noise(10 * BLOCK + 5))
    with both(tmp_path, data, data) as fds:
        assert equal_ranges(*fds, len(data)) == [(0, len(data))]
    other = bytearray(data)
    other[3 * BLOCK] ^= 1
    other[5 * BLOCK - 1] ^= 1
    with both(tmp_path, data, other) as fds:
        assert equal_ranges(*fds, len(data)) == [(0, 3 * BLOCK), (5 * BLOCK, len(data))]
        assert equal_ranges(*fds, len(data) + 1) == [], "it is shorter than it was"
    other[-1] ^= 1
    with both(tmp_path, data, other) as fds:
        assert equal_ranges(*fds, len(data)) == [(0, 3 * BLOCK), (5 * BLOCK, 10 * BLOCK)]


@given(changes=st.lists(st.integers(0, 40 * 64 - 1), max_size=12), size=st.integers(20 * 64, 40 * 64))
def test_ranges_hold_equal_bytes_alone_and_all_equal_blocks(changes: list[int], size: int) -> None:
    data = noise(size)
    other = bytearray(data)
    for change in changes:
        if change < size:
            other[change] ^= 0xFF
    with temporary(data, bytes(other)) as fds:
        found = equal_ranges(*fds, size, 64)
    blocks = [(at, min(at + 64, size)) for at in range(0, size, 64)]
    equal = {block for block in blocks if data[slice(*block)] == other[slice(*block)]}
    if len(blocks) - len(equal) > len(blocks) / 2:
        assert found == []
    else:
        assert {block for block in blocks if any(low <= block[0] < high for low, high in found)} == equal
        assert all(before < after for (_, before), (after, _) in pairwise(found))


@contextmanager
def temporary(one: bytes, other: bytes) -> Iterator[tuple[int, int]]:
    first, second = os.memfd_create("one"), os.memfd_create("other")
    try:
        os.write(first, one)
        os.write(second, other)
        yield first, second
    finally:
        os.close(first)
        os.close(second)


@pytest.mark.parametrize(("differing", "found"), [(5, [(5 * BLOCK, 10 * BLOCK)]), (6, [])])
def test_half_of_the_blocks_may_differ(differing: int, found: list[tuple[int, int]]) -> None:
    with temporary(bytes(10 * BLOCK), b"x" * differing * BLOCK + bytes((10 - differing) * BLOCK)) as fds:
        assert equal_ranges(*fds, 10 * BLOCK) == found


def test_files_with_nothing_in_common_are_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 64 << 20
    with temporary(b"a" * (5 << 20), b"b" * (5 << 20)) as fds:
        for fd in fds:
            os.truncate(fd, size)
        read = []
        plain = os.pread

        def pread(fd: int, length: int, at: int) -> bytes:
            read.append(at)
            return plain(fd, length, at)

        monkeypatch.setattr(os, "pread", pread)
        assert equal_ranges(*fds, size) == []
    assert max(read) < 4 << 20


# -- what is found, and what it gives --------------------------------------------------------


def found(*paths: Path) -> tuple[Partial, ...]:
    return find_partial([tuple(map(stored, paths))])


def shared(disk: Ground, one: Partial) -> int:
    with opened(Path(one.kept.names[0]), Path(one.file.names[0]), disk.path) as (kept, file, directory):
        return share_ranges(kept, file, one.ranges, directory=directory)


@pytest.mark.judge
def test_programs_with_a_prefix_in_them(reflinking: Ground) -> None:
    """The same program in two environments: 6 places of it are patched, all else is shared and freed."""
    program = binary()
    a = written(reflinking.path / "a", patched(program, b"/home/user/one/.pixi/envs/default"))
    b = written(reflinking.path / "b", patched(program, b"/srv/elsewhere/.pixi/envs/default"))
    assert len(a.read_bytes()) == len(b.read_bytes()) == len(program)
    (one,) = found(a, b)
    assert (one.file.names, one.kept.names) == ((str(b),), (str(a),))
    assert one.equal == sum(length for _, length in one.ranges)
    assert len(one.ranges) == 6
    assert len(program) - one.equal <= 6 * BLOCK + BLOCK
    before, used = (state(a), state(b)), reflinking.used()
    assert shared(reflinking, one) == one.equal
    assert (state(a), state(b)) == before
    freed = used - reflinking.used()
    assert abs(freed - one.equal) <= 6 * BLOCK  # each block that differs may lie alone
    assert found(a, b) == (), "what is shared is not found again"
    with opened(b) as (fd,):
        assert exclusive(fd) == pytest.approx(len(program) - one.equal, abs=2 * BLOCK)


@pytest.mark.judge
def test_a_search_tells_of_them_until_they_are_shared(
    reflinking: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNWORTHY_CACHE_DIR", str(tmp_path))
    program = binary()
    for name in ("one", "two"):
        environment = reflinking.path / name / ".pixi/envs/default"
        (environment / "conda-meta").mkdir(parents=True)
        (environment / "bin").mkdir()
        written(environment / "bin/python3.12", patched(program, bytes(environment)))
        path = {"_path": "bin/python3.12", "path_type": "hardlink", "prefix_placeholder": PLACEHOLDER.decode()}
        record = {"name": "python", "version": "3.12.1", "build": "h1_0", "files": ["bin/python3.12"]}
        text = json.dumps({**record, "paths_data": {"paths_version": 1, "paths": [{**path, "file_mode": "binary"}]}})
        (environment / "conda-meta/python-3.12.1-h1_0.json").write_text(text)
    search = Search(paths=(str(reflinking.path),), caches=False, index=False)
    report = dedupe_of(search)
    (one,) = report.partial
    assert [finding.code for result in report.results for finding in result.findings] == ["RW816"]
    assert report.frees == one.equal > len(program) - 7 * BLOCK
    guard = Search(paths=(str(reflinking.path),), caches=False, new=True)
    assert [dedupe_of(guard).frees for _ in range(2)] == [one.equal, 0], "a guard tells of them once"
    used = reflinking.used()
    shared(reflinking, one)
    assert abs(used - reflinking.used() - report.frees) <= 6 * BLOCK
    assert not dedupe_of(search).results


@pytest.mark.judge
def test_without_a_directory_btrfs_frees_nothing(btrfs: Ground, xfs: Ground) -> None:
    """A block that is used holds its whole extent there. That is why a directory is given."""
    freed = {}
    for disk in (btrfs, xfs):
        data = noise(200 * BLOCK)
        a, b = written(disk.path / "a", data), written(disk.path / "b", data)
        overwritten_before_it_lies(b, data)
        used = disk.used()
        with opened(a, b) as (one, other):
            share_ranges(one, other, [(0, 100 * BLOCK), (101 * BLOCK, 99 * BLOCK)])
        freed[disk.kind] = used - disk.used()
    assert freed == {"btrfs": 0, "xfs": 199 * BLOCK}


def overwritten_before_it_lies(path: Path, data: bytes) -> None:
    """Write a file anew, in one extent, with another block in its middle."""
    path.unlink()
    written(path, data[: 100 * BLOCK] + bytes(BLOCK) + data[101 * BLOCK :])


@pytest.mark.judge
def test_several_share_with_the_first(reflinking: Ground) -> None:
    program = binary(2)
    paths = [
        written(reflinking.path / f"{number}", patched(program, b"/srv/%d" % number * number)) for number in range(1, 5)
    ]
    some = found(*paths)
    assert [one.kept.names for one in some] == [(str(paths[0]),)] * 3
    assert {one.file.names[0] for one in some} == {str(path) for path in paths[1:]}
    used = reflinking.used()
    told = sum(shared(reflinking, one) for one in some)
    assert abs(used - reflinking.used() - told) <= 3 * 2 * BLOCK + metadata(reflinking, told)


@pytest.mark.judge
def test_two_that_have_nothing_in_common_with_the_others(reflinking: Ground) -> None:
    program = binary(2)
    a, b = (written(reflinking.path / name, patched(program, name.encode())) for name in "ab")
    c, d = (written(reflinking.path / name, noise(len(program), ord(name))) for name in "cd")
    assert [(one.file.names[0], one.kept.names[0]) for one in found(a, b, c, d)] == [(str(b), str(a))]
    assert found(c, d) == ()


@pytest.mark.judge
def test_what_others_have_as_well_is_left(reflinking: Ground) -> None:
    """Nothing would be freed of what is shared; of two the one with storage of its own is changed."""
    program = binary(2)
    a, b = (written(reflinking.path / name, patched(program, name.encode())) for name in "ab")
    cloned(b, reflinking.path / "c")
    (one,) = found(a, b)
    assert (one.file.names, one.kept.names) == ((str(a),), (str(b),))
    cloned(a, reflinking.path / "d")
    assert found(a, b) == ()
    overwritten(a, 0, a.read_bytes()[: 20 * BLOCK])
    (one,) = find_partial([(stored(a), stored(b))], least=BLOCK)
    assert one.ranges == ((BLOCK, 19 * BLOCK),)


@pytest.mark.judge
def test_who_changes_or_goes_is_left_out(reflinking: Ground) -> None:
    program = binary(2)
    a, b = (written(reflinking.path / name, patched(program, name.encode())) for name in "ab")
    seen = (stored(a), stored(b))
    assert find_partial([seen])
    assert find_partial([(seen[0], seen[1]._replace(ctime=1))]) == ()
    b.unlink()
    assert find_partial([seen]) == ()
    os.mkfifo(b)
    assert find_partial([seen]) == ()


@pytest.mark.judge
def test_who_is_written_to_while_it_is_read_is_left_out(reflinking: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    program = binary(2)
    a, b = (written(reflinking.path / name, patched(program, name.encode())) for name in "ab")
    seen, plain = (stored(a), stored(b)), os.pread

    def pread(fd: int, length: int, at: int) -> bytes:
        overwritten(b, 100, b"other")
        return plain(fd, length, at)

    monkeypatch.setattr(os, "pread", pread)
    assert find_partial([seen]) == ()
    assert b.stat().st_size == len(program)


@pytest.mark.judge
def test_small_equal_parts_are_not_worth_it(reflinking: Ground) -> None:
    data = bytearray(noise(100 * BLOCK))
    a = written(reflinking.path / "a", data)
    for block in (50, 54, 59):  # three and four blocks lie between them
        data[block * BLOCK] ^= 1
    (one,) = found(a, written(reflinking.path / "b", data))
    assert one.ranges == ((0, 50 * BLOCK), (55 * BLOCK, 4 * BLOCK), (60 * BLOCK, 40 * BLOCK))


@pytest.mark.judge
@pytest.mark.parametrize("block", [0, 60, 122], ids=["first", "middle", "tail"])
def test_a_block_that_differs_may_lie_anywhere(reflinking: Ground, block: int) -> None:
    data = bytearray(noise())
    a = written(reflinking.path / "a", data)
    data[block * BLOCK] ^= 1
    b = written(reflinking.path / "b", data)
    (one,) = found(a, b)
    before, used = state(b), reflinking.used()
    assert shared(reflinking, one) == one.equal
    assert state(b) == before
    assert used - reflinking.used() == 122 * BLOCK


@pytest.mark.judge
def test_without_room_for_the_rest_it_is_shared_all_the_same(btrfs: Ground) -> None:
    data = bytearray(noise(2 << 20))
    a = written(btrfs.path / "a", data)
    data[1 << 20 : 3 << 19] = noise(1 << 19, 2)
    b = written(btrfs.path / "b", data)
    (one,) = found(a, b)
    before = state(b)
    filling = ground.fill(btrfs.path)
    assert shared(btrfs, one) == one.equal == 3 << 19
    assert state(b) == before
    assert sorted(os.listdir(btrfs.path)) == ["a", "b", filling.name]


@pytest.mark.judge
def test_ranges_that_differ_by_now_are_left(reflinking: Ground) -> None:
    program = binary(2)
    a, b = (written(reflinking.path / name, patched(program, name.encode())) for name in "ab")
    (one,) = found(a, b)
    overwritten(b, one.ranges[0][0] + 5, b"other")
    before, used = state(b), reflinking.used()
    told = shared(reflinking, one)
    assert told == one.equal - one.ranges[0][1]
    assert state(b) == before
    assert abs(used - reflinking.used() - told) <= 3 * BLOCK


@pytest.mark.judge
def test_progress_is_told_in_bytes(reflinking: Ground) -> None:
    paths = [written(reflinking.path / name, noise(100_000, ord(name))) for name in "abcd"]
    told: list[tuple[str, int, int]] = []
    groups = [tuple(map(stored, paths[:2])), tuple(map(stored, paths[2:]))]
    find_partial(groups, watch=lambda *row: told.append(row))
    assert told == [("partial", 200_000, 400_000), ("partial", 400_000, 400_000)]
