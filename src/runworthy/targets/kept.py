"""Files that are kept between runs, and when what was seen of a file may be kept."""

from __future__ import annotations

import os
import stat
import sys
from typing import Final

__all__ = ["cache_directory", "is_settled", "prepare", "settled_before"]

_SETTLED: Final = 2 * 10**9


def is_settled(ctime: int, now: int) -> bool:
    """Whether the last change lies so far before ``now`` (ns) that another one would show: clocks have a grain."""
    return ctime < settled_before(now)


def settled_before(now: int) -> int:
    """Return the time (ns) before which the last change must lie."""
    return now - _SETTLED


def prepare(directory: str, path: str) -> None:
    """Make the directory and an empty file that nobody else can write. Raises OSError for what belongs to another."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    owner = getattr(os, "geteuid", lambda: 0)()
    for status in (os.stat(directory), os.lstat(path)):
        if os.name == "posix" and (status.st_uid != owner or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
            raise PermissionError(f"{path} can be written by others")


def cache_directory() -> str:
    """Return where the cache lies: RUNWORTHY_CACHE_DIR, else the platform's place (XDG base directories)."""
    stated = os.environ.get("RUNWORTHY_CACHE_DIR")
    if stated:
        return stated
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/runworthy")
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA") or os.path.expanduser("~"), "runworthy", "cache")
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "runworthy")
