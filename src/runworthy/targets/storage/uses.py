"""When an environment was used last, as far as its files tell.

Two things tell it: that a file of its own was read, and that something was written there. A file with names in several
environments says of none of them that it was the one read. Linux keeps times of access to the day where nothing else is
asked for (``relatime``: fs/inode.c, relatime_need_update), and not at all with ``noatime``; whoever searches or copies
a tree reads its files too. So a use can be told too late, never too early, and one that leaves no trace is not told.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from runworthy.model.storage import EnvironmentKind
from runworthy.targets.mounts import mount_of, read_mounts
from runworthy.targets.storage.makers import sites_of
from runworthy.targets.storage.peeking import entries, status_of

__all__ = ["Uses"]

_LOOKED_MAX: Final = 2000
"""Entries of one directory that are looked at."""


class _Traces(NamedTuple):
    """Paths below an environment, where a last part ``*`` stands for every entry of a directory.

    ``read`` are files that its programs read when they run, ``written`` files and directories that using it, or
    installing into it, changes.
    """

    read: Sequence[str] = ()
    written: Sequence[str] = ()


_META: Final = ("conda-meta", "conda-meta/history")
_CONDA: Final = _Traces(read=("bin/*", "lib/*"), written=_META)
_TRACES: Final[Mapping[EnvironmentKind, _Traces]] = {
    # Every start of its Python reads pyvenv.cfg (CPython Modules/getpath.py), which no installer links.
    "venv": _Traces(read=("pyvenv.cfg",), written=("pyvenv.cfg",)),
    "conda": _CONDA,
    "pixi": _CONDA,
    "magic": _CONDA,
    # Node reads the package.json of each package it loads; bundlers and compilers keep what they made below .cache.
    "node_modules": _Traces(
        read=("*/package.json",),
        written=(".package-lock.json", ".modules.yaml", ".yarn-integrity", ".yarn-state.yml", ".cache/*", ".vite/*"),
    ),
    "root": _Traces(written=("var/lib/dpkg/status", "lib/apk/db/installed", "usr/lib/sysimage/rpm", "var/lib/rpm/*")),
    "tree": _Traces(),
    # Resolving writes answers of indexes, installing new archives.
    "uv-cache": _Traces(written=("*", "*/*")),
    "pip-cache": _Traces(written=("*", "selfcheck/*")),
    "conda-cache": _Traces(written=("*",)),
    "rattler-cache": _Traces(written=("*",)),
    "pnpm-store": _Traces(written=("*", "files/*", "projects/*")),
    "npm-cache": _Traces(written=("*", "*/*")),
}
_WITH_SITES: Final[frozenset[EnvironmentKind]] = frozenset(("venv", "conda", "pixi", "magic"))


class Uses:
    """The latest uses of environments of this machine, whose table of mounts is read once."""

    def __init__(self) -> None:
        self._mounts = read_mounts()

    def latest(self, path: str, kind: EnvironmentKind) -> tuple[int, str]:
        """Return when an environment was used last (ns), and what tells it; 0 where nothing does."""
        traces = _TRACES[kind]
        keeps = self._keeps(path)
        reads = _reads(path, traces.read) if keeps else iter(())
        read = max(reads, default=(0, ""))
        writes = list(_writes(path, traces.written))
        if kind in _WITH_SITES:
            writes += _bytecode(path)
        written = max(writes, default=(0, ""))
        if read[0] and read[0] >= written[0]:
            return read[0], f"{read[1]} was read{keeps}"
        return (written[0], f"{written[1]} was changed") if written[0] else (0, "")

    def _keeps(self, path: str) -> str:
        """Return how exactly times of access are kept where something lies, in words; empty where they are not."""
        mount = mount_of(path, self._mounts or ())
        if mount is None or {"noatime", "ro"} & {*mount.options, *mount.super_options}:
            return ""
        return ", told to the day" if "relatime" in mount.options else ", told to the second"


def _reads(path: str, patterns: Sequence[str]) -> Iterator[tuple[int, str]]:
    for name, status in _matching(path, patterns):
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            yield status.st_atime_ns, name


def _writes(path: str, patterns: Sequence[str]) -> Iterator[tuple[int, str]]:
    for name, status in _matching(path, patterns):
        if status.st_nlink == 1 or stat.S_ISDIR(status.st_mode):
            yield status.st_mtime_ns, name


def _bytecode(path: str) -> Iterator[tuple[int, str]]:
    """Yield when packages were installed, and when bytecode was written: at the first import, if not before."""
    for site in sites_of(path):
        within = site[len(path) + 1 :]
        yield from _writes(path, (within, f"{within}/__pycache__", f"{within}/*/__pycache__"))


def _matching(path: str, patterns: Sequence[str]) -> Iterator[tuple[str, os.stat_result]]:
    for pattern in patterns:
        for name in _expanded(path, "", pattern):
            status = status_of(f"{path}/{name}")
            if status is not None:
                yield name, status


def _expanded(path: str, head: str, pattern: str) -> Iterator[str]:
    """Yield the paths that a pattern stands for; its ``*`` are whole parts, and lead through no links."""
    plain, star, tail = pattern.partition("*")
    if not star:
        yield head + plain
        return
    names = entries(f"{path}/{head}{plain}", lambda entry: not tail or entry.is_dir(follow_symlinks=False), _LOOKED_MAX)
    for name in names:
        yield from _expanded(path, f"{head}{plain}{name}", tail)
