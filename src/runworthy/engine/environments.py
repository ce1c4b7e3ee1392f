"""Environments among the directories that are given, and what their processes load together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from runworthy.engine.context import launch_on, runtime_names
from runworthy.engine.results import Cell
from runworthy.engine.subjects import Subject
from runworthy.model.records import replace
from runworthy.model.storage import Environment, Place
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import Machinery
from runworthy.targets.names import TargetName
from runworthy.targets.storage.environments import root_around
from runworthy.targets.storage.peeking import ancestors, below, entries, status_of
from runworthy.targets.storage.recognising import Found, recognised
from runworthy.targets.target import Target

if TYPE_CHECKING:
    from runworthy.engine.opening import Given
    from runworthy.targets.directory import Trail

__all__ = ["clashes_on", "environments_in", "serves"]

_KINDS: Final = ("venv", "conda", "pixi", "magic", "node_modules")
_DEEP: Final = ((".pixi", "envs"), (".magic", "envs"))
"""Where pixi and magic put environments in the directory of a project."""
_LOOKED_AT: Final = 64
_FEWEST: Final = 2
_NODE: Final = "node_modules"
_MARKS: Final = ("pyvenv.cfg", "conda-meta", _NODE)
_OF_ROOT: Final = ("etc", "usr", "bin", "lib", "etc/os-release", "usr/lib/os-release")


def environments_in(given: Given, trail: Trail) -> Iterator[Subject]:
    """Yield the environments that a directory is, and those directly in it, under the names that people gave them.

    Those in which two files at least are judged: with fewer nothing can be loaded beside each other. ``trail`` takes
    what lies outside of the directory and was looked at.
    """
    top = os.path.realpath(given.name)
    for path in dict.fromkeys(_candidates(top)):
        for at, kind in _recognised(path):
            name = given.name if at == top else os.path.join(given.name, os.path.relpath(at, top))
            judged = (one for one in given.files if one.file is None and one.name.startswith(f"{name.rstrip('/')}/"))
            if kind in _KINDS and below(at, top) and sum(1 for _ in judged) >= _FEWEST:
                trail.looked += [os.path.join(one, part) for one in ancestors(at) for part in _OF_ROOT]
                place = Place(path=at, filesystem="", device=0, type="")  # no loader asks for it
                yield Subject(name, whole=True, environment=Environment(path=at, kind=kind, place=place))


def _candidates(top: str) -> Iterator[str]:
    """Yield the directories that are asked whether they are environments, or hold a node_modules."""
    if os.path.basename(top) == _NODE:
        yield os.path.dirname(top)
    yield top
    for directory in (top, *(os.path.join(top, *parts) for parts in _DEEP)):
        names = entries(directory, lambda entry: entry.is_dir(follow_symlinks=False))
        yield from (os.path.join(directory, name) for name in names[:_LOOKED_AT])


def _recognised(path: str) -> Iterator[Found]:
    marks = frozenset(name for name in _MARKS if status_of(os.path.join(path, name)) is not None)
    return recognised(path, marks)


def serves(name: TargetName, environment: Environment) -> bool:
    """Whether the loader of a target is the one that would really serve an environment of this machine."""
    root = os.sep if name.text == "host" else name.directory
    if root is None:
        return False
    root = os.path.realpath(root)
    return below(environment.path, root) and below(root, root_around(environment.path))


def clashes_on(subject: str, environment: Environment, target: Target, launch: Launch) -> Cell | None:
    """Return what processes of an environment load in several builds on a target, None where there is no such thing."""
    from runworthy.engine.dedupe.clashing import clashes_of
    from runworthy.engine.dedupe.loading import Loading
    from runworthy.storage.telling import told
    from runworthy.targets.directory import DirectoryView

    view = target.view
    if not isinstance(view, DirectoryView):
        return None
    alone = replace(launch_on(target, launch), until="load", loaded_by=None, trace=False)
    machinery = Machinery(target, alone, runtime_names(target.arch))
    loading = Loading(environment, root=view.host_path("/"), machinery=machinery)
    clashes = clashes_of(loading)
    if not clashes:
        return None
    return Cell(
        subject=subject,
        target=target.name,
        path=environment.path,
        trace=told(environment.path, clashes),
        libc=loading.libc,
        root=target,
        storage=clashes,
    )
