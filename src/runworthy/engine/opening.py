"""What a name stands for: a file, what is judged of a directory, or an archive and its members."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runworthy.engine.subjects import MARK, Subject, read_subject
from runworthy.model.errors import FormatError
from runworthy.model.finding import Tree
from runworthy.model.records import dataclass, field
from runworthy.targets.directory import DirectoryView, Trail
from runworthy.targets.placement import locate

if TYPE_CHECKING:
    from runworthy.engine.containers import Holder, Opened
    from runworthy.engine.trees import Found
    from runworthy.targets.trees import Watch

__all__ = ["Given", "archive_at", "open_given"]

_APPIMAGE = ".appimage"


@dataclass(slots=True)
class Given:
    """A name, and what is judged of it. ``trees`` is what the report tells of directories and archives.

    ``subjects`` are files, members of archives, and the archives themselves (``whole``); ``holders`` are all archives
    among them, those that lie in others too, each after the one that it lies in. ``is_archive``: the name is that of an
    archive, and not of a member of one.
    """

    name: str
    subjects: list[Subject]
    trees: list[Tree] = field(default_factory=list)
    holders: list[Holder] = field(default_factory=list)
    is_directory: bool = False
    is_archive: bool = False

    @property
    def files(self) -> Iterator[Subject]:
        """Yield what may be a program or a library: everything but the archives as such."""
        return (one for one in self.subjects if not one.whole)

    def below(self, name: str) -> str:
        """Return the rest of a subject's name, which begins with this one's: its path in the directory or archive."""
        return name[len(self.name) :].lstrip(f"/{MARK}") or os.curdir


def open_given(name: str, view: DirectoryView, watch: Watch | None = None, trail: Trail | None = None) -> Given:
    """Return what a name of this machine, which ``view`` shows, stands for; ``name`` may be a member of an archive.

    What cannot be read is a subject with a problem. ``watch`` is told how far it is, ``trail`` takes where it looks.
    """
    if not os.path.isdir(name):
        return _file(name, view)
    from runworthy.engine.trees import open_tree

    given = Given(name, [], is_directory=True)
    try:
        tree, found, archives = open_tree(name, view, watch, trail)
    except OSError as error:
        given.subjects.append(_unreadable(name, error))
        return given
    given.trees.append(tree)
    given.subjects += [_found(one, None, view) for one in found]
    for archive in archives:
        given.subjects += _archive(given, archive, view, name)
    return given


def _file(name: str, view: DirectoryView) -> Given:
    """Return a file, or what is judged of an archive; a member of one that is named, alone."""
    given = Given(name, [])
    if MARK in name and not os.path.lexists(name):
        from runworthy.engine.containers import split_member

        place = split_member(name)
        held = _archive(given, place[0], view) if place else []
        given.subjects = _members(given, held, view)
        return given
    subject = read_subject(name, view)
    is_elf = subject.file is None
    held = _archive(given, name, view) if not is_elf or name.lower().endswith(_APPIMAGE) else []
    given.is_archive = bool(given.holders)
    told = any(not one.whole or (one.holder and one.holder.has_more_to_tell) for one in held)
    # What holds nothing to judge may still be a program itself.
    if not held or (not is_elf and not told and _may_be_started(subject)):
        given.subjects = [subject]
        given.trees.clear()
    else:
        given.subjects = [subject, *held] if is_elf else held
    return given


def _members(given: Given, held: list[Subject], view: DirectoryView) -> list[Subject]:
    """Return what a member of an archive stands for: itself, or all that is judged in it where it holds more.

    ``held`` is what is judged of the whole archive: copies and links are told with the first of them there, scripts and
    data not at all. Asked for by name, each is judged.
    """
    name = given.name.rstrip("/")
    below = (name + MARK, name + "/")
    given.trees = [tree for tree in given.trees if tree.name == name or tree.name.startswith(below)]
    found = [one for one in held if one.name == name or one.name.startswith(below)]
    if found:
        return found
    from runworthy.engine.containers import found_at

    for holder in given.holders:
        one = found_at(holder, name)
        if one is not None:
            return [_found(one, holder, view)]
    return [Subject(name, problem=FormatError("is no member"))]


def _may_be_started(subject: Subject) -> bool:
    """Whether an archive is a file that somebody executes, as its mode says: a jar, or a program with a zip in it."""
    source = subject.source
    return source is not None and bool(source.view.mode(source.real) & 0o111)


def _archive(given: Given, name: str, view: DirectoryView, within: str = "") -> list[Subject]:
    """Return what is judged of the file ``name`` of this machine if it is an archive: itself, and its members."""
    try:
        opened = archive_at(name, view, within)
    except OSError as error:
        return [_unreadable(name, error)]
    given.trees += opened.trees
    given.holders += opened.holders
    return [
        *(Subject(one.name, holder=one, whole=True) for one in opened.holders),
        *(_found(found, holder, view) for found, holder in opened.found),
    ]


def archive_at(name: str, view: DirectoryView, within: str = "") -> Opened:
    """Return what came of opening a file of this machine as an archive. Raises OSError."""
    from runworthy.engine.containers import Opened, open_container

    source = locate(name, view)
    if source.kind != "file":
        return Opened()
    return open_container(name, source.real, source.view.content(source.real), within)


def _found(one: Found, holder: Holder | None, view: DirectoryView) -> Subject:
    if one.problem:
        return Subject(one.name, problem=FormatError(one.problem), holder=holder)
    subject = read_subject(one.name, view, one.source)
    subject.holder = holder
    return subject


def _unreadable(name: str, error: OSError) -> Subject:
    return Subject(name, problem=FormatError(error.strerror or "cannot be read"))
