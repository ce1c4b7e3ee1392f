"""Which files of two builds are the same thing, and which of them a change can reach."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from runworthy.engine.compare import HASH
from runworthy.engine.opening import Given
from runworthy.engine.subjects import Subject
from runworthy.model.arch import Architecture
from runworthy.model.difference import PairedBy
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass, replace
from runworthy.targets.placement import Source

__all__ = ["Build", "File", "Match", "build_of", "by_key", "paired", "touched", "unversioned"]

_T = TypeVar("_T")

_CHUNK = 1 << 20
# What changes from build to build: hashes, the tags of CPython's modules (PEP 3149), versions.
_NUMBERS = re.compile(
    r"(?<![A-Za-z0-9])v?\d+(?:\.\d+)+(?:[-_.+~]?(?:alpha|beta|rc|pre|dev|post|a|b|r)[-.]?\d*(?![A-Za-z]))*",
    re.IGNORECASE,
)
_TREE_NAMES = frozenset(
    ("bin", "etc", "include", "lib", "lib32", "lib64", "libexec", "libx32", "opt", "sbin", "share", "usr", "var")
)
"""What directories are called that say what is in them, and not whose it is."""

_ADDED = re.compile(HASH.pattern + r"|\.(?:cpython|pypy|abi)[\w-]*(?=\.so)|[-.]\d[\d.]*(?=\.so|$)")


@dataclass(slots=True)
class File:
    """A file of one build: its name as people write it, its path in the build, and what it holds or why nothing."""

    name: str
    path: str
    source: Source | None = None
    elf: ElfFile | None = None
    problem: str = ""

    @property
    def soname(self) -> str:
        """Its soname, empty where it has none."""
        return (self.elf.facts.soname or "") if self.elf else ""

    @property
    def stem(self) -> str:
        """Its name without what changes from build to build."""
        return _ADDED.sub("", posixpath.basename(self.path))

    @property
    def names(self) -> frozenset[str]:
        """The names by which others may need it."""
        return frozenset((posixpath.basename(self.path), self.soname))

    def same_bytes(self, other: File) -> bool:
        """Whether two files hold the same bytes and have the same mode. Raises OSError."""
        if self.source is None or other.source is None:
            return False
        mine, others = (file.view.content(file.real) for file in (self.source, other.source))
        modes = {file.view.mode(file.real) for file in (self.source, other.source)}
        if mine.size != others.size or len(modes) > 1:
            return False
        return all(mine.pread(at, _CHUNK) == others.pread(at, _CHUNK) for at in range(0, mine.size, _CHUNK))


@dataclass(frozen=True, slots=True)
class Build:
    """What was given: a file, a directory, an archive, or an asset of a release. ``is_tree``: it is no single file."""

    name: str
    is_tree: bool
    files: tuple[File, ...]

    @property
    def top(self) -> str:
        """The one directory in which everything lies and which is nobody's part, with a slash; else empty."""
        first = {file.path.partition("/")[0] if "/" in file.path else "" for file in self.files}
        return f"{first.pop()}/" if len(first) == 1 and not first & {"", *_TREE_NAMES} else ""


class Match(NamedTuple):
    """Two files that belong together; one of them is None for what was added or removed."""

    old: File | None
    new: File | None
    by: PairedBy = "path"

    @property
    def architecture(self) -> Architecture | None:
        """The architecture of the old file, of one that was added its own."""
        first = self.old or self.new
        return first.elf.facts.architecture if first and first.elf else None

    @property
    def bound_to(self) -> str:
        """The architecture of the old file where the new one has another, else empty."""
        if self.old is None or self.new is None or self.old.elf is None or self.new.elf is None:
            return ""
        before, after = (file.facts.architecture for file in (self.old.elf, self.new.elf))
        return before.name if before and before is not after else ""


def build_of(given: Given) -> Build:
    """Return the ELF files of what was given."""
    files = [_read(subject, given.below(subject.name)) for subject in given.files]
    broken = [
        File(holder.name, given.below(holder.name), problem=holder.container.problem)
        for holder in given.holders
        if holder.container.problem
    ]
    is_tree = given.is_directory or given.is_archive
    if not is_tree:
        files = [replace(file, path=file.name) for file in files]
    elif given.is_archive:  # what is no program and holds none is an archive without files
        files = [file for file in files if file.elf is not None or file.path != posixpath.curdir]
    return Build(given.name, is_tree=is_tree, files=(*broken, *files))


def _read(subject: Subject, path: str) -> File:
    source = subject.source
    if subject.problem is not None or source is None:
        return File(subject.name, path, problem=subject.problem.message if subject.problem else "cannot be read")
    try:
        elf = source.view.elf(source.real)
        elf.imports(), elf.exports()  # what is wrong with them is to be known before anything is told
    except FormatError as error:
        return File(subject.name, path, source, problem=error.message)
    except OSError as error:
        return File(subject.name, path, source, problem=error.strerror or "cannot be read")
    return File(subject.name, path, source, elf)


def unversioned(path: str) -> str:
    """Return a path without the numbers of versions in it: ``app-1.2.3/bin/app`` is ``app-*/bin/app``."""
    return _NUMBERS.sub("*", path)


def paired(old: Build, new: Build) -> list[Match]:
    """Return the files of two builds in pairs, those without a counterpart too, in the order of their paths.

    In trees the relative path decides, without versions and without the directory that holds everything; then the
    soname, then the name without versions, tags and hashes: in the same directory first.
    """
    if not old.is_tree:
        return [Match(old.files[0], new.files[0], "given")]
    found: list[Match] = []
    before, after = list(old.files), list(new.files)
    for by, of_old, of_new in _keys(old, new):
        before, after, pairs = by_key(before, after, of_old, of_new)
        found += [Match(*pair, by) for pair in pairs]
    found += [Match(file, None) for file in before] + [Match(None, file) for file in after]
    return sorted(found, key=lambda match: next(file.path.split("/") for file in (match.new, match.old) if file))


_Key = Callable[[File], str]


def _keys(old: Build, new: Build) -> Iterator[tuple[PairedBy, _Key, _Key]]:
    """Yield what files are paired by, for each of the builds, the surest first."""
    yield "path", _path, _path
    for tops in (("", ""), (old.top, new.top)):
        yield "path", partial(_unversioned_below, tops[0]), partial(_unversioned_below, tops[1])
    yield "soname", _soname, _soname
    yield "name", _stem_in_place, _stem_in_place
    yield "name", _stem, _stem


def _path(file: File) -> str:
    return file.path


def _unversioned_below(top: str, file: File) -> str:
    """Return the path below a directory, that of the file itself without versions: its name stays as it is."""
    directory, slash, name = file.path.removeprefix(top).rpartition("/")
    return f"{unversioned(directory)}{slash}{name}"


def _soname(file: File) -> str:
    return file.soname


def _stem_in_place(file: File) -> str:
    return posixpath.join(unversioned(posixpath.dirname(file.path)), file.stem)


def _stem(file: File) -> str:
    return file.stem


def by_key(
    old: Sequence[_T], new: Sequence[_T], of_old: Callable[[_T], str], of_new: Callable[[_T], str]
) -> tuple[list[_T], list[_T], list[tuple[_T, _T]]]:
    """Pair what has a key that is its alone on both sides; return what is left on each side, and the pairs."""
    before, after = _unique(old, of_old), _unique(new, of_new)
    pairs = [(one, after[name]) for name, one in before.items() if name in after]
    taken = {id(one) for pair in pairs for one in pair}
    return [one for one in old if id(one) not in taken], [one for one in new if id(one) not in taken], pairs


def _unique(files: Iterable[_T], key: Callable[[_T], str]) -> dict[str, _T]:
    held: dict[str, list[_T]] = {}
    for file in files:
        held.setdefault(key(file), []).append(file)
    return {name: group[0] for name, group in held.items() if name and len(group) == 1}


def touched(matches: Sequence[Match], identical: Sequence[bool]) -> Iterator[int]:
    """Yield the places of the matches whose verdict a change can reach: their own, or one of a file they may load.

    A loader finds the files of a tree by their names, so that a file with the same bytes in the same place gives the
    same answers as long as no file of a name that it needs, at whatever remove, has changed, come or gone.
    """
    same = [held and _in_place(match) for match, held in zip(matches, identical, strict=True)]
    named: dict[str, set[int]] = {}
    for at, match in enumerate(matches):
        for file in filter(None, match[:2]):
            for name in file.names:
                named.setdefault(name, set()).add(at)
    needed_by: dict[int, set[int]] = {}
    for at, match in enumerate(matches):
        for name in _needed(match):
            for other in named.get(posixpath.basename(name), ()):
                needed_by.setdefault(other, set()).add(at)
    pending = [at for at, held in enumerate(same) if not held]
    reached = set(pending)
    while pending:
        for at in needed_by.get(pending.pop(), set()) - reached:
            reached.add(at)
            pending.append(at)
    return iter(sorted(reached))


def _in_place(match: Match) -> bool:
    return match.by == "path" and match.old is not None and match.new is not None


def _needed(match: Match) -> Iterator[str]:
    for file in filter(None, match[:2]):
        if file.elf is not None:
            facts = file.elf.facts
            yield from (*facts.needed, *facts.filters, *facts.auxiliaries)
            yield from (name for note in facts.dlopen_notes for name in note.sonames)
