"""The handlers in force on a running machine, as far as its mounted binfmt_misc can tell.

Source: Linux ``fs/binfmt_misc.c``. The directory and the list of handlers are in one order, the newest first
(bm_register_write: list_add; ``fs/libfs.c`` dcache_readdir). Since 6.7 every user namespace in which binfmt_misc has
ever been mounted has handlers of its own, others those of the nearest namespace around them (load_binfmt_misc); the
last unmounting deletes them (bm_evict_inode), but does not bring back those from around. What is mounted need not be
what applies: a mount stays visible to a process that enters another user namespace, and can be hidden from one in
another mount namespace. Before 6.7 there is one list, and handlers pin it beyond the last unmounting (simple_pin_fs).
"""

from __future__ import annotations

import os
from typing import Final

from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.errors import FormatError
from runworthy.model.host import BinfmtEntry, BinfmtMisc
from runworthy.model.machine import parse_kernel
from runworthy.model.records import dataclass, replace

__all__ = ["Surroundings", "doubt", "handlers_of", "read_binfmt_misc"]

_USUAL: Final = BinfmtMisc().point
_FILES: Final = ("register", "status")
_NAMESPACED: Final = (6, 7)
# The first of the user and of the process ID namespaces (include/uapi/linux/nsfs.h, USER_NS_INIT_INO, PID_NS_INIT_INO).
_FIRST_USER: Final = "user:[4026531837]"
_FIRST_PID: Final = "pid:[4026531836]"
_MOUNTED: Final = " - binfmt_misc "
_TEXT_LIMIT: Final = 1 << 20
_PROCESSES: Final = 1 << 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What tells whose handlers a process has.

    ``kernel`` is what uname(2) says. ``user_namespace`` and ``uid_map`` are those of /proc/self, empty where the kernel
    has no user namespaces. ``offered``: /proc/filesystems lists binfmt_misc. ``references`` are the uses of the module
    binfmt_misc, None where it is none: each mounted instance is one. ``elsewhere`` says why there may be an instance
    where none is seen.
    """

    kernel: str
    user_namespace: str = ""
    uid_map: str = ""
    offered: bool = True
    references: int | None = None
    elsewhere: str = "binfmt_misc is not mounted here, and it applies wherever it is mounted"


def doubt(around: Surroundings, owner: int | None) -> str:
    """Return why the mounted binfmt_misc may not be the one in force, empty where it is.

    ``owner`` is the user who owns its directory, None where none is seen. That is user 0 of the user namespace that it
    belongs to (``fs/inode.c`` inode_init_always), seen from ours.
    """
    release = parse_kernel(around.kernel)
    if owner is None and (not around.offered or around.references == 0):
        return ""
    if release is not None and release < _NAMESPACED:
        return (
            "" if owner is not None else "binfmt_misc is not mounted here, and before Linux 6.7 handlers outlast that"
        )
    if around.user_namespace == _FIRST_USER or not (around.user_namespace or around.uid_map):
        if owner is None:
            return around.elsewhere
        return "" if owner == 0 else "the binfmt_misc that is mounted belongs to another user namespace"
    if owner is None:
        return "binfmt_misc is not mounted here, so the handlers of the user namespaces around this one cannot be seen"
    if owner != 0:
        return "the binfmt_misc that is mounted belongs to a user namespace around this one, which may have its own"
    if _outside(around.uid_map) in (None, 0):
        return "whether the binfmt_misc that is mounted belongs to this user namespace cannot be told"
    return ""


def _outside(uid_map: str) -> int | None:
    """Return whom user 0 is outside of the namespace; None where nobody, or where it cannot be told."""
    for line in uid_map.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "0" and words[1].isascii() and words[1].isdigit():
            return int(words[1])
    return None


def handlers_of(facts: BinfmtMisc) -> Handlers:
    """Return the handlers that facts tell of. Where something is unknown, those that are known are there still."""
    unknown = facts.unknown
    if facts.status == "unreadable":
        unknown = unknown or f"{facts.point} cannot be read"
    handlers, unread = _parsed(facts.entries) if facts.entries else ((), ())
    if unread and not unknown:
        unknown = f"what {facts.point} says of {', '.join(unread)} cannot be read"
    return Handlers(
        entries=handlers, enabled=facts.status != "disabled", stated=True, basis=facts.point, unknown=unknown
    )


def _parsed(entries: tuple[BinfmtEntry, ...]) -> tuple[tuple[Handler, ...], tuple[str, ...]]:
    """Return the handlers, and the names of those that cannot be read."""
    from runworthy.formats.binfmt.entry import parse_entry

    handlers, unread = [], []
    for entry in entries:
        try:
            handlers.append(parse_entry(entry.name, entry.text or ""))
        except FormatError:
            unread.append(entry.name)
    return tuple(handlers), tuple(unread)


# -- the machine we are on -------------------------------------------------------------------


def read_binfmt_misc(proc: str = "/proc", sys: str = "/sys", kernel: str = "") -> BinfmtMisc:
    """Return the handlers of this machine, whose kernel has the release ``kernel`` (default: what uname(2) says).

    A listing has the side effect that it has for everybody: systemd's automount mounts what is not mounted yet.
    """
    points = _points(f"{proc}/self/mountinfo") or [_USUAL]
    seen = [one for one in map(_seen, points) if one is not None]
    facts, owner = next((one for one in seen if one[1] == 0), seen[0]) if seen else (BinfmtMisc(), None)
    if facts.status == "unreadable":
        return facts
    return replace(facts, unknown=doubt(_surroundings(proc, sys, kernel, seen=owner is not None), owner))


def _points(mountinfo: str) -> list[str]:
    """Return where binfmt_misc is mounted, the last first."""
    rows = [line for line in _text(mountinfo).splitlines() if _MOUNTED in line]
    if not rows:
        return []
    from runworthy.targets.mounts import parse_mounts

    found = (mount.point for mount in parse_mounts("\n".join(rows)) if mount.fstype == "binfmt_misc")
    return list(dict.fromkeys(reversed(list(found))))


def _seen(point: str) -> tuple[BinfmtMisc, int | None] | None:
    """Return what is mounted at a point and who owns it; None where it is no binfmt_misc."""
    try:
        names = os.listdir(point)
        if any(name not in names for name in _FILES):
            return None
        owner = os.stat(point).st_uid
        enabled = _text(f"{point}/status", strict=True).strip() == "enabled"
    except PermissionError:
        return BinfmtMisc(status="unreadable", point=point), None
    except OSError:
        return None
    entries = (_entry(point, name) for name in names if name not in _FILES)
    held = tuple(entry for entry in entries if entry is not None)
    return BinfmtMisc(status="enabled" if enabled else "disabled", entries=held, point=point), owner


def _entry(point: str, name: str) -> BinfmtEntry | None:
    """Return what is said of a handler, None when it has gone meanwhile."""
    try:
        return BinfmtEntry(name=name, text=_text(f"{point}/{name}", strict=True))
    except FileNotFoundError:
        return None
    except OSError:
        return BinfmtEntry(name=name, text=None)


def _surroundings(proc: str, sys: str, kernel: str, *, seen: bool) -> Surroundings:
    user = _link(f"{proc}/self/ns/user")
    around = Surroundings(
        kernel=kernel or os.uname().release, user_namespace=user, uid_map=_text(f"{proc}/self/uid_map")
    )
    if seen:
        return around
    references = _text(f"{sys}/module/binfmt_misc/refcnt").strip()
    around = replace(
        around,
        offered="binfmt_misc" in _text(f"{proc}/filesystems").split(),
        references=int(references) if references.isascii() and references.isdigit() else None,
    )
    return replace(around, elsewhere=_elsewhere(proc)) if user == _FIRST_USER and doubt(around, None) else around


def _elsewhere(proc: str) -> str:
    """Return why binfmt_misc, not mounted here, may be mounted in another mount namespace; empty where it is not.

    For certain this is known to whoever sees all processes and may look at them. What a process of another user
    namespace has mounted is taken for that namespace's own.
    """
    unsure = Surroundings(kernel="").elsewhere
    own = _link(f"{proc}/self/ns/mnt")
    if _link(f"{proc}/self/ns/pid") != _FIRST_PID or not own or not _link(f"{proc}/1/ns/mnt"):
        return unsure
    processes = [name for name in os.listdir(proc) if name.isdigit()]
    if len(processes) > _PROCESSES:
        return unsure
    known = {own}
    for process in processes:
        try:
            namespace = os.readlink(f"{proc}/{process}/ns/mnt")
            if namespace in known or os.readlink(f"{proc}/{process}/ns/user") != _FIRST_USER:
                continue
            if _MOUNTED in _text(f"{proc}/{process}/mountinfo", strict=True):
                return unsure
        except PermissionError:
            return unsure
        except OSError:  # it has ended
            continue
        known.add(namespace)
    return ""


def _link(path: str) -> str:
    """Return where a link leads, empty where it cannot be read."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _text(path: str, *, strict: bool = False) -> str:
    """Return a small file, carriage returns and all; empty where it cannot be read, unless ``strict``: OSError."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return stream.read(_TEXT_LIMIT)
    except OSError:
        if strict:
            raise
        return ""
