"""Real file systems to prove storage on: made in a file, mounted, and gone again however a test ends.

    from tests.storage import ground

    with ground.made("ext4", tmp_path) as disk:              # also "xfs" (reflink=1), "btrfs", "tmpfs"
        (disk.path / "venv").mkdir()
        before = disk.used()                                  # bytes in blocks, after everything is written out
    with ground.made("ext4", tmp_path, megabytes=16, options=("-m", "0")) as disk:
        ground.fill(disk.path, leave=8192)                    # the next writes get ENOSPC
    with ground.made("btrfs", tmp_path) as disk:
        other = disk.subvolume("other")                       # another st_dev, the same file system
        frozen = disk.snapshot("other", "frozen")             # read-only; read_only=False: a writable one
    with ground.made("ext4", tmp_path) as disk, ground.bound(disk.path / "a", disk.path / "b"):
        ...                                                   # equal st_dev, link(2) from one to the other is EXDEV
    with ground.made("ext4", tmp_path) as disk, ground.overlaid(disk.path / "lower", disk.path) as overlay:
        overlay.path, overlay.upper                           # what is seen; what was copied up

* ``disk.read_only()`` and ``disk.writable()`` remount it while it is in use (EROFS); ``disk.cold()`` unmounts it and
  mounts it again: nothing of it is in memory after that, and device and inode numbers are as they were.
* ``ground.linked_out(path)`` gives a file as many links as its file system allows: the next link(2) is EMLINK, for real
  (ext4: 65,000 links in 1.3 s). ``disk.count_links(path, 64_999)`` (ext4) writes the number alone, in 0.1 s: the kernel
  believes it, and there are no such names.
* ``ground.extents(path)`` are the blocks of a file as `filefrag` tells them: equal ones of two files are shared.
* Several of them may be open at once in one directory. `tests/storage/conftest.py` has fixtures: ``ext4``, ``xfs``,
  ``btrfs``, ``tmpfs``, and ``everywhere`` and ``reflinking``, which run a test on each of several.
* Children that a test starts see the mounts; a shell elsewhere does not: the first use gives this process mounts of its
  own (as `unshare --mount` does), so that nothing is left behind even when it is killed. The loop device goes with the
  last mount. The work must be done in the thread that runs the tests, or in threads and processes started by it.
* Without root or mkfs a test skips and says why; with RUNWORTHY_REQUIRE_JUDGES=1 it fails.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from runworthy.model.records import dataclass
from tests.judges.roots import lacking, requires_tool

__all__ = [
    "KINDS",
    "Ground",
    "Overlay",
    "bound",
    "extents",
    "fill",
    "kept",
    "linked_out",
    "made",
    "overlaid",
    "requires_mounts",
    "used",
]

# linux/sched.h, linux/mount.h, sys/mount.h
_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE, _MS_NOATIME = 1, 32, 0x1000, 0x4000, 0x40000, 1024
_MNT_DETACH = 2
_MIB = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """How a file system is made: Debian's package, the command, and the least size that it takes (MiB)."""

    package: str
    command: tuple[str, ...]
    megabytes: int


_KINDS = {
    # The same features whatever the machine's mke2fs.conf and size say.
    "ext4": _Kind(package="e2fsprogs", command=("mkfs.ext4", "-q", "-F", "-b", "4096", "-I", "256"), megabytes=64),
    "xfs": _Kind(package="xfsprogs", command=("mkfs.xfs", "-q", "-f", "-m", "reflink=1"), megabytes=320),
    "btrfs": _Kind(package="btrfs-progs", command=("mkfs.btrfs", "-q", "-f"), megabytes=128),
}
KINDS = tuple(_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A file system that is mounted at ``path``. ``device`` is what is mounted, empty for tmpfs."""

    path: Path
    kind: str
    device: str = ""
    options: str = ""

    def used(self) -> int:
        """Bytes in use, in blocks, when everything is written out and what was removed is given back."""
        return used(self.path)

    def read_only(self) -> None:
        """Let every further change be refused with EROFS. Raises OSError (EBUSY): a file is open for writing."""
        _mount(None, self.path, None, _MS_REMOUNT | _MS_RDONLY)

    def writable(self) -> None:
        """Undo `read_only`."""
        _mount(None, self.path, None, _MS_REMOUNT)

    def cold(self) -> None:
        """Unmount and mount again: what is read next is read from the disk. Raises OSError (EBUSY) while it is in use.

        The device is held by who made it, so it stays the same.
        """
        _unmount(self.path, detach=False)
        _mount(self.device, self.path, self.kind, _MS_NOATIME, self.options)

    def count_links(self, path: Path, number: int) -> None:
        """Have a file's inode say that it has this many links (ext4; it is unmounted for that)."""
        requires_tool("debugfs", package="e2fsprogs")
        inode = path.stat().st_ino
        _unmount(self.path, detach=False)
        try:
            _run("debugfs", "-w", "-R", f"set_inode_field <{inode}> links_count {number}", self.device)
        finally:
            _mount(self.device, self.path, self.kind, _MS_NOATIME, self.options)

    def subvolume(self, name: str) -> Path:
        """Make a subvolume (btrfs): a directory with a device number of its own."""
        made = self.path / name
        _run("btrfs", "-q", "subvolume", "create", str(made))
        return made

    def snapshot(self, source: str, name: str, *, read_only: bool = True) -> Path:
        """Make a snapshot of a subvolume (btrfs): its files share all extents with the source's."""
        made = self.path / name
        _run("btrfs", "-q", "subvolume", "snapshot", *(("-r",) * read_only), str(self.path / source), str(made))
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """An overlay at ``path``: files of ``lower`` are seen through it, and copied to ``upper`` when they are changed."""

    path: Path
    lower: Path
    upper: Path


@contextmanager
def made(
    kind: str, below: Path, *, megabytes: int = 0, options: Sequence[str] = (), mount: str = "", read_only: bool = False
) -> Iterator[Ground]:
    """Mount a new file system in a new directory in ``below``, and take it away.

    ``options`` are more words for its mkfs, ``mount`` options of mount(8) that the file system itself knows
    ("nodatacow", "size=1m").
    """
    requires_mounts()
    with tempfile.TemporaryDirectory(prefix=f"{kind}-", dir=below) as scratch:
        path = Path(scratch, "at")
        path.mkdir()
        flags = _MS_NOATIME | (_MS_RDONLY if read_only else 0)
        if kind == "tmpfs":
            size = f"size={megabytes or 64}m"
            with _mounted("tmpfs", path, "tmpfs", flags, f"{size},{mount}" if mount else size):
                yield Ground(path=path, kind=kind)
            return
        image = Path(scratch, "image")
        _format(image, _KINDS[kind], megabytes, options)
        with _attached(image) as device, _mounted(device, path, kind, flags, mount):
            yield Ground(path=path, kind=kind, device=device, options=mount)


@contextmanager
def kept(
    image: Path, below: Path, fill_it: Callable[[Path], None], *, megabytes: int, options: Sequence[str] = ()
) -> Iterator[Ground]:
    """Mount an ext4 file system that stays in the file ``image``, in a new directory in ``below``.

    Where there is no such file it is made, and ``fill_it`` called with where it is mounted; it has its name when that
    is done.
    """
    requires_mounts()
    with tempfile.TemporaryDirectory(prefix="ext4-", dir=below) as scratch:
        path = Path(scratch, "at")
        path.mkdir()
        if not image.exists():
            image.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=image.parent) as making:
                new = Path(making, "image")
                _format(new, _KINDS["ext4"], megabytes, options)
                with _attached(new) as device, _mounted(device, path, "ext4", _MS_NOATIME, ""):
                    fill_it(path)
                new.rename(image)
        with _attached(image) as device, _mounted(device, path, "ext4", _MS_NOATIME, ""):
            yield Ground(path=path, kind="ext4", device=device)


@contextmanager
def bound(source: Path, target: Path, *, read_only: bool = False) -> Iterator[Path]:
    """Show the directory ``source`` at ``target`` too; both are made where they are missing."""
    requires_mounts()
    for directory in (source, target):
        directory.mkdir(parents=True, exist_ok=True)
    with _mounted(str(source), target, None, _MS_BIND, ""):
        if read_only:  # a bind mount takes its flags in a second step only
            _mount(None, target, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
        yield target


@contextmanager
def overlaid(lower: Path, below: Path) -> Iterator[Overlay]:
    """Lay a writable layer, in a new directory in ``below``, over ``lower``."""
    requires_mounts()
    with tempfile.TemporaryDirectory(prefix="overlay-", dir=below) as scratch:
        top = Path(scratch)
        for name in ("upper", "work", "at"):
            (top / name).mkdir()
        # Where a path has a comma or a colon, overlayfs would take it for the end of the path.
        words = f"lowerdir={lower},upperdir={top / 'upper'},workdir={top / 'work'}"
        with _mounted("overlay", top / "at", "overlay", 0, words):
            yield Overlay(path=top / "at", lower=lower, upper=top / "upper")


def used(path: str | os.PathLike[str]) -> int:
    """Bytes in use, in blocks, on the file system of ``path``.

    What was removed is given back some time later: by the commit that syncfs(2) waits for (ext4, btrfs), and by a
    worker that nobody can wait for (xfs, "inodegc"): therefore until it stands still.
    """
    told = -1
    for _ in range(200):
        _sync(path)
        state = os.statvfs(path)
        now = (state.f_blocks - state.f_bfree) * state.f_frsize
        if now == told:
            return now
        told = now
        time.sleep(0.02)
    raise TimeoutError(f"{os.fspath(path)} is in use by somebody else")


def fill(directory: Path, *, leave: int = 0) -> Path:
    """Take all space of a file system but some ``leave`` bytes, in one file, which is returned."""
    path = directory / "filling"
    with path.open("wb") as file:
        for step in (_MIB, 4096):
            with suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, step)
        if leave:
            os.ftruncate(file.fileno(), max(os.fstat(file.fileno()).st_size - leave, 0))
    _sync(directory)
    return path


def linked_out(path: Path, *, most: int = 100_000) -> int:
    """Link a file, into a new directory beside it, until that is EMLINK; the number of its links.

    Raises AssertionError where ``most`` links are not too many: xfs has no such limit in practice.
    """
    beside = path.with_name(f"{path.name}.links")
    beside.mkdir()
    directory = os.open(beside, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number in range(most):
            os.link(path, f"{number:x}", dst_dir_fd=directory)
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        return path.stat().st_nlink
    finally:
        os.close(directory)
    raise AssertionError(f"{most} links are not too many here")


def extents(path: Path) -> tuple[tuple[int, int, int], ...]:
    """Where a file lies: (first block in the file, first block on the device, how many), by `filefrag`.

    Blocks that are equal in two files are shared. What has no block of its own (an inline file) is not told.
    """
    requires_tool("filefrag", package="e2fsprogs")
    _sync(path)
    rows = re.findall(
        r"^ *\d+: +(\d+)\.\. *\d+: +(\d+)\.\. *\d+: +(\d+):(.*)$", _run("filefrag", "-v", str(path)), re.MULTILINE
    )
    return tuple((int(where), int(block), int(many)) for where, block, many, flags in rows if "inline" not in flags)


@cache
def requires_mounts() -> None:
    """Give this process mounts of its own, once; skip the running test where it may not mount."""
    if os.geteuid() != 0:
        lacking("file systems are mounted: run the tests as root")
    _checked(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount(None, Path("/"), None, _MS_REC | _MS_PRIVATE)


def _format(image: Path, kind: _Kind, megabytes: int, options: Sequence[str]) -> None:
    requires_tool(kind.command[0], package=kind.package)
    with image.open("wb") as file:
        file.truncate((megabytes or kind.megabytes) * _MIB)
    _run(*kind.command, *options, str(image))


@contextmanager
def _attached(image: Path) -> Iterator[str]:
    """Make a block device of a file.

    The device goes by itself when nobody has it open or mounted any more. Direct input and output: what is read of it
    stays in memory once, not a second time for the image.
    """
    device = _run("losetup", "--find", "--show", "--direct-io=on", str(image)).strip()
    try:
        held = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        _run("losetup", "--detach", device)  # when it is in use: as soon as it no longer is
    try:
        yield device
    finally:
        os.close(held)


@contextmanager
def _mounted(source: str, target: Path, kind: str | None, flags: int, words: str) -> Iterator[None]:
    _mount(source, target, kind, flags, words)
    try:
        yield
    finally:
        # A test that failed may still have files open: the mount is out of sight now, and gone when they are closed.
        _unmount(target, detach=True)


def _mount(source: str | None, target: Path, kind: str | None, flags: int, words: str = "") -> None:
    done = _libc.mount(
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        os.fsencode(words) if words else None,
    )
    _checked(done, f"mount {source or ''} on {target}")


def _unmount(target: Path, *, detach: bool) -> None:
    _checked(_libc.umount2(os.fsencode(target), _MNT_DETACH if detach else 0), f"umount {target}")


def _sync(path: str | os.PathLike[str]) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        _checked(_libc.syncfs(opened), f"syncfs {os.fspath(path)}")
    finally:
        os.close(opened)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(errno.EIO, f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
