"""Directories as subjects: every program and library in one, from its real place."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from runworthy.model.finding import Tree
from runworthy.model.records import dataclass
from runworthy.targets.directory import DirectoryView, Trail
from runworthy.targets.placement import Source, locate, member
from runworthy.targets.trees import Member, Watch, walk

__all__ = ["Found", "open_tree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A subject in a directory. ``problem`` says why it cannot be judged, empty where it can."""

    name: str
    source: Source
    problem: str = ""


def open_tree(
    name: str, view: DirectoryView, watch: Watch | None = None, trail: Trail | None = None
) -> tuple[Tree, list[Found], list[str]]:
    """Return what lies in the directory ``name`` of this machine, which ``view`` shows. Raises OSError.

    That is the tree, its subjects, and the names of files that are called like archives. ``watch`` is told how far it
    is; ``trail`` takes what was looked at.
    """
    directory = locate(name, view)
    found = walk(view.host_path(directory.real), watch, trail)
    tree = Tree(
        name=name,
        files=found.files,
        links=found.links,
        subjects=len(found.members),
        passed_over=found.passed_over,
        aliases=dict(_aliases(name, found.members)),
    )
    subjects = [
        Found(name=_below(name, one.path), source=member(directory, one.path), problem=one.problem)
        for one in found.members
    ]
    return tree, subjects, [_below(name, path) for path in found.archives]


def _aliases(name: str, members: tuple[Member, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for one in members:
        if one.aliases:
            yield _below(name, one.path), tuple(_below(name, alias) for alias in one.aliases)


def _below(name: str, path: str) -> str:
    """Return the name of a file in a directory, with the directory as it was given."""
    return name if path == posixpath.curdir else posixpath.join(name, path)
