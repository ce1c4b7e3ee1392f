"""Where directories lie, as far as that decides about links between them: file system, mount, subvolume.

st_dev does not tell it. btrfs gives every subvolume a device number of its own (fs/btrfs/inode.c, btrfs_getattr),
though reflinks lead from one to the other; a bind mount has that of what it shows, though link(2) and rename(2) refuse
to cross it (fs/namei.c, do_linkat: ``old_path.mnt != new_path.mnt``).
"""

from __future__ import annotations

import os
from typing import Final

from runworthy.model.records import dataclass
from runworthy.model.storage import Place
from runworthy.targets.mounts import unescaped

__all__ = ["Places"]

_MOUNTS = "/proc/self/mountinfo"
_MOST_KEPT: Final = 1 << 16
"""Directories whose places are remembered at once."""

_FS_INFO: Final = 0x8400941F
"""BTRFS_IOC_FS_INFO (linux/btrfs.h): _IOR(0x94, 31, struct btrfs_ioctl_fs_info_args), of 1024 bytes."""
_FS_INFO_SIZE: Final = 1024
_FSID: Final = slice(16, 32)
"""struct btrfs_ioctl_fs_info_args.fsid, behind max_id and num_devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mount:
    """A row of the table of mounts. ``device`` is that of the file system, as "major:minor"."""

    number: int
    device: str
    root: str
    point: str
    type: str
    source: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What holds for all directories with one device number on one mount."""

    filesystem: str
    device: int
    type: str
    mount: int
    point: str
    subvolume: str
    read_only: bool


class Places:
    """The places of this machine's directories, each looked at once. Mounts that come meanwhile are seen.

    Where the kernel tells nothing of mounts (macOS, Windows, no /proc) a place is its device number and no more.
    """

    def __init__(self) -> None:
        self._mounts: dict[int, _Mount] = {}
        self._known: dict[tuple[int, int], _Known] = {}
        self._places: dict[str, Place] = {}
        self._devices: dict[int, Place] = {}

    def place(self, path: str) -> Place:
        """Return where a directory lies; of a file that of its directory, of what is not there that of the next one.

        Raises OSError where nothing on the way can be looked at.
        """
        path = os.path.abspath(path)
        found = self._places.get(path)
        if found is None:
            found = self._look(path)
            if len(self._places) >= _MOST_KEPT:
                self._places.clear()
            self._places[path] = found
            self._devices.setdefault(found.device, found)
        return found

    def filesystem_of(self, device: int) -> str:
        """Return the file system with an st_dev: as :meth:`place` found it, else as the table of mounts has it.

        The numbers of btrfs subvolumes are in no table: place a directory of each first. What is in neither is taken
        for a file system of its own.
        """
        found = self._devices.get(device)
        if found is not None:
            return found.filesystem
        name = _numbers(device)
        mount = next((mount for mount in self._table().values() if mount.device == name), None)
        return f"{mount.type}:{name}" if mount and mount.type != "btrfs" else f"device:{name}"

    def _look(self, path: str) -> Place:
        descriptor, at = _opened(path)
        if descriptor is None:
            return _by_device(path, at)
        try:
            device = os.fstat(descriptor).st_dev
            number = _mount_number(descriptor)
        finally:
            os.close(descriptor)
        known = self._known.get((device, number))
        if known is None:
            mount = self._mount(number)
            if mount is None:
                return _by_device(path, at)
            known = self._known[device, number] = _know(mount, device, at)
        return Place(
            path=path,
            filesystem=known.filesystem,
            device=device,
            type=known.type,
            mount=number,
            point=known.point,
            subvolume=known.subvolume,
            read_only=known.read_only,
        )

    def _mount(self, number: int) -> _Mount | None:
        if number not in self._mounts:
            self._mounts = {}
        return self._table().get(number)

    def _table(self) -> dict[int, _Mount]:
        if not self._mounts:
            self._mounts = _mounts()
        return self._mounts


# -- the kernel's tables ---------------------------------------------------------------------


def _mounts() -> dict[int, _Mount]:
    """Return the mounts of this process by number, none where the kernel does not tell (proc_pid_mountinfo(5))."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape", newline="\n") as table:
            rows = table.read().split("\n")
    except OSError:
        return {}
    return {mount.number: mount for mount in map(_row, rows) if mount}


def _row(line: str) -> _Mount | None:
    before, _, after = line.partition(" - ")
    fields, rest = before.split(" "), after.split(" ")
    if len(fields) < 6 or len(rest) < 3:
        return None
    return _Mount(
        number=int(fields[0]),
        device=fields[2],
        root=unescaped(fields[3]),
        point=unescaped(fields[4]),
        type=unescaped(rest[0]),
        source=unescaped(rest[1]),
        read_only="ro" in fields[5].split(",") or "ro" in rest[2].split(","),
    )


def _mount_number(descriptor: int) -> int:
    """Return the number of the mount on which something was opened: 0 where /proc is not there.

    proc_pid_fdinfo(5), ``mnt_id``. It is exact where the table of mounts is not: one mount may hide another.
    """
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii", errors="replace") as info:
            found = next((line for line in info if line.startswith("mnt_id:")), "")
    except OSError:
        return 0
    number = found.partition(":")[2].strip()
    return int(number) if number.isdecimal() else 0


def _opened(path: str) -> tuple[int | None, str]:
    """Return a descriptor of the directory at a path, or of the next one above that is there, and its path.

    There is none where the system knows no descriptors that only name something (O_PATH).
    """
    only_names = getattr(os, "O_PATH", None)
    while True:
        try:
            if only_names is None:
                os.stat(path)
                return None, path
            return os.open(path, only_names | os.O_DIRECTORY | os.O_CLOEXEC), path
        except (FileNotFoundError, NotADirectoryError):
            above = os.path.dirname(path)
            if above == path:
                raise
            path = above


def _know(mount: _Mount, device: int, path: str) -> _Known:
    filesystem = f"{mount.type}:{mount.device}"
    if mount.type == "btrfs":
        filesystem = f"btrfs:{_btrfs_id(path) or mount.source}"
    return _Known(
        filesystem=filesystem,
        device=device,
        type=mount.type,
        mount=mount.number,
        point=mount.point,
        subvolume=mount.root,
        read_only=mount.read_only or _is_frozen(mount, path),
    )


def _is_frozen(mount: _Mount, path: str) -> bool:
    """Whether a directory lies in a read-only subvolume: it has a device number of its own, and no mount tells it."""
    if mount.type != "btrfs":
        return False
    from runworthy.targets.storage.ioctls import in_read_only_subvolume

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return in_read_only_subvolume(descriptor)
    finally:
        os.close(descriptor)


def _btrfs_id(path: str) -> str:
    """Return the UUID of a btrfs, empty if unreadable.

    It is the same in each of its subvolumes, unlike f_fsid of statfs(2) (fs/btrfs/super.c, btrfs_statfs).
    """
    import fcntl
    from uuid import UUID

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        held = fcntl.ioctl(descriptor, _FS_INFO, bytes(_FS_INFO_SIZE))
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    return str(UUID(bytes=held[_FSID]))


# -- without them ----------------------------------------------------------------------------


def _by_device(path: str, at: str) -> Place:
    """Return what st_dev alone says of a path, of which ``at`` is there."""
    device = os.stat(at).st_dev
    return Place(
        path=path,
        filesystem=f"device:{_numbers(device)}",
        device=device,
        type="",
        point=_top(at, device),
        read_only=_is_read_only(at),
    )


def _top(path: str, device: int) -> str:
    """Return the highest directory above a path that has its device number."""
    above = os.path.dirname(path)
    while above != path and _has(above, device):
        path, above = above, os.path.dirname(above)
    return path


def _has(path: str, device: int) -> bool:
    try:
        return os.stat(path).st_dev == device
    except OSError:
        return False


def _is_read_only(path: str) -> bool:
    statvfs = getattr(os, "statvfs", None)
    if statvfs is None:
        return False
    try:
        return bool(statvfs(path).f_flag & getattr(os, "ST_RDONLY", 1))
    except OSError:
        return False


def _numbers(device: int) -> str:
    """Return a device number as the kernel writes it, where the system has such."""
    if not hasattr(os, "major"):
        return str(device)
    return f"{os.major(device)}:{os.minor(device)}"
