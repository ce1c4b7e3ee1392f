"""Which environments, caches and systems a walk came upon, who made them, and when they were used last.

A file belongs to the innermost one that holds it. What lies in none belongs to the directory that was asked for, which
is told as a plain tree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

from runworthy.model.storage import CACHES, Environment, EnvironmentKind
from runworthy.targets.storage.makers import maker_of
from runworthy.targets.storage.nest import Nest
from runworthy.targets.storage.peeking import ancestors, below, is_directory, status_of
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.recognising import PROBED, Found, is_kept_by_installer, recognised
from runworthy.targets.storage.uses import Uses
from runworthy.targets.storage.walk import Walk

__all__ = ["described", "environments_of", "root_around"]

_MANAGED: Final[frozenset[EnvironmentKind]] = frozenset(("venv", "conda", "pixi", "magic", "root"))
"""Kinds whose packages bring a node_modules along that no installer of Node packages looks after."""

_OF_ROOTS: Final = frozenset(("os-release",))

_SYSTEM: Final = frozenset("bin lib lib32 lib64 libx32 opt sbin usr".split())
"""Directories of a root that are its own: what lies elsewhere on a machine is somebody's, and no part of the system."""


def environments_of(walk: Walk, places: Places) -> tuple[Environment, ...]:
    """Return what a walk came upon, sorted by path; of a directory inside an environment that was asked for, this one.

    ``files`` and ``allocated`` count what was walked, each environment without those inside of it. A stored file with
    names in several is counted where the walk met it first. Raises OSError where a place cannot be told.
    """
    kinds = _found(walk)
    nest = Nest(kinds)
    sums = _sums(walk.sizes, nest)
    holding = {nest.innermost(os.path.dirname(path)) for path in kinds if path != "/"}
    uses = Uses()
    return tuple(
        described(path, kind, places, uses, sums.get(path, (0, 0)))
        for path, kind in sorted(kinds.items())
        if kind != "tree" or path in sums or path not in holding
    )


def described(
    path: str, kind: EnvironmentKind, places: Places, uses: Uses, sums: tuple[int, int] = (0, 0)
) -> Environment:
    """Return an environment with all that its own files tell. Raises OSError where its place cannot be told."""
    maker = maker_of(path, kind)
    used, used_by = uses.latest(path, kind)
    return Environment(
        path=path,
        kind=kind,
        place=places.place(path),
        installer=maker.installer,
        version=maker.version,
        python=maker.python,
        used=used,
        used_by=used_by,
        files=sums[0],
        allocated=sums[1],
    )


def root_around(path: str) -> str:
    """Return the innermost root of a system that a directory is, or lies in: "/" where no other is found.

    A system in a directory has a loader of its own, which serves all that lies in it.
    """
    for directory in ancestors(path):
        for inside in ("etc", "usr/lib"):
            at = os.path.join(directory, inside)
            if status_of(f"{at}/os-release") and any(found == directory for found, _ in recognised(at, _OF_ROOTS)):
                return directory
    return os.sep


def _found(walk: Walk) -> dict[str, EnvironmentKind]:
    """Return the paths and kinds of what holds the files: one around each top, and those below the tops."""
    tops = [top if is_directory(top) else os.path.dirname(top) for top in walk.tops]
    candidates = {path: kind for directory, marks in walk.marks.items() for path, kind in recognised(directory, marks)}
    for top in tops:
        candidates.update(_around(top))
    kept: dict[str, EnvironmentKind] = {}
    for path in sorted(candidates, key=lambda path: path.rstrip("/").count("/")):
        outer = next((above for above in ancestors(os.path.dirname(path)) if above in kept and above != path), "")
        if _belongs(path, candidates[path], kept.get(outer)):
            kept[path] = candidates[path]
    around = {top: next((above for above in ancestors(top) if above in kept), top) for top in tops}
    inside = {path: kind for path, kind in kept.items() if any(below(path, top) for top in tops)}
    return {above: kept.get(above, "tree") for above in around.values()} | inside


def _around(top: str) -> Iterator[Found]:
    """Yield what a directory may lie in."""
    for directory in ancestors(top):
        marks = frozenset(name for name in (*PROBED, "CACHEDIR.TAG") if status_of(os.path.join(directory, name)))
        yield from recognised(directory, marks)
        first = top[len(directory) :].strip("/").partition("/")[0]
        if first in _SYSTEM and status_of(os.path.join(directory, "etc/os-release")):
            yield from recognised(os.path.join(directory, "etc"), _OF_ROOTS)


def _belongs(path: str, kind: EnvironmentKind, outer: EnvironmentKind | None) -> bool:
    """Whether something is an environment of its own where it lies, ``outer`` being the kind of what it lies in."""
    if kind == "node_modules":
        return outer not in CACHES and (outer not in _MANAGED or is_kept_by_installer(path))
    if outer in CACHES:
        return kind == "venv" and outer == "uv-cache"
    return kind != "root" or outer in {None, "root"}


def _sums(sizes: Mapping[str, tuple[int, int]], nest: Nest) -> dict[str, tuple[int, int]]:
    """Return how many files each environment has, and how many bytes they take."""
    sums: dict[str, tuple[int, int]] = {}
    for directory, (files, allocated) in sizes.items():
        path = nest.innermost(directory)
        held = sums.get(path, (0, 0))
        sums[path] = held[0] + files, held[1] + allocated
    return sums
