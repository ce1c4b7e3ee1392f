"""Which files of a tree name a library, so that they may open it by its path.

A name is looked for as programs have it: whole (``libfoo.so.1``), as a pattern (``libfoo*``), as the stem from which a
name is made (``"foo"``, where the same file opens libraries). Where a file opens libraries and makes their names out of
a listing or of parts, every library of its own package may be meant. Nothing is executed or parsed; what is read is
bounded, and :attr:`Mentions.complete` says whether that was all.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from runworthy.model.records import dataclass
from runworthy.targets.storage.comparing import open_quietly

__all__ = ["Mentions", "core_of", "look_for"]

_TEXT_LIMIT = 16 << 20
_ELF_LIMIT = 512 << 20
_BUDGET = 1 << 30
_BLOCK = 4 << 20
_OVERLAP = 512
_TOLD = 3

_HASHED: Final = re.compile(r"(?:-[0-9a-f]{8})+$")
# What opens libraries, in the languages that have such a thing: ctypes, cffi, importlib, Node.js, Java, Qt, libtool.
_OPENS: Final = (
    b"dlopen", b"CDLL", b"PyDLL", b"cdll", b"oadLibrary", b"oad_library", b"find_library", b"load_dynamic",
    b"ExtensionFileLoader", b"System.load", b"QPluginLoader", b"koffi", b"ffi-napi", b"dlname=",
)  # fmt: skip
_LISTS: Final = (b"listdir", b"scandir", b"iterdir", b"glob", b"readdir", b".walk(", b"walk_packages")
_COMPOSES: Final = re.compile(rb"""["'`*}s]\.so\b|SHLIB_SUFFIX|EXT_SUFFIX|shlib_ext|["']lib["']|["'`]lib[{%]""")
_BESIDE: Final = re.compile(rb"""\.libs["'`/]""")
# Such files are compiled or read by people, and open nothing.
_INERT: Final = (
    ".h .hh .hpp .hxx .c .cc .cpp .cxx .cu .cuh .pyx .pxd .pxi .pyi .rst .md .html .css .map .svg .png .jpg .jpeg .gif "
    ".ico .npy .npz .gz .zip .whl .tar .xz .zst .bz2 .parquet .arrow .feather .csv .tsv .po .mo .ttf .otf .woff .woff2 "
    ".pdf .a .o .pc .cmake .f .f90 .f95 .mod .sav .mat .wav .template .build .safetensors .onnx .bin .egg .db .sqlite"
).split()
_RECORDS: Final = (".dist-info", ".egg-info")
_RECORD_DIRECTORIES: Final = frozenset(("conda-meta", "include", "pkgconfig", "man", "doc", "licenses"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """Who names what. ``by`` are, for the file name of each library, the first files that name it.

    ``makers`` are the files that open libraries by names that they make, each with how the paths begin that it
    may mean, and what else is in them. Not ``complete``: something could not be read, or was too much to read.
    """

    by: Mapping[str, tuple[str, ...]]
    makers: tuple[tuple[str, str, str], ...] = ()
    complete: bool = True


def core_of(name: str) -> str:
    """Return what is left of a library's file name without ``lib``, the hash that auditwheel adds, and ``.so.1``."""
    stem = name.partition(".so")[0]
    return _HASHED.sub("", stem).removeprefix("lib") or stem


def is_looked_at(path: str) -> bool:
    """Whether a file that is no ELF file can be what opens libraries, by its name and place."""
    if path.lower().endswith(tuple(_INERT)):
        return False
    parts = path.split("/")[:-1]
    return not any(part.endswith(_RECORDS) or part in _RECORD_DIRECTORIES for part in parts[-6:]) and (
        "__pycache__" not in parts[-1:]
    )


def look_for(
    names: Iterable[str],
    texts: Iterable[str],
    programs: Mapping[str, frozenset[str]],
    package_of: Callable[[str], str],
    libraries: Iterable[str],
) -> Mentions:
    """Return which of ``texts`` and ``programs`` name libraries by their base ``names``.

    ``programs`` are the ELF files that call dlopen, each with the names that it has for its loader: what it needs, and
    its own. ``package_of`` gives the directory of the package that a path lies in, empty where it lies in none.
    ``libraries`` are the paths that are asked about: only makers of names that may mean one of them are told.
    """
    stems = {name: _stem(name) for name in names}
    looking = _Looking(frozenset(stems.values()), _Meaning(libraries))
    for path in texts:
        looking.text(path, package_of(path))
    for path, own in programs.items():
        looking.program(path, own)
    by = {name: tuple(looking.found[stem]) for name, stem in stems.items()}
    return Mentions(by=by, makers=tuple(looking.makers), complete=looking.complete)


class _Looking:
    """A search while it is made: for each stem the first files that name it, and those that make names."""

    def __init__(self, stems: Collection[str], meaning: _Meaning) -> None:
        self._patterns = {stem: _Pattern(stem) for stem in sorted(stems)}
        self._cores: dict[bytes, list[str]] = {}
        for stem, pattern in self._patterns.items():
            self._cores.setdefault(pattern.core, []).append(stem)
        self._meaning = meaning
        self._left = _BUDGET
        self.found: dict[str, list[str]] = {stem: [] for stem in stems}
        self.makers: list[tuple[str, str, str]] = []
        self.complete = True

    def text(self, path: str, package: str) -> None:
        """Look through a text of a package. What opens libraries is asked only of those for which it matters."""
        data = _read(path, min(_TEXT_LIMIT, self._left)) if is_looked_at(path) else b""
        if data is None:
            self.complete = False
            return
        self._left -= len(data)
        named = [stem for core, stems in self._cores.items() if core in data for stem in self._wanted(stems)]
        meant = self._meaning.text(package, data) if package else []
        if not named and not meant:
            return
        opens = any(word in data for word in _OPENS)
        for stem in named:
            if self._patterns[stem].is_in(data, opens=opens):
                self.found[stem].append(path)
        if opens and meant and (any(word in data for word in _LISTS) or _COMPOSES.search(data)):
            self.makers += [(path, *one) for one in meant]

    def program(self, path: str, own: frozenset[str]) -> None:
        """Look through a program, which has names of its ``own`` for its loader."""
        told = _in_program(path, self._patterns, own)
        self.complete = self.complete and told is not None
        for stem in self._wanted(told or ()):
            self.found[stem].append(path)

    def _wanted(self, stems: Iterable[str]) -> list[str]:
        return [stem for stem in stems if len(self.found[stem]) < _TOLD]


def _stem(name: str) -> str:
    """Return a library's file name without ``.so.1``: all that is looked for."""
    return name.partition(".so")[0].partition(".node")[0]


class _Meaning:
    """Which of the libraries that are asked about a file may mean that makes names."""

    def __init__(self, libraries: Iterable[str]) -> None:
        self._libraries = tuple(libraries)
        self._known: dict[tuple[str, str], bool] = {}

    def text(self, package: str, data: bytes) -> list[tuple[str, str]]:
        """Return how paths begin that a text of a package may mean, and what else is in them, where one is asked about.

        auditwheel's directories lie beside the packages, and are called ``<distribution>.libs``.
        """
        beside = f"{os.path.dirname(package)}/"
        meant = [(f"{package}/", "")] if self._is_asked(f"{package}/", "") else []
        if self._is_asked(beside, ".libs/") and _BESIDE.search(data):
            meant.append((beside, ".libs/"))
        return meant

    def _is_asked(self, begin: str, part: str) -> bool:
        held = self._known.get((begin, part))
        if held is None:
            held = any(path.startswith(begin) and part in path[len(begin) :] for path in self._libraries)
            self._known[begin, part] = held
        return held


class _Pattern:
    """How the libraries of one stem are named."""

    def __init__(self, stem: str) -> None:
        plain = _HASHED.sub("", stem)
        self.core = core_of(stem).encode("utf-8", "surrogateescape")
        self._begin = plain.encode("utf-8", "surrogateescape")
        whole, begin = re.escape(stem.encode("utf-8", "surrogateescape")), re.escape(self._begin)
        ends = rb"(?:\.so|\.node|\.dylib|[*?\[{%])" if plain == stem else rb"\.so"
        pattern = rb"(?<![A-Za-z0-9_])(?:" + whole + ends + rb"|" + begin + rb"-?[*?\[{%])"
        self._whole = re.compile(pattern + rb"[\w.+-]*")
        # A program has the stem alone where it puts the name together.
        self._in_program = re.compile(pattern + rb"[\w.+-]*|(?<![A-Za-z0-9_])(?:" + whole + rb"|" + begin + rb")(?=\0)")
        self._part = re.compile(rb"""["'`/](?:lib)?""" + re.escape(self.core) + rb"""["'`\0]""")

    def is_in(self, data: bytes, *, opens: bool) -> bool:
        """Whether a text names it; by its stem alone only where the text opens libraries."""
        return any(self._matches(self._whole, data)) or (opens and self._part.search(data) is not None)

    def in_program(self, data: bytes) -> Iterator[re.Match[bytes]]:
        """Yield where a program names it."""
        return self._matches(self._in_program, data)

    def _matches(self, pattern: re.Pattern[bytes], data: bytes) -> Iterator[re.Match[bytes]]:
        """Yield the matches of a pattern that begins with the name: finding that first takes a tenth of the time."""
        at = data.find(self._begin)
        while at >= 0:
            match = pattern.match(data, at)
            if match is not None:
                yield match
            at = data.find(self._begin, match.end() if match is not None else at + 1)


def _in_program(path: str, wanted: Mapping[str, _Pattern], own: frozenset[str]) -> list[str] | None:
    """Return which stems a program names beyond what it has for its loader, None where it cannot be read."""
    seen: dict[str, int] = {}
    try:
        with open(open_quietly(path), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or os.fstat(file.fileno()).st_size > _ELF_LIMIT:
                return None
            tail = b""
            while block := file.read(_BLOCK):
                data = tail + block
                for stem, pattern in wanted.items():
                    for match in pattern.in_program(data):
                        is_told = match.end() > len(tail)
                        is_own = match[0].decode("utf-8", "surrogateescape") in own
                        seen[stem] = seen.get(stem, 0) + (is_told and (1 if is_own else 2))
                tail = data[-_OVERLAP:]
    except OSError:
        return None
    return [stem for stem, times in seen.items() if times > 1]


def _read(path: str, limit: int) -> bytes | None:
    """Return the bytes of a regular file, none of what is no text; None where it is over the limit, or unreadable."""
    try:
        with open(open_quietly(path), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return b""
            head = file.read(4096)
            if b"\0" in head and not path.endswith(".pyc"):
                return b""
            return None if status.st_size > limit else head + file.read(limit)
    except FileNotFoundError:
        return b""
    except OSError:
        return None
