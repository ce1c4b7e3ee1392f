"""By what a directory is told to be an environment, a cache of an installer, or the root of a system.

Each kind has an entry by which it is found, and what must be there besides. Sources: PEP 405 (pyvenv.cfg); conda
``core/package_cache_data.py`` (urls.txt); rattler ``crates/rattler_cache/src/package_cache`` (.cache.lock, and
``NAME.lock`` beside NAME) ; uv ``crates/uv-cache/src/lib.rs`` (CacheBucket); pnpm ``store/path`` and
``store/cafs/src/getFilePathInCafs.ts``; cacache (content-v2); pip ``_internal/utils/filesystem.py`` and
``_internal/network/cache.py``; os-release(5).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final

from runworthy.formats.environment.venv import PYVENV_MAX, parse_pyvenv
from runworthy.model.errors import FormatError
from runworthy.model.storage import CACHES, EnvironmentKind
from runworthy.targets.storage.peeking import entries, is_directory, peek, status_of

__all__ = ["NODE_RECORDS", "PROBED", "Found", "cache_at", "is_kept_by_installer", "recognised"]

Found = tuple[str, EnvironmentKind]

NODE_RECORDS: Final = (".modules.yaml", ".package-lock.json", ".yarn-integrity", ".yarn-state.yml")
"""What pnpm, npm and yarn keep in a node_modules that they made."""

_STORE: Final = re.compile(r"v\d{1,3}")
_HEX: Final = re.compile(r"[0-9a-f]{2}")
_PIXI: Final[Mapping[str, EnvironmentKind]] = {".pixi": "pixi", ".magic": "magic"}
_LOCKS_MAX: Final = 16
_ENVIRONMENTS: Final = frozenset(("envs", "solve-group-envs"))


def recognised(directory: str, marks: frozenset[str]) -> Iterator[Found]:
    """Yield the environments and caches that ``marks``, which the directory holds, tell of: their paths and kinds."""
    for mark in marks & PROBED:
        found = _RECOGNISERS[mark](directory, marks)
        if found is not None:
            yield found


def cache_at(path: str) -> EnvironmentKind | None:
    """Return which cache a directory is, None where it is none that is known."""
    marks = frozenset(name for name in (*PROBED, "CACHEDIR.TAG") if status_of(f"{path}/{name}") is not None)
    kinds = [kind for at, kind in recognised(path, marks) if at == path and kind in CACHES]
    if not kinds:  # rattler before .cache.lock
        locks = entries(path, lambda entry: entry.name.endswith(".lock"), 4096)
        packages = (f"{path}/{lock.removesuffix('.lock')}/info" for lock in locks[:_LOCKS_MAX])
        kinds = [kind for one in packages if (kind := (_package(one, marks) or ("", None))[1])]
    return kinds[0] if kinds else None


def is_kept_by_installer(path: str) -> bool:
    """Whether an installer keeps its own record in a node_modules."""
    return any(status_of(f"{path}/{name}") is not None for name in NODE_RECORDS)


def _venv(directory: str, _: frozenset[str]) -> Found | None:
    with suppress(OSError, FormatError):
        if parse_pyvenv(peek(f"{directory}/pyvenv.cfg", PYVENV_MAX, beginning=True)).home:
            return directory, "venv"
    return None


def _conda(directory: str, _: frozenset[str]) -> Found | None:
    """An environment of pixi or magic lies where they put it, or holds what they write (``detached-environments``)."""
    meta = f"{directory}/conda-meta"
    if not is_directory(meta):
        return None
    if not entries(meta, lambda entry: entry.name == "history" or entry.name.endswith(".json"), 4096):
        return None
    parts = directory.split("/")
    if len(parts) > 3 and parts[-2] in _ENVIRONMENTS and parts[-3] in _PIXI:
        return directory, _PIXI[parts[-3]]
    return directory, "pixi" if status_of(f"{meta}/pixi") is not None else "conda"


def _node(directory: str, _: frozenset[str]) -> Found | None:
    path = f"{directory.rstrip('/')}/node_modules"
    inner = f"{directory}/".find("/node_modules/") >= 0
    return None if inner or not is_directory(path) else (path, "node_modules")


def _root(directory: str, _: frozenset[str]) -> Found | None:
    """``etc/os-release`` or ``usr/lib/os-release``, with programs and libraries beside."""
    if os.path.basename(directory) == "etc":
        top = os.path.dirname(directory)
    elif directory.endswith("/usr/lib"):
        top = directory[: -len("/usr/lib")] or "/"
    else:
        return None
    beside = (status_of(os.path.join(top, name)) for name in ("bin", "usr", "lib"))
    return (top, "root") if sum(one is not None for one in beside) > 1 else None


def _uv(directory: str, marks: frozenset[str]) -> Found | None:
    return (directory, "uv-cache") if "CACHEDIR.TAG" in marks and is_directory(f"{directory}/archive-v0") else None


def _pkgs(directory: str, _: frozenset[str]) -> Found | None:
    """A cache of conda or rattler, by what they keep beside the packages."""
    if status_of(f"{directory}/urls.txt") is not None:
        known = os.path.basename(directory) == "pkgs" or status_of(f"{directory}/urls") is not None
        return (directory, "conda-cache") if known else None
    return (directory, "rattler-cache") if status_of(f"{directory}/.cache.lock") is not None else None


def _package(directory: str, _: frozenset[str]) -> Found | None:
    """``info/paths.json`` of an unpacked package, with what is kept of it beside it in a cache."""
    package = os.path.dirname(directory)
    if os.path.basename(directory) != "info" or status_of(f"{directory}/index.json") is None:
        return None
    found = _pkgs(os.path.dirname(package), frozenset())
    if found is None and status_of(f"{package}.lock") is not None:
        return os.path.dirname(package), "rattler-cache"
    return found


def _pnpm(directory: str, _: frozenset[str]) -> Found | None:
    if not _STORE.fullmatch(os.path.basename(directory)):
        return None
    shards = entries(f"{directory}/files", lambda entry: bool(_HEX.fullmatch(entry.name)), 1024)
    return (directory, "pnpm-store") if shards else None


def _npm(directory: str, _: frozenset[str]) -> Found | None:
    path = f"{directory.rstrip('/')}/_cacache"
    return (path, "npm-cache") if is_directory(f"{path}/content-v2") else None


def _pip(directory: str, marks: frozenset[str]) -> Found | None:
    known = os.path.basename(directory) == "pip" or "selfcheck" in marks
    return (directory, "pip-cache") if known and is_directory(f"{directory}/http-v2") else None


_RECOGNISERS: Final[Mapping[str, Callable[[str, frozenset[str]], Found | None]]] = {
    ".cache.lock": _pkgs,
    "_cacache": _npm,
    "archive-v0": _uv,
    "conda-meta": _conda,
    "files": _pnpm,
    "http-v2": _pip,
    "node_modules": _node,
    "os-release": _root,
    "paths.json": _package,
    "pyvenv.cfg": _venv,
    "urls.txt": _pkgs,
}
PROBED: Final = frozenset(_RECOGNISERS)
"""The names of entries by which all of them are found."""
