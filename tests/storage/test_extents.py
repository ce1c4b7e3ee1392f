"""Maps of extents, what is shared by them, and what a file has for itself: as other tools and statvfs say."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from runworthy.model.records import replace
from runworthy.model.storage import Copies, StoredFile
from runworthy.targets.storage import ioctls
from runworthy.targets.storage.btrfs import Stored, parse_items, stored_extents
from runworthy.targets.storage.extents import exclusive, exclusive_of, own_of, storage_of, with_extents
from runworthy.targets.storage.ioctls import Extent, clone, dedupe_range, fiemap, number_of
from runworthy.targets.storage.sharing import own_storage, share_ranges
from tests.judges.roots import requires_tool
from tests.storage import ground
from tests.storage.ground import Ground

BLOCK = 4096
SIZE = 500_093
FS_IOC_SETFLAGS = 0x40086602  # linux/fs.h
PACKED = re.compile(r"\s*\d+:\s*(\d+)\.\.\s*(\d+):\s*(\d+)\.\.\s*\d+:\s*\d+:(?:\s*\d+:)?\s*([a-z_,0-9]*)")
JUDGED = {"last": 0x1, "encoded": 0x8, "inline": 0x200, "unwritten": 0x800, "shared": 0x2000, "unknown_loc": 0x2}


def noise(size: int = SIZE, seed: int = 1) -> bytes:
    return hashlib.shake_128(b"%d" % seed).digest(size)


@contextmanager
def opened(*paths: Path, how: int = os.O_RDONLY) -> Iterator[list[int]]:
    fds = [os.open(path, how) for path in paths]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def written(path: Path, data: bytes | bytearray) -> Path:
    path.write_bytes(data)
    with opened(path) as (fd,):
        os.fsync(fd)
    return path


def cloned(source: Path, target: Path) -> Path:
    target.touch()
    with opened(source) as (one,), opened(target, how=os.O_RDWR) as (other,):
        clone(one, other)
    return target


def overwritten(path: Path, offset: int, data: bytes) -> None:
    with opened(path, how=os.O_RDWR) as (fd,):
        os.pwrite(fd, data, offset)
        os.fsync(fd)


def stored(*paths: Path) -> StoredFile:
    status = paths[0].lstat()
    return StoredFile(
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
        allocated=status.st_blocks * 512,
        mode=status.st_mode,
        uid=status.st_uid,
        gid=status.st_gid,
        links=status.st_nlink,
        mtime=status.st_mtime_ns,
        ctime=status.st_ctime_ns,
        names=tuple(sorted(map(str, paths))),
    )


def numbers(*paths: Path, reflinks: bool = True) -> tuple[int, ...]:
    copies = Copies(size=SIZE, filesystem="it", files=tuple(map(stored, paths)))
    (found,) = with_extents((copies,), {"it": reflinks}.__getitem__, lambda _: "it")
    assert replace(found, extents=()) == copies
    return found.extents


def own(path: Path) -> int:
    with opened(path) as (fd,):
        return exclusive(fd)


def mapped(path: Path) -> tuple[Extent, ...]:
    with opened(path) as (fd,):
        return fiemap(fd, sync=True)


def state(path: Path) -> tuple[object, ...]:
    """All that sharing leaves as it is."""
    status = path.lstat()
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_mode, status.st_uid, *times, path.read_bytes())


def metadata(disk: Ground, size: int) -> int:
    """What checksums of so many bytes take at most: btrfs has 4 bytes for each block, in nodes of 16 KiB, twice."""
    return 2 * (-(-size // BLOCK * 4 // 16384) * 2 * 16384) if disk.kind == "btrfs" and size > SIZE else 0


# -- what needs no file system ---------------------------------------------------------------


def _struct_fiemap(mapped: int, rows: Sequence[tuple[int, int, int, int]]) -> bytes:
    head = struct.pack("=QQIIII", 0, 0, 0, mapped, len(rows), 0)
    return head + b"".join(
        struct.pack("=QQQQQIIII", logical, physical, length, 7, 7, flags, 7, 7, 7)
        for logical, physical, length, flags in rows
    )


def test_a_map_is_read() -> None:
    rows = [(0, 1 << 40, 4096, 0x2000), (8192, (1 << 63) + 1, (1 << 63) + 2, 0xFFFFFFFF)]
    found = ioctls.parse_fiemap(_struct_fiemap(2, rows))
    assert [(one.logical, one.physical, one.length, one.flags) for one in found] == rows


@pytest.mark.parametrize("mapped", [0, 1, 2, 3, (1 << 32) - 1])
def test_a_map_is_read_no_further_than_it_is_long(mapped: int) -> None:
    raw = _struct_fiemap(mapped, [(0, 8192, 4096, 0), (4096, 65536, 4096, 1)])
    assert len(ioctls.parse_fiemap(raw)) == min(mapped, 2)


def test_own_ranges_are_joined_and_leave_out_what_is_shared_or_lies_inline() -> None:
    rows = [(0, 1, 0), (4096, 9, 0), (8192, 17, ioctls.SHARED), (12288, 25, 0), (20480, 1, 0), (24576, 0, 0x200)]
    extents = [Extent(logical=at, physical=where << 12, length=4096, flags=flags) for at, where, flags in rows]
    assert list(own_of(extents)) == [(0, 8192), (12288, 16384), (20480, 24576)]
    assert not list(own_of(()))


def _extents(*rows: tuple[int, int, int, int]) -> list[Extent]:
    return [Extent(logical=row[0] << 12, physical=row[1] << 12, length=row[2] << 12, flags=row[3]) for row in rows]


_S, _ENCODED = ioctls.SHARED, ioctls.SHARED | ioctls.ENCODED


@pytest.mark.parametrize(
    ("one", "other", "storages"),
    [
        ([(0, 50, 8, _S)], [(0, 50, 3, _S), (3, 53, 5, _S | 1)], 1),
        ([(0, 50, 8, _S)], [(0, 51, 8, _S)], 2),
        ([(0, 50, 8, _S)], [(1, 50, 8, _S)], 2),
        ([(0, 50, 8, _S)], [(0, 50, 7, _S)], 2),
        ([(0, 50, 8, _S)], [(0, 50, 8, _S), (10, 60, 8, _S)], 2),
        ([(0, 50, 8, _S)], [(0, 50, 8, _S), (200, 60, 8, 0)], 1),
        ([(0, 50, 8, _ENCODED)], [(0, 50, 3, _ENCODED), (3, 53, 5, _ENCODED)], 2),
        ([], [], 1),
    ],
    ids=["cut", "elsewhere", "other-place", "shorter", "more", "behind-the-end", "encoded", "holes"],
)
def test_storage_is_told_by_the_map(
    one: list[tuple[int, int, int, int]], other: list[tuple[int, int, int, int]], storages: int
) -> None:
    found = {storage_of(_extents(*rows), 100 << 12) for rows in (one, other)}
    assert all(found)
    assert len(found) == storages


@pytest.mark.parametrize("flags", [0, _S | ioctls.DELALLOC, _S | ioctls.UNKNOWN, _S | ioctls.INLINE])
def test_what_has_no_place_or_is_its_own_shares_nothing(flags: int) -> None:
    """Two maps that are read one after the other may name one place of which neither shares anything."""
    assert not storage_of(_extents((0, 50, 8, _S), (8, 58, 8, flags)), 100 << 12)


def test_elsewhere_than_on_linux_it_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    for ask in (ioctls.flags, ioctls.filesystem_type, fiemap):
        with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
            ask(0)


def test_the_numbers_are_those_of_the_headers() -> None:
    assert number_of("rw", ord("f"), 11, 32, "aarch64") == 0xC020660B
    assert number_of("rw", 0x94, 54, 24, "x86_64") == 0xC0189436
    assert number_of("w", 0x94, 9, 4, "riscv64") == 0x40049409


@pytest.mark.parametrize("machine", ["ppc64le", "mips64"])
def test_some_machines_number_otherwise(machine: str) -> None:
    # arch/powerpc: _IOC_READ 2 and _IOC_WRITE 4 above 13 bits of size
    assert number_of("w", 0x94, 9, 4, machine) == 0x80049409
    assert number_of("rw", 0x94, 54, 24, machine) == 0xC0189436
    assert number_of("r", ord("f"), 1, 8, machine) == 0x40086601


def test_only_file_systems_that_share_are_asked(tmp_path: Path) -> None:
    paths = [written(tmp_path / name, b"x" * SIZE) for name in "ab"]
    assert not numbers(*paths, reflinks=False)


# -- maps ------------------------------------------------------------------------------------


def _filefrag(path: Path) -> list[tuple[int, int, int, int]]:
    """What another reader of the same map makes of it, in bytes: (logical, physical, length, flags)."""
    requires_tool("filefrag", package="e2fsprogs")
    text = subprocess.check_output(["filefrag", "-v", "-s", "-b1", str(path)], text=True)
    rows = []
    for row in filter(None, map(PACKED.match, text.splitlines())):
        words = row[4].split(",")
        flags = sum(number for word, number in JUDGED.items() if word in words)
        rows.append((int(row[1]), int(row[3]), int(row[2]) - int(row[1]) + 1, flags))
    return rows


@pytest.mark.judge
@pytest.mark.parametrize("kind", ["whole", "holes", "reserved", "small", "changed", "pages"])
def test_a_map_is_as_filefrag_says(everywhere: Ground, kind: str) -> None:
    """``pages``: more extents than one call tells."""
    path = everywhere.path / "it"
    data = noise()
    if kind in ("whole", "changed"):
        written(path, data)
    elif kind == "small":
        written(path, data[:1000])
    else:
        path.touch()
        with opened(path, how=os.O_RDWR) as (fd,):
            if kind == "reserved":
                os.posix_fallocate(fd, 0, SIZE)
            for number in range(700 if kind == "pages" else 3):
                os.pwrite(fd, data[:BLOCK], number * 3 * BLOCK)
                if kind == "pages" and number % 50 == 0:
                    os.fsync(fd)
            os.fsync(fd)
    if kind == "changed" and everywhere.kind != "ext4":
        cloned(path, everywhere.path / "other")
        overwritten(path, 10 * BLOCK, b"y" * 3 * BLOCK)
    found = mapped(path)
    known = sum(JUDGED.values())
    assert [(one.logical, one.physical, one.length, one.flags & known) for one in found] == _filefrag(path)
    if kind == "pages":  # xfs sets room aside between them
        assert sum(not one.flags & ioctls.UNWRITTEN for one in found) == 700


@pytest.mark.judge
def test_a_range_of_a_map(everywhere: Ground) -> None:
    path = everywhere.path / "it"
    path.touch()
    with opened(path, how=os.O_RDWR) as (fd,):
        for number in range(600):
            os.pwrite(fd, b"x" * BLOCK, number * 2 * BLOCK)
        os.fsync(fd)
        found = fiemap(fd, start=100 * 2 * BLOCK, length=3 * 2 * BLOCK, sync=True)
    assert [one.logical // BLOCK for one in found if not one.flags & ioctls.UNWRITTEN] == [200, 202, 204]


@pytest.mark.judge
def test_a_file_system_is_told_by_its_number(ext4: Ground, xfs: Ground, btrfs: Ground, tmpfs: Ground) -> None:
    known = ((ext4, ioctls.EXT), (xfs, ioctls.XFS), (btrfs, ioctls.BTRFS), (tmpfs, ioctls.TMPFS))
    for disk, number in known:
        with opened(disk.path) as (fd,):
            assert ioctls.filesystem_type(fd) == number
            shown = subprocess.check_output(["stat", "--file-system", "--format=%t", disk.path], text=True)
            assert int(shown, 16) == number
    with ground.overlaid(ext4.path, xfs.path) as overlay, opened(overlay.path) as (fd,):
        assert ioctls.filesystem_type(fd) == ioctls.OVERLAY


@pytest.mark.judge
@pytest.mark.parametrize(("letter", "number"), [("i", ioctls.IMMUTABLE), ("a", ioctls.APPEND), ("C", ioctls.NOCOW)])
def test_flags_are_those_that_chattr_sets(btrfs: Ground, letter: str, number: int) -> None:
    path = btrfs.path / "it"
    path.touch()
    with opened(path) as (fd,):
        assert not ioctls.flags(fd) & number
        subprocess.check_call(["chattr", f"+{letter}", str(path)])
        assert ioctls.flags(fd) & number
        subprocess.check_call(["chattr", f"-{letter}", str(path)])


@pytest.mark.judge
def test_no_map_is_an_error(tmpfs: Ground) -> None:
    path = written(tmpfs.path / "it", b"x")
    with opened(path) as (fd,):
        with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
            fiemap(fd)
        assert exclusive(fd) == BLOCK


# -- what is shared --------------------------------------------------------------------------


@pytest.mark.judge
def test_reflinks_take_one_storage(reflinking: Ground) -> None:
    a = written(reflinking.path / "a", noise())
    b = written(reflinking.path / "b", noise())
    assert numbers(a, b) == ()
    subprocess.check_call(["cp", "--reflink=always", str(a), str(reflinking.path / "c")])
    assert numbers(a, b, reflinking.path / "c") == (0, 1, 0)
    with opened(a, b) as (one, other):
        assert dedupe_range(one, 0, SIZE, other, 0) == (SIZE, 0)
    assert numbers(a, b, reflinking.path / "c") == (0, 0, 0)


@pytest.mark.judge
@pytest.mark.parametrize("offset", [0, 70_000, SIZE - 10], ids=["begin", "middle", "tail"])
def test_what_is_written_again_is_shared_no_more(reflinking: Ground, offset: int) -> None:
    a = written(reflinking.path / "a", noise())
    b = cloned(a, reflinking.path / "b")
    assert numbers(a, b) == (0, 0)
    overwritten(b, offset, noise()[offset : offset + 10])
    assert a.read_bytes() == b.read_bytes()
    assert numbers(a, b) == ()
    assert own(b) >= BLOCK


@pytest.mark.judge
def test_what_was_just_written_is_not_shared(reflinking: Ground) -> None:
    (reflinking.path / "a").write_bytes(noise())
    (reflinking.path / "b").write_bytes(noise())
    assert numbers(reflinking.path / "a", reflinking.path / "b") == ()
    (reflinking.path / "c").touch()
    cloned(reflinking.path / "a", reflinking.path / "c")
    assert numbers(reflinking.path / "a", reflinking.path / "b", reflinking.path / "c") == (0, 1, 0)


@pytest.mark.judge
def test_small_files_among_the_metadata_are_not_shared(btrfs: Ground) -> None:
    a = written(btrfs.path / "a", noise(1000))
    b = cloned(a, btrfs.path / "b")
    assert [one.flags & ioctls.INLINE for one in mapped(b)] == [ioctls.INLINE]
    assert numbers(a, b) == ()


@pytest.mark.judge
def test_holes_and_room_behind_the_end(reflinking: Ground) -> None:
    a, b = reflinking.path / "a", reflinking.path / "b"
    for path in (a, b):
        path.touch()
        os.truncate(path, 1 << 20)
        overwritten(path, 40 * BLOCK, noise(8 * BLOCK))
    assert numbers(a, b) == ()
    with opened(a, b) as (one, other):
        dedupe_range(one, 0, 1 << 20, other, 0)
    assert numbers(a, b) == (0, 0)
    with opened(b, how=os.O_RDWR) as (fd,):  # FALLOC_FL_KEEP_SIZE
        subprocess.check_call(["fallocate", "--keep-size", "--offset", str(1 << 20), "--length", "65536", str(b)])
        os.fsync(fd)
    assert numbers(a, b) == (0, 0)
    assert own(b) == 65536
    overwritten(b, 0, bytes(BLOCK))  # zeros where the other has a hole
    assert a.read_bytes() == b.read_bytes()
    assert numbers(a, b) == ()


@pytest.mark.judge
def test_room_that_was_set_aside_is_storage(reflinking: Ground) -> None:
    a, b = reflinking.path / "a", reflinking.path / "b"
    for path in (a, b):
        path.touch()
        with opened(path, how=os.O_RDWR) as (fd,):
            os.posix_fallocate(fd, 0, 64 * BLOCK)
            os.pwrite(fd, noise(8 * BLOCK), 0)
            os.fsync(fd)
    assert numbers(a, b) == ()
    assert own(b) == 64 * BLOCK
    before, used = state(b), reflinking.used()
    with opened(a, b) as (one, other):
        assert dedupe_range(one, 0, 64 * BLOCK, other, 0) == (64 * BLOCK, 0)
    assert state(b) == before
    shared = {"btrfs": 64, "xfs": 8}[reflinking.kind]  # xfs leaves each its own room
    assert used - reflinking.used() == shared * BLOCK
    assert own(b) == (64 - shared) * BLOCK
    assert numbers(a, b) == (0, 0), "all is shared that can be"


@pytest.mark.judge
def test_compressed_files(tmp_path: Path) -> None:
    data = b"".join(noise(64, seed) * 32 for seed in range(300))
    with ground.made("btrfs", tmp_path, mount="compress-force=zstd") as disk:
        a, b = written(disk.path / "a", data), written(disk.path / "b", data)
        assert all(one.flags & ioctls.ENCODED for one in mapped(a))
        assert numbers(a, b) == ()
        with opened(a, b) as (one, other):
            assert dedupe_range(one, 0, len(data), other, 0) == (len(data), 0)
        assert numbers(a, b) == (0, 0)


@pytest.mark.judge
def test_subvolumes_and_snapshots(btrfs: Ground) -> None:
    one, other = btrfs.subvolume("one"), btrfs.subvolume("other")
    a = written(one / "a", noise())
    b = cloned(a, other / "b")
    assert a.stat().st_dev != b.stat().st_dev
    assert numbers(a, b) == (0, 0)
    c = written(one / "c", noise())
    assert own(c) == 123 * BLOCK
    d = written(other / "d", noise())
    with opened(c, d) as (first, second):
        assert dedupe_range(first, 0, SIZE, second, 0) == (SIZE, 0)
    assert numbers(c, d) == (0, 0)
    d.unlink()
    btrfs.used()  # what is removed is let go of by a worker
    frozen = btrfs.snapshot("one", "frozen")
    assert own(c) == 0, "what a snapshot has as well is not freed"
    assert numbers(c, frozen / "c", a) == (0, 0, 1)


@pytest.mark.judge
def test_another_file_in_its_place_shares_nothing(reflinking: Ground) -> None:
    a = written(reflinking.path / "a", noise())
    b = cloned(a, reflinking.path / "b")
    seen = Copies(size=SIZE, filesystem="it", files=(stored(a), stored(b)))
    held = stored(b)
    b.rename(reflinking.path / "away")
    cloned(a, b)
    assert with_extents((seen,), lambda _: True, lambda _: "it") == (seen,)
    assert exclusive_of(held) == 0
    b.unlink()
    b.symlink_to(a)
    assert with_extents((seen,), lambda _: True, lambda _: "it") == (seen,)
    b.unlink()
    os.mkfifo(b)
    assert with_extents((seen,), lambda _: True, lambda _: "it") == (seen,)


# -- what a file has for itself --------------------------------------------------------------


def _du(path: Path) -> tuple[int, int]:
    """Return the total and the exclusive bytes of a file as btrfs counts them."""
    text = subprocess.check_output(["btrfs", "filesystem", "du", "--raw", str(path)], text=True)
    total, exclusive, *_ = text.splitlines()[1].split()
    return int(total), int(exclusive)


@pytest.mark.judge
def test_what_is_exclusive_is_what_btrfs_says(btrfs: Ground) -> None:
    a = written(btrfs.path / "a", noise())
    assert (123 * BLOCK, own(a)) == _du(a)
    b = cloned(a, btrfs.path / "b")
    assert (own(a), own(b)) == (0, 0) == (_du(a)[1], _du(b)[1])
    overwritten(b, 20 * BLOCK, noise(7 * BLOCK))
    assert own(b) == 7 * BLOCK == _du(b)[1]


@pytest.mark.judge
@pytest.mark.parametrize("part", [0, 0.25, 1])
def test_what_is_exclusive_is_freed(everywhere: Ground, part: float) -> None:
    """``part`` of the file is shared with another one."""
    if part and everywhere.kind == "ext4":
        return
    size = 200 * BLOCK
    a = written(everywhere.path / "a", noise(size))
    b = written(everywhere.path / "b", noise(size))
    if part:
        with opened(a, b) as (one, other):
            share_ranges(one, other, [(0, int(size * part))])
            if everywhere.kind == "btrfs":  # of an extent that is used in part nobody says what it takes
                directory = os.open(everywhere.path, os.O_RDONLY)
                own_storage(other, directory, [(int(size * part), size - int(size * part))] if part < 1 else [])
                os.close(directory)
    told = own(b)
    assert told == pytest.approx(size * (1 - part), abs=BLOCK)
    assert exclusive_of(stored(b)) == told
    before = everywhere.used()
    b.unlink()
    assert abs(before - everywhere.used() - told) <= BLOCK


@pytest.mark.judge
@pytest.mark.parametrize("kind", ["part", "compressed", "compressed-part", "fragments"])
def test_what_extents_take_is_freed_on_btrfs(tmp_path: Path, kind: str) -> None:
    """A part of an extent holds all of it; compressed ones take less than they hold."""
    with ground.made("btrfs", tmp_path, mount="compress-force=zstd" if "compressed" in kind else "") as disk:
        a = disk.path / "a"
        written(
            a, b"".join(noise(64, seed) * 64 for seed in range(500)) if "compressed" in kind else noise(500 * BLOCK)
        )
        size = a.stat().st_size
        if "part" in kind:
            overwritten(a, 100 * BLOCK, noise(50 * BLOCK))
        if kind == "fragments":  # more than one answer tells of
            with opened(a, how=os.O_RDWR) as (fd,):
                for number in range(0, 2000, 2):
                    os.pwrite(fd, noise(BLOCK, number), number * BLOCK)
                os.fsync(fd)
        told = own(a)
        assert "compressed" not in kind or told < size / 2
        before = disk.used()
        a.unlink()
        assert abs(before - disk.used() - told) <= (2 * BLOCK if kind != "fragments" else 40 * 16384)


@pytest.mark.judge
def test_others_than_root_are_told_what_a_file_holds(btrfs: Ground) -> None:
    """On that path the figures of other file systems are had; btrfs does not let everybody look into its tree."""
    a = written(btrfs.path / "a", noise())
    with opened(a) as (fd,):
        os.seteuid(65534)
        try:
            assert exclusive(fd) == 123 * BLOCK
            with pytest.raises(PermissionError):
                list(stored_extents(fd))
        finally:
            os.seteuid(0)


def test_items_of_a_tree_are_read_no_further_than_they_are_long() -> None:
    item = struct.pack("<2Q2BHB4Q", 1, 2, 0, 0, 0, 1, 1 << 40, 8192, 0, 4096)
    row = struct.pack("=3Q2I", 1, 2, 4096, 108, len(item)) + item
    inline = struct.pack("=3Q2I", 1, 2, 0, 108, 21 + 60) + bytes(20) + b"\0" + b"x" * 60
    assert list(parse_items(inline + row, 2)) == [(0, None), (4096, Stored(logical=4096, address=1 << 40, takes=8192))]
    assert [one for _, one in parse_items(row[:-1], 1)] == [None]
    assert len(list(parse_items(row, 1 << 31))) == 1
    assert not list(parse_items(row[:30], 1))


# -- asking the kernel to share --------------------------------------------------------------


@pytest.mark.judge
@pytest.mark.parametrize("size", [1, BLOCK, SIZE, ioctls.STEP + 12345])
def test_sharing_changes_nothing_but_where_bytes_lie(reflinking: Ground, size: int) -> None:
    a, b = written(reflinking.path / "a", noise(size)), written(reflinking.path / "b", noise(size))
    b.chmod(0o4750)
    before, used = state(b), reflinking.used()
    with opened(a, b) as (one, other):
        assert dedupe_range(one, 0, size, other, 0) == (size, 0)
    assert state(b) == before
    inline = reflinking.kind == "btrfs" and size == 1  # of which the kernel tells that it is shared, and it is not
    assert used - reflinking.used() == pytest.approx(0 if inline else size, abs=2 * BLOCK + metadata(reflinking, size))


@pytest.mark.judge
def test_a_difference_stops_it(reflinking: Ground) -> None:
    size = ioctls.STEP + (1 << 20)
    data = bytearray(noise(size))
    a = written(reflinking.path / "a", data)
    data[ioctls.STEP + 77] ^= 1
    b = written(reflinking.path / "b", data)
    before = state(b)
    with opened(a, b) as (one, other):
        assert dedupe_range(one, 0, size, other, 0) == (ioctls.STEP, ioctls.DIFFERS)
    assert state(b) == before


@pytest.mark.parametrize("ranges", [(-1, 4096, 0), (0, -1, 0), (0, 4096, -1), (0, 1 << 70, 0), (1 << 62, 1 << 62, 0)])
def test_what_can_be_no_range_is_an_error(ranges: tuple[int, int, int]) -> None:
    offset, length, to = ranges
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        dedupe_range(0, offset, length, 1, to)


@pytest.mark.judge
def test_what_is_not_copied_on_write_is_refused(btrfs: Ground) -> None:
    a, b = written(btrfs.path / "a", noise()), btrfs.path / "b"
    b.touch()
    with opened(b) as (fd,):
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("@l", ioctls.NOCOW))
    written(b, noise())
    with opened(a, b) as (one, other):
        assert dedupe_range(one, 0, SIZE, other, 0) == (0, -errno.EINVAL)
        with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            share_ranges(one, other, [(0, SIZE)])
        with opened(b, how=os.O_RDWR) as (writable,), pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            clone(one, writable)
    assert b.read_bytes() == noise()


@pytest.mark.judge
def test_another_file_system_is_refused(reflinking: Ground, ext4: Ground) -> None:
    a, b = written(reflinking.path / "a", noise()), written(ext4.path / "b", noise())
    with opened(a, b) as (one, other):
        assert dedupe_range(one, 0, SIZE, other, 0) == (0, -errno.EXDEV)
        with pytest.raises(OSError, match=os.strerror(errno.EOPNOTSUPP)):
            dedupe_range(other, 0, SIZE, other, 0)


@pytest.mark.judge
def test_a_running_program_and_a_file_that_is_only_read(reflinking: Ground) -> None:
    sleep = Path("/bin/sleep").read_bytes()
    a, b = written(reflinking.path / "a", sleep), written(reflinking.path / "b", sleep)
    b.chmod(0o755)
    with subprocess.Popen([b, "60"]) as running:
        try:
            with opened(a, b) as (one, other):
                assert dedupe_range(one, 0, len(sleep), other, 0) == (len(sleep), 0)
            assert running.poll() is None
        finally:
            running.kill()
    assert numbers(a, b) == (0, 0)


# -- and to give storage of its own ----------------------------------------------------------


@pytest.mark.judge
@pytest.mark.parametrize("size", [BLOCK, SIZE, ioctls.STEP + 54321])
def test_a_file_gets_storage_of_its_own(reflinking: Ground, size: int) -> None:
    a = written(reflinking.path / "a", noise(size))
    b = cloned(a, reflinking.path / "b")
    b.chmod(0o4711)
    before, used = state(b), reflinking.used()
    with opened(b, reflinking.path) as (fd, directory):
        assert own_storage(fd, directory, [(0, size)]) == size
        assert exclusive(fd) == -(-size // BLOCK) * BLOCK, "at once"
    assert state(b) == before
    assert numbers(a, b) == ()
    assert reflinking.used() - used == pytest.approx(size, abs=2 * BLOCK + metadata(reflinking, size))
    assert own(a) == own(b) == -(-size // BLOCK) * BLOCK
    assert sorted(os.listdir(reflinking.path)) == ["a", "b"]


@pytest.mark.judge
def test_without_room_nothing_is_lost(reflinking: Ground) -> None:
    size = 4 << 20
    a = written(reflinking.path / "a", noise(size))
    b = cloned(a, reflinking.path / "b")
    before = state(b)
    ground.fill(reflinking.path, leave=1 << 20)
    with opened(b, reflinking.path) as (fd, directory), pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        own_storage(fd, directory, [(0, size)])
    assert state(b) == before


@pytest.mark.judge
def test_xfs_gives_a_range_its_own(xfs: Ground, btrfs: Ground) -> None:
    for disk, gives in ((xfs, True), (btrfs, False)):
        a = written(disk.path / "a", noise(128 * BLOCK))  # xfs copies 32 blocks at once
        b = cloned(a, disk.path / "b")
        used, inode = disk.used(), b.stat().st_ino
        with opened(b, how=os.O_RDWR) as (fd,):
            assert ioctls.unshare(fd, 0, 128 * BLOCK) == gives
        assert (numbers(a, b) == ()) == gives
        assert disk.used() - used == pytest.approx(128 * BLOCK * gives, abs=BLOCK)
        assert (b.read_bytes(), b.stat().st_ino) == (noise(128 * BLOCK), inode)


@pytest.mark.judge
def test_to_give_a_read_only_file_its_own_is_an_error(xfs: Ground) -> None:
    a = written(xfs.path / "a", noise())
    with opened(a) as (fd,), pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        ioctls.unshare(fd, 0, SIZE)
