"""Which files of two builds are the same thing, and which of them a change can reach."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runworthy.engine.compare import HASH
from runworthy.model.arch import Architecture
from runworthy.model.difference import PairedBy
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass
from runworthy.targets.directory import DirectoryView
from runworthy.targets.placement import Source, locate

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["Build", "File", "Match", "open_build", "paired", "touched"]

_CHUNK = 1 << 20
# What changes from build to build: hashes, the tags of CPython's modules (PEP 3149), versions.
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
    """A file or a directory as it was given."""

    name: str
    is_tree: bool
    files: tuple[File, ...]


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


def open_build(name: str, view: DirectoryView, watch: Watch | None = None) -> Build:
    """Return the ELF files that a name of this machine stands for; ``view`` shows the machine. Raises OSError."""
    if not os.path.isdir(name):
        return Build(name, is_tree=False, files=(_read(name, name, None, view),))
    from runworthy.engine.trees import open_tree

    files = []
    for found in open_tree(name, view, watch)[1]:
        path = found.name[len(name) :].lstrip("/")
        files.append(
            File(found.name, path, problem=found.problem)
            if found.problem
            else _read(found.name, path, found.source, view)
        )
    return Build(name, is_tree=True, files=tuple(files))


def _read(name: str, path: str, source: Source | None, view: DirectoryView) -> File:
    try:
        source = source or locate(name, view)
        if source.kind != "file":
            return File(name, path, source, problem="is no regular file")
        elf = source.view.elf(source.real)
        elf.imports(), elf.exports()  # what is wrong with them is to be known before anything is told
    except FormatError as error:
        return File(name, path, source, problem=error.message)
    except OSError as error:
        return File(name, path, source, problem=error.strerror or "cannot be read")
    return File(name, path, source, elf)


def paired(old: Build, new: Build) -> list[Match]:
    """Return the files of two builds in pairs, those without a counterpart too, in the order of their paths.

    In trees the relative path decides, then the soname, then the name without versions, tags and hashes: in the
    same directory first.
    """
    if not old.is_tree:
        return [Match(old.files[0], new.files[0], "given")]
    found: list[Match] = []
    before, after = list(old.files), list(new.files)
    for by, key in _KEYS:
        before, after, more = _by_key(before, after, by, key)
        found += more
    found += [Match(file, None) for file in before] + [Match(None, file) for file in after]
    return sorted(found, key=lambda match: next(file.path.split("/") for file in (match.new, match.old) if file))


_KEYS: tuple[tuple[PairedBy, Callable[[File], str]], ...] = (
    ("path", lambda file: file.path),
    ("soname", lambda file: file.soname),
    ("name", lambda file: posixpath.join(posixpath.dirname(file.path), file.stem)),
    ("name", lambda file: file.stem),
)


def _by_key(
    old: Sequence[File], new: Sequence[File], by: PairedBy, key: Callable[[File], str]
) -> tuple[list[File], list[File], list[Match]]:
    """Pair the files whose key is theirs alone on both sides; return what is left on each side, and the pairs."""
    sides = [_unique(files, key) for files in (old, new)]
    pairs = [Match(file, sides[1][name], by) for name, file in sides[0].items() if name in sides[1]]
    taken = {id(file) for match in pairs for file in match[:2]}
    left = [[file for file in files if id(file) not in taken] for files in (old, new)]
    return left[0], left[1], pairs


def _unique(files: Iterable[File], key: Callable[[File], str]) -> dict[str, File]:
    held: dict[str, list[File]] = {}
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
