"""What is mounted where, by Linux's own table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from runworthy.model.host import Mount

__all__ = ["PSEUDO", "mount_of", "mounted_noexec", "parse_mounts", "pseudo_mounts", "read_mounts", "unescaped"]

PSEUDO: Final = frozenset(
    (
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "fusectl",
        "hugetlbfs",
        "mqueue",
        "nsfs",
        "proc",
        "pstore",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "sysfs",
        "tracefs",
    )
)
"""File systems behind which the kernel shows itself rather than files."""

_NOEXEC_TYPES: Final = frozenset(("mqueue", "proc", "sysfs"))
"""File systems from which nothing is executed however they are mounted (SB_I_NOEXEC)."""

_ESCAPE = re.compile(r"\\([0-7]{3})")


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """Return the rows of /proc/PID/mountinfo; what is no such row is passed over.

    proc_pid_mountinfo(5): the fifth field is the mount point, the sixth has its options; after a lone hyphen stand
    the type, the source and the options of the file system. Spaces, tabs, newlines and backslashes are octal escapes.
    """
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) >= 6 and len(rest) >= 3:
            found.append(
                Mount(
                    point=unescaped(fields[4]),
                    fstype=unescaped(rest[0]),
                    options=tuple(fields[5].split(",")),
                    super_options=tuple(rest[2].split(",")),
                )
            )
    return tuple(found)


def unescaped(text: str) -> str:
    """Return a field of the table as it is meant."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text) if "\\" in text else text


def read_mounts(path: str = "/proc/self/mountinfo") -> tuple[Mount, ...] | None:
    """Return what this process sees mounted, None where the table cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as table:
            return parse_mounts(table.read())
    except OSError:
        return None


def pseudo_mounts(top: str) -> frozenset[str]:
    """Return the mount points below the directory ``top`` of this machine behind which there are no real files."""
    prefix = top.rstrip("/") + "/"
    mounts = read_mounts() or ()
    return frozenset(mount.point for mount in mounts if mount.fstype in PSEUDO and mount.point.startswith(prefix))


def mount_of(real: str, mounts: Iterable[Mount]) -> Mount | None:
    """Return the mount that holds a real path, of two at one place the later; None where none is known."""
    best: Mount | None = None
    for mount in mounts:
        inside = mount.point in {"/", real} or real.startswith(f"{mount.point}/")
        if inside and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def mounted_noexec(real: str, mounts: Iterable[Mount]) -> bool:
    """Whether the file system that holds a real path lets nothing be executed."""
    mount = mount_of(real, mounts)
    if mount is None:
        return False
    return mount.fstype in _NOEXEC_TYPES or "noexec" in mount.options or "noexec" in mount.super_options
