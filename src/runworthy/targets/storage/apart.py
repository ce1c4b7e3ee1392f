"""Files that are never shared, whatever bytes they hold: somebody changes them in place, in one environment alone.

Installers rewrite their records and append to their histories, databases write into their files, and people edit
settings; with one inode under two names, each of these would reach the other environment too. uv copies ``RECORD``
even where it links everything else (``uv-install-wheel/src/linker.rs``). Such files are duplicates all the same, and
are told as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["LEFTOVER", "NAMES", "PARTS", "SUFFIXES", "kept_apart"]

LEFTOVER: Final = ".runworthy-"
"""How the names of files begin that stand for a moment while something is shared, or are left when that was cut off."""

NAMES: Final[Mapping[str, str]] = {
    ".condarc": "the setting of one environment",
    ".modules.yaml": "pnpm's record of one tree",
    ".package-lock.json": "npm's record of one tree",
    ".pnpm-workspace-state.json": "pnpm's record of one tree",
    ".pnpm-workspace-state-v1.json": "pnpm's record of one tree",
    ".yarn-integrity": "yarn's record of one tree",
    ".yarn-state.yml": "yarn's record of one tree",
    "INSTALLER": "installers of Python packages rewrite it",
    "RECORD": "installers of Python packages rewrite it",
    "REQUESTED": "installers of Python packages rewrite it",
    "direct_url.json": "installers of Python packages rewrite it",
    "go.sum": "go writes into it",
    "installed-files.txt": "installers of Python packages rewrite it",
    "lock.yaml": "pnpm's record of one tree",
    "npm-shrinkwrap.json": "npm writes into it",
    "package-lock.json": "npm writes into it",
    "pnpm-lock.yaml": "the setting of one project",
    "pyvenv.cfg": "the setting of one environment",
    "urls": "conda appends the packages that it fetches",
    "urls.txt": "conda appends the packages that it fetches",
    "uv_build.json": "uv's record of one environment",
    "uv_cache.json": "uv's record of one environment",
}
"""Base names, and why."""

SUFFIXES: Final[Mapping[str, str]] = {
    ".db": "a database",
    ".db-journal": "a database",
    ".db-shm": "a database",
    ".db-wal": "a database",
    ".db3": "a database",
    ".dbm": "a database",
    ".egg-link": "it names a source tree",
    ".gdbm": "a database",
    ".ldb": "a database",
    ".lmdb": "a database",
    ".lock": "it is locked and rewritten",
    ".log": "it is appended to",
    ".mdb": "a database",
    ".pid": "it is rewritten",
    ".pth": "the setting of one environment",
    ".sqlite": "a database",
    ".sqlite-journal": "a database",
    ".sqlite-shm": "a database",
    ".sqlite-wal": "a database",
    ".sqlite3": "a database",
    ".sqlite3-journal": "a database",
    ".sqlite3-shm": "a database",
    ".sqlite3-wal": "a database",
    ".swp": "an editor writes into it",
}
"""How base names end, and why."""

PARTS: Final[Mapping[str, str]] = {
    "/.git/": "git appends to its logs, and people edit its settings",
    "/.hg/": "Mercurial appends to what it holds",
    "/.svn/": "Subversion keeps its database there",
    "/conda-meta/": "conda's records of one environment, and its history, to which it appends",
}
"""Parts of paths, and why. git's objects are no such files: nobody changes them."""

_OBJECTS = "/.git/objects/"
_ENDS = tuple(SUFFIXES)
_PARTS = tuple(PARTS)


def kept_apart(path: str) -> bool:
    """Whether the file at ``path`` is never shared. Only the path is looked at."""
    name = path[path.rfind("/") + 1 :]
    if name in NAMES or name.endswith(_ENDS) or name.startswith(LEFTOVER):
        return True
    return any(part in path for part in _PARTS) and _OBJECTS not in path
