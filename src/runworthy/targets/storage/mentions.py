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
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from runworthy.model.records import dataclass

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
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


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
    names: Iterable[str], texts: Iterable[str], programs: Mapping[str, frozenset[str]], package_of: Mapping[str, str]
) -> Mentions:
    """Return which of ``texts`` and ``programs`` name libraries by their base ``names``.

    ``programs`` are the ELF files that call dlopen, each with the names that it has for its loader: what it needs, and
    its own. ``package_of`` gives the directory of the package that a path lies in, where it lies in one.
    """
    wanted = {name: _Pattern(name) for name in names}
    found: dict[str, list[str]] = {name: [] for name in wanted}
    makers: list[tuple[str, str, str]] = []
    left, complete = _BUDGET, True
    for path in texts:
        data = _read(path, min(_TEXT_LIMIT, left)) if is_looked_at(path) else b""
        if data is None:
            complete = False
            continue
        left -= len(data)
        opens = any(word in data for word in _OPENS)
        for name, pattern in wanted.items():
            if len(found[name]) < _TOLD and pattern.core in data and pattern.is_in(data, opens=opens):
                found[name].append(path)
        if opens and package_of.get(path) and (any(word in data for word in _LISTS) or _COMPOSES.search(data)):
            makers += [(path, *meant) for meant in _meant(package_of[path], data)]
    for path, own in programs.items():
        told = _in_program(path, wanted, own)
        complete = complete and told is not None
        for name in told or ():
            if len(found[name]) < _TOLD:
                found[name].append(path)
    return Mentions(by={name: tuple(paths) for name, paths in found.items()}, makers=tuple(makers), complete=complete)


def _meant(package: str, data: bytes) -> Iterator[tuple[str, str]]:
    """Yield how the paths begin that a file of a package may mean, and what else is in them.

    auditwheel's directories lie beside the packages, and are called ``<distribution>.libs``.
    """
    yield f"{package}/", ""
    if _BESIDE.search(data):
        yield f"{os.path.dirname(package)}/", ".libs/"


class _Pattern:
    """How one library is named."""

    def __init__(self, name: str) -> None:
        stem = name.partition(".so")[0].partition(".node")[0]
        plain = _HASHED.sub("", stem)
        self.core = core_of(name).encode("utf-8", "surrogateescape")
        whole = re.escape(stem.encode("utf-8", "surrogateescape"))
        begin = re.escape(plain.encode("utf-8", "surrogateescape"))
        ends = rb"(?:\.so|\.node|\.dylib|[*?\[{%])" if plain == stem else rb"\.so"
        pattern = rb"(?<![A-Za-z0-9_])(?:" + whole + ends + rb"|" + begin + rb"-?[*?\[{%])"
        self.whole = re.compile(pattern + rb"[\w.+-]*")
        # A program has the stem alone where it puts the name together.
        self.in_program = re.compile(pattern + rb"[\w.+-]*|(?<![A-Za-z0-9_])(?:" + whole + rb"|" + begin + rb")(?=\0)")
        self._part = re.compile(rb"""["'`/](?:lib)?""" + re.escape(self.core) + rb"""["'`\0]""")

    def is_in(self, data: bytes, *, opens: bool) -> bool:
        """Whether a text names it; by its stem alone only where the text opens libraries."""
        return self.whole.search(data) is not None or (opens and self._part.search(data) is not None)


def _in_program(path: str, wanted: Mapping[str, _Pattern], own: frozenset[str]) -> list[str] | None:
    """Return which libraries a program names beyond what it has for its loader, None where it cannot be read."""
    seen: dict[str, int] = {}
    try:
        with open(os.open(path, _FLAGS), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or os.fstat(file.fileno()).st_size > _ELF_LIMIT:
                return None
            tail = b""
            while block := file.read(_BLOCK):
                data = tail + block
                for name, pattern in wanted.items():
                    if pattern.core in data:
                        for match in pattern.in_program.finditer(data):
                            is_told = match.end() > len(tail)
                            is_own = match[0].decode("utf-8", "surrogateescape") in own
                            seen[name] = seen.get(name, 0) + (is_told and (1 if is_own else 2))
                tail = data[-_OVERLAP:]
    except OSError:
        return None
    return [name for name, times in seen.items() if times > 1]


def _read(path: str, limit: int) -> bytes | None:
    """Return the bytes of a regular file, none of what is no text; None where it is over the limit, or unreadable."""
    try:
        with open(os.open(path, _FLAGS), "rb") as file:
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
