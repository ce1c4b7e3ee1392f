"""The cache that ldconfig would write from ``/etc/ld.so.conf``, for roots that were never configured.

Source: glibc ``elf/ldconfig.c`` (parse_conf, add_dir, search_dir) and ``elf/cache.c``.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

from runworthy.formats.ld_so_cache import CacheEntry
from runworthy.model.arch import Architecture
from runworthy.model.errors import FormatError
from runworthy.targets.view import FileView

__all__ = [
    "CONFIGURATION",
    "Cache",
    "cache_by_configuration",
    "cache_of",
    "configured_directories",
    "libraries_in",
    "merged",
]

CONFIGURATION = "/etc/ld.so.conf"
_INCLUDE_DEPTH = 8
# What ldconfig looks for in every directory, since 2.33 (elf/dl-hwcaps_subdirs.c of x86-64).
_HWCAPS = tuple(f"glibc-hwcaps/x86-64-v{level}" for level in (2, 3, 4))


def configured_directories(view: FileView, path: str = CONFIGURATION, depth: int = 0) -> Iterator[str]:
    """Yield the directories that ``path`` names, its includes in their places, in order."""
    try:
        text = view.read(path).decode("utf-8", "surrogateescape")
    except (OSError, FormatError):
        return
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("include") and line[7:8].isspace() and depth < _INCLUDE_DEPTH:
            for pattern in line[8:].split():
                for included in _glob(view, posixpath.join(posixpath.dirname(path), pattern)):
                    yield from configured_directories(view, included, depth + 1)
        elif line and not line.startswith("hwcap"):
            yield line.partition("=")[0].strip().rstrip("/") or "/"


Cache = dict[str, tuple[CacheEntry, ...]]


def cache_by_configuration(view: FileView, system: tuple[str, ...], flags: int, arch: Architecture) -> Cache:
    """Return library name -> entry: sonames and development links of every directory, the first directory first."""
    return cache_of(view, (*configured_directories(view), *system), flags, arch)


def cache_of(view: FileView, directories: Iterable[str], flags: int, arch: Architecture) -> Cache:
    """Return library name -> entry of these directories alone, the first directory first."""
    found: dict[str, tuple[CacheEntry, ...]] = {}
    seen: set[str] = set()
    for directory in directories:
        real = view.real_directory(directory)
        if real is None or real in seen:
            continue
        seen.add(real)
        for entry in _entries(view, directory, real, flags, arch):
            held = found.get(entry.name, ())
            if all(other.hwcap != entry.hwcap for other in held):
                found[entry.name] = (*held, entry)
    return found


def merged(
    written: Mapping[str, tuple[CacheEntry, ...]], added: Mapping[str, tuple[CacheEntry, ...]], order: Sequence[str]
) -> dict[str, tuple[CacheEntry, ...]]:
    """Return both caches as one: of two entries of a name, that of the directory configured earlier stands first."""
    ranks = {directory: rank for rank, directory in reversed(list(enumerate(order)))}

    def rank(entry: CacheEntry) -> int:
        return ranks.get(posixpath.dirname(entry.path), len(ranks))

    names = (*written, *(name for name in added if name not in written))
    return {name: tuple(sorted((*written.get(name, ()), *added.get(name, ())), key=rank)) for name in names}


def _entries(view: FileView, directory: str, real: str, flags: int, arch: Architecture) -> Iterator[CacheEntry]:
    """Yield the sonames and ``.so`` links of one directory and its glibc-hwcaps subdirectories."""
    for below in ("", *_HWCAPS):
        at = posixpath.join(real, below) if below else real
        if below and view.real_directory(at) is None:
            continue
        for name, soname in libraries_in(view, at, arch):
            for key in dict.fromkeys((soname, name) if name.endswith(".so") else (soname,)):
                path = posixpath.join(directory, below, key if view.exists(f"{at}/{key}") else name)
                yield CacheEntry(name=key, path=path, flags=flags, hwcap=posixpath.basename(below))


def libraries_in(view: FileView, directory: str, arch: Architecture) -> Iterator[tuple[str, str]]:
    """Yield (file name, soname) of what ldconfig takes for a library: ``lib*.so*`` and the loaders' own names."""
    for name in sorted(view.names(directory)):
        if not (name.startswith(("lib", "ld-", "ld.so", "ld64.so")) and ".so" in name):
            continue
        try:
            resolved = view.resolve(f"{directory}/{name}")
            facts = view.elf(resolved.path).facts if resolved.entry.kind == "file" else None
        except (OSError, FormatError):
            continue
        if facts and facts.header.machine == arch.elf_machine and facts.header.elf_class == arch.elf_class:
            yield name, facts.soname or name


def _glob(view: FileView, pattern: str) -> list[str]:
    """Return the files that match a pattern whose last component alone has wildcards."""
    directory, name = posixpath.split(pattern)
    try:
        names = view.readdir(directory)
    except OSError:
        return []
    return [posixpath.join(directory, found) for found in names if fnmatch.fnmatchcase(found, name)]
