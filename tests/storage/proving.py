"""What holds of every name of a tree, and what the product says: to be compared before sharing, after it, and undone.

names = proving.seen(disk.path)                  # {path: Seen}: bytes, mode, owner, attributes, times, and its inode
told = proving.dedupe(disk.path, "--apply")      # the command line, as people use it; its JSON
proving.same(names, proving.seen(disk.path))     # nothing has changed that anybody sees, inodes among it
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from runworthy.model.records import dataclass, replace
from tests.judges.roots import requires_tool

__all__ = ["Seen", "command", "dedupe", "jdupes", "linked", "seen", "settle", "without"]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is seen of a name. ``content`` is the SHA-256 of a file, where a link leads, and empty for a directory.

    ``links`` are how many names its inode has, and ``blocks`` what it takes (in 512 bytes).
    """

    mode: int
    uid: int
    gid: int
    size: int
    content: str
    attributes: tuple[tuple[str, bytes], ...]
    atime: int
    mtime: int
    ctime: int
    inode: tuple[int, int]
    links: int
    blocks: int


def seen(*tops: Path) -> dict[str, Seen]:
    """Return what is seen of all names below directories, and of these."""
    found = {}
    for top in tops:
        found[str(top)] = _seen(os.fspath(top))
        for directory, inner, files in os.walk(top):
            for name in (*inner, *files):
                path = os.path.join(directory, name)
                found[path] = _seen(path)
    return found


def without(names: Mapping[str, Seen], *fields: str) -> dict[str, Seen]:
    """Return what is seen of names, with some of it left out of sight."""
    nothing: Any = dict.fromkeys(fields)
    return {path: replace(one, **nothing) for path, one in names.items()}


def linked(names: Mapping[str, Seen]) -> set[frozenset[str]]:
    """Return the names of files by the inodes that they lead to."""
    by: dict[tuple[int, int], set[str]] = {}
    for path, one in names.items():
        if stat.S_ISREG(one.mode):
            by.setdefault(one.inode, set()).add(path)
    return {frozenset(some) for some in by.values()}


def _seen(path: str) -> Seen:
    status = os.lstat(path)
    is_file = stat.S_ISREG(status.st_mode)
    content = os.readlink(path) if stat.S_ISLNK(status.st_mode) else _digest(path) if is_file else ""
    is_directory = stat.S_ISDIR(status.st_mode)
    return Seen(
        mode=status.st_mode,
        uid=status.st_uid,
        gid=status.st_gid,
        size=0 if is_directory else status.st_size,  # what a directory takes depends on what has been in it
        content=content,
        attributes=tuple(
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
        ),
        atime=status.st_atime_ns,
        mtime=status.st_mtime_ns,
        ctime=0 if is_directory else status.st_ctime_ns,
        inode=(status.st_dev, status.st_ino),
        links=status.st_nlink,
        blocks=0 if is_directory else status.st_blocks,
    )


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- the product ----------------------------------------------------------------------------


def command(*words: str | Path, code: int = 0) -> str:
    """Run `runworthy`, and return what it writes. Raises AssertionError where it ends with another code."""
    command = [sys.executable, "-m", "runworthy", *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=False)
    said, wrong = os.fsdecode(done.stdout), os.fsdecode(done.stderr)
    assert done.returncode == code, f"{done.returncode}: {said[-3000:]}{wrong[-3000:]}"
    return said + wrong


def dedupe(*words: str | Path, code: int = 0) -> dict[str, Any]:
    """Run `runworthy dedupe`, and return its report."""
    found = json.loads(command("dedupe", *words, "--format", "json", "-v", code=code))
    assert isinstance(found, dict)
    return found


def settle(*tops: Path) -> None:
    """Have all that was written lie on the disk: what is not there yet has no extents to share, and no blocks."""
    for top in tops:
        fd = os.open(top, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
    os.sync()


def jdupes(tops: Iterable[Path], smallest: int = 1) -> set[frozenset[str]]:
    """Return the sets of equal names of jdupes, where these lead to two inodes or more."""
    tool = requires_tool("jdupes", package="jdupes")
    words = [str(tool), "-r", "-q", "-0", "-H", "-X", f"size+=:{smallest}", *map(str, tops)]
    done = subprocess.run(words, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C"})
    sets = [[os.fsdecode(name) for name in one.split(b"\0") if name] for one in done.stdout.split(b"\0\0")]
    return {frozenset(names) for names in sets if len({os.lstat(name).st_ino for name in names}) > 1}
