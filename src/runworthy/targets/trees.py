"""The ELF programs and libraries in a directory of this machine.

Every file is looked at by its first bytes, never by its name. Symbolic links are not descended into: one that leads to
a file of the tree is another name of it. So are hard links and copies with the same bytes, mode and directory: a loader
answers for all of them alike. The same file in another directory is another subject, since ``$ORIGIN`` differs.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from runworthy.formats.archive import ARCHIVE_SUFFIXES
from runworthy.formats.elf_kind import MAGIC, elf_kind
from runworthy.model.records import dataclass, field
from runworthy.targets.directory import Trail
from runworthy.targets.mounts import pseudo_mounts
from runworthy.targets.twins import Named, once_each

__all__ = ["Member", "Tree", "Watch", "walk"]

Watch = Callable[[str, int, int], None]
"""Told again and again what is done (``find``, ``judge``) and two numbers: files looked at and subjects among them,
or cells judged and all that there are."""

_HEAD = 64
_SAME_HEAD = 1024
_CHUNK = 1 << 20
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
# A name that goes away, or turns into something else, between the listing and the look.
_GONE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A subject of a tree. ``path`` and ``aliases``, its other names, are relative to the tree.

    ``problem`` says why a file or directory cannot be looked into, empty for all others.
    """

    path: str
    aliases: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What a walk found: subjects by path, the number of files looked at, and of ELF files that are no subjects.

    ``archives`` are the files that are called like archives, relative to the tree.
    """

    members: tuple[Member, ...]
    files: int
    links: int
    passed_over: Mapping[str, int]
    archives: tuple[str, ...] = ()


@dataclass(slots=True)
class _Walk:
    """What is gathered on the way; paths are whole."""

    found: list[Named] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    archives: list[str] = field(default_factory=list)
    files: int = 0
    trail: Trail | None = None

    def fails(self, path: str, error: OSError) -> None:
        """Note what cannot be looked into, but for what has gone meanwhile."""
        if error.errno not in _GONE:
            self.problems[path] = error.strerror or "cannot be read"


class _Descriptor:
    """An open file as Content."""

    __slots__ = ("_fd", "size")

    def __init__(self, descriptor: int, size: int) -> None:
        self._fd = descriptor
        self.size = size

    def pread(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``. Raises OSError."""
        os.lseek(self._fd, min(offset, self.size), os.SEEK_SET)
        return os.read(self._fd, count)


def walk(directory: str, watch: Watch | None = None, trail: Trail | None = None) -> Tree:
    """Return the subjects in ``directory``, the same each time. What cannot be read is a member with a problem."""
    top = os.path.realpath(directory)
    walked = _Walk(trail=trail)
    pending = [top]
    closed = pseudo_mounts(top)
    while pending:
        below = pending.pop()
        pending += _look_into(below, walked, closed)
        if watch is not None:
            watch("find", walked.files, len(walked.found))
    found = once_each(walked.found)
    _name_links(walked.found, walked.links)
    start = len(top.rstrip(os.sep)) + 1
    members = [Member(path=_relative(one.path, start), aliases=_names(one.aliases, start)) for one in found]
    members += [Member(path=_relative(path, start), problem=text) for path, text in walked.problems.items()]
    members.sort(key=lambda member: member.path.split("/"))
    return Tree(
        members=tuple(members),
        files=walked.files,
        links=len(walked.links),
        passed_over=dict(sorted(walked.passed_over.items())),
        archives=_names(walked.archives, start),
    )


# -- looking ---------------------------------------------------------------------------------


def _look_into(directory: str, walked: _Walk, closed: frozenset[str]) -> list[str]:
    """Look at every file of one directory; return the directories in it that are to be entered."""
    if walked.trail is not None:
        walked.trail.listed.append(directory)
    try:
        below, files = _list(directory, walked)
    except OSError as error:
        walked.fails(directory, error)
        return []
    walked.files += len(files)
    archives = [path for path in files if path.lower().endswith(ARCHIVE_SUFFIXES)]
    walked.archives += archives
    foreign: list[str] = []
    for path in files:
        try:
            descriptor = os.open(path, _FLAGS)
        except OSError as error:
            walked.fails(path, error)
            continue
        try:
            if os.read(descriptor, _HEAD).startswith(MAGIC):
                _take(path, descriptor, walked)
            elif path not in archives:
                foreign.append(path)
        except OSError as error:
            walked.fails(path, error)
        finally:
            os.close(descriptor)
    if walked.trail is not None:
        walked.trail.foreign += foreign
        walked.trail.looked += {*files, *closed.intersection(below)}.difference(foreign)
    return [path for path in below if path not in closed] if closed else below


def _list(directory: str, walked: _Walk) -> tuple[list[str], list[str]]:
    """Return the directories and the files in a directory. The listing tells which they are: nothing is stat'ed.

    Devices, FIFOs and sockets are left where they are. Raises OSError.
    """
    below: list[str] = []
    files: list[str] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_symlink():
                walked.links.append(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                files.append(entry.path)
    return below, files


def _take(path: str, descriptor: int, walked: _Walk) -> None:
    """Keep an ELF file if it is a subject. Raises OSError."""
    status = os.fstat(descriptor)
    content = _Descriptor(descriptor, status.st_size)
    kind = elf_kind(content)
    if kind == "subject":
        like = (status.st_size, stat.S_IMODE(status.st_mode), status.st_uid, content.pread(0, _SAME_HEAD))
        walked.found.append(Named(path, like, (status.st_dev, status.st_ino), partial(_pieces, path)))
    else:
        walked.passed_over[kind] += 1


def _pieces(path: str) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


# -- names -----------------------------------------------------------------------------------


def _name_links(found: Iterable[Named], links: Iterable[str]) -> None:
    """Give every link that leads to a subject to it as another name. No link is opened."""
    held: dict[object, list[Named]] = {}
    for one in found:
        held.setdefault(one.identity, []).append(one)
    for link in links:
        try:
            status = os.stat(link)
        except OSError:
            continue
        names = held.get((status.st_dev, status.st_ino), [])
        if len(names) > 1:
            real = os.path.realpath(link)
            names = [one for one in names if one.path == real]
        if names:
            names[0].first.aliases.append(link)


def _names(paths: Iterable[str], start: int) -> tuple[str, ...]:
    return tuple(sorted(_relative(path, start) for path in paths))


def _relative(path: str, start: int) -> str:
    return path[start:].replace(os.sep, "/") or posixpath.curdir
