"""What the manylinux and musllinux tags promise to a wheel: releases, version nodes, libraries and names.

A tag promises that a wheel works on every distribution with that release of the C library, or a later one (PEP 600,
PEP 656). So a version node is promised by the releases from which on all distributions of the catalogue have it. For
what is older than the catalogue there are the numbers of PEP 513, as auditwheel corrected them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final

from runworthy.model.arch import ARCHITECTURES, Architecture
from runworthy.model.errors import TargetError

if TYPE_CHECKING:
    from runworthy.targets.catalogue.target import CatalogueTarget, Summary
    from runworthy.targets.catalogue.views import CatalogueView

__all__ = ["Promises", "Release"]

Release = tuple[int, int]

_LENT: Final[Mapping[str, Release]] = {
    **dict.fromkeys(
        "libgcc_s.so.1 libstdc++.so.6 libm.so.6 libdl.so.2 librt.so.1 libc.so.6 libnsl.so.1 libutil.so.1 "
        "libpthread.so.0 libresolv.so.2 libX11.so.6 libXext.so.6 libXrender.so.1 libICE.so.6 libSM.so.6 libGL.so.1 "
        "libgobject-2.0.so.0 libgthread-2.0.so.0 libglib-2.0.so.0 libanl.so.1 libatomic.so.1 libz.so.1".split(),
        (2, 5),
    ),
    "libexpat.so.1": (2, 12),
    "libmvec.so.1": (2, 24),
}
"""Libraries that a manylinux wheel may leave to the system, and since which release.

PEP 513 has the list, PEP 571 (libexpat) and PEP 599 keep it. auditwheel, whose lists PEP 600 refers to, took out
libncursesw.so.5, libpanelw.so.5 (ncurses 6 came) and libcrypt.so.1 (distributions moved to libcrypt.so.2), and added
libanl, libatomic, libz, and libmvec, which glibc has since 2.22 on x86-64.
"""

_LENT_BY_MUSL: Final = frozenset(("libc.so", "libz.so.1"))
"""PEP 656 promises musl alone; auditwheel leaves libz.so.1 to the system too, as Alpine's Python needs it itself."""

_LOADERS: Final = ("ld-linux", "ld64.so.", "ld.so.1", "ld-musl-")

_OLDEST: Final[Release] = (2, 5)
_STATED: Final[Mapping[str, tuple[int, ...]]] = {"GLIBCXX": (3, 4, 8), "CXXABI": (1, 3, 1), "GCC": (4, 2, 0)}
"""The newest numbers of CentOS 5's libraries. PEP 513 says GLIBCXX_3.4.9 and CXXABI_3.4.8, which are slips."""

_FIRST: Final[Mapping[str, str]] = {
    "GLIBCXX": "GLIBCXX_3.4",
    "CXXABI": "CXXABI_1.3",
    "GCC": "GCC_3.0",
    "ZLIB": "ZLIB_1.2.0",
    "LIBATOMIC": "LIBATOMIC_1.0",
}
"""The oldest node of each library but glibc: before a family has it, nothing is known of the library there."""

_NO_DISTRIBUTIONS: Final = frozenset(("busybox", "glibc", "manylinux", "musllinux"))

_X86: Final = ("x86_64", "i386")
_NAMED: Final[tuple[Release, ...]] = ((2, 5), (2, 12), (2, 17), (2, 24), (2, 26), (2, 27), (2, 28), (2, 31))
_EVERY: Final[Release] = (2, 34)
"""From here on every release is in use as a tag; before, those for which auditwheel has a policy."""


class Promises:
    """What the tags promise on one architecture. Everything is looked up in the catalogue when it is asked for."""

    def __init__(self, arch: Architecture) -> None:
        self.arch = arch
        self._nodes: dict[str, Release | None] = {}
        self._roots: dict[str, frozenset[bytes] | None] = {}

    # -- glibc --------------------------------------------------------------------------------

    @property
    def lowest(self) -> Release:
        """The lowest manylinux that installers take: glibc 2.5 on x86, 2.17 elsewhere (PEP 513, PEP 599)."""
        return _OLDEST if self.arch.name in _X86 else (2, 17)

    def customary(self, release: Release) -> Release:
        """Return the lowest tag in use that promises a release of glibc: 2.14 is promised by manylinux_2_17."""
        release = max(release, self.lowest)
        return release if release >= _EVERY else next((one for one in _NAMED if one >= release), _EVERY)

    def release_with(self, node: str) -> Release | None:
        """Return the lowest release of glibc that promises a version node, None where none does."""
        if node not in self._nodes:
            self._nodes[node] = self._release_with(node)
        return self._nodes[node]

    def knows(self, node: str) -> bool:
        """Whether anything is known of the library that a version node is of: of libX11 there is nothing."""
        return node.startswith("GLIBC_") or node.partition("_")[0] in _FIRST

    def lent_since(self, library: str) -> Release | None:
        """Return since which release of glibc a wheel may leave a library to the system, None where it may not."""
        return self.lowest if library.startswith(_LOADERS) else _LENT.get(library)

    def _release_with(self, node: str) -> Release | None:
        prefix, _, number = node.rpartition("_")
        numbers = tuple(int(part) for part in number.split(".") if part.isdecimal())
        if node.startswith("GLIBC_"):
            return None if node == "GLIBC_PRIVATE" else self._glibc_with(node, numbers)
        if numbers and self.lowest == _OLDEST and numbers <= _STATED.get(prefix, ()):
            return _OLDEST
        return self._distributions_with(node, known_to=True)

    def _glibc_with(self, node: str, numbers: tuple[int, ...]) -> Release | None:
        """A node belongs to the release of its number, a mark to the first that has it.

        All distributions of an architecture may have it in an older one: EL 7 is where aarch64 begins, and has 2.18's.
        """
        found = [self._distributions_with(node, known_to=False)]
        found += [(numbers[0], numbers[1])] if len(numbers) >= 2 else []
        versions = (row.libc.version or () for row in self._rows_of(node) if row.family == "glibc")
        found += [(version[0], version[1]) for version in versions if not numbers]
        return min((release for release in found if release), default=None)

    def _distributions_with(self, node: str, *, known_to: bool) -> Release | None:
        """Return the lowest release of which, and of all later ones, every distribution has the node.

        ``known_to``: the manylinux images count as those who have it.
        """
        with_it = {row.family: row.order for row in self._rows_of(node)}
        first = {row.family: row.order for row in self._rows_of(_FIRST.get(node.partition("_")[0], node))}
        have: list[Release] = []
        lack: list[Release] = []
        for row in self._rows.values():
            known = row.family in first and row.order >= first[row.family]
            if known and row.libc.family == "glibc" and row.libc.version:
                release = (row.libc.version[0], row.libc.version[1])
                if row.family in with_it and row.order >= with_it[row.family]:
                    have += [release] if known_to or row.family not in _NO_DISTRIBUTIONS else []
                elif row.family not in _NO_DISTRIBUTIONS:
                    lack.append(release)
        newest = max(lack, default=(0, 0))
        least = min((release for release in have if release > newest), default=None)
        if not known_to or (lack and least is None) or (least is None and first):
            return least
        return self._as_elsewhere(node, newest, least)

    def _as_elsewhere(self, node: str, newest: Release, least: Release | None) -> Release | None:
        """Return the release of a node between the newest that lacks it and the least that is known to have it.

        Compilers number them on all architectures alike; x86-64 is the one of which most is known.
        """
        if self.arch.name == "x86_64":
            return least
        other = _of_x86_64().release_with(node)
        unknown = (2, 12) if self.lowest == _OLDEST else self.lowest
        if other is None:
            return least if newest > (0, 0) or least is None else min(least, unknown)
        nearest = max(other, self.lowest)
        return nearest if newest < nearest and (least is None or nearest < least) else least

    def _rows_of(self, node: str) -> Iterator[Summary]:
        """Yield the oldest release of each family that has a node."""
        from runworthy.targets.catalogue import open_catalogue

        names = open_catalogue().index().first_with(node, self.arch)
        return (self._rows[name] for name in names)

    @cached_property
    def _rows(self) -> Mapping[str, Summary]:
        from runworthy.targets.catalogue import open_catalogue

        return {row.name: row for row in open_catalogue().index().targets() if row.arch is self.arch}

    # -- musl ---------------------------------------------------------------------------------

    def musl_lends(self, library: str) -> bool:
        """Whether a musllinux wheel may leave a library to the system."""
        return library in _LENT_BY_MUSL or library.startswith((*_LOADERS, "libc.musl-"))

    def musl_with(self, symbol: bytes) -> tuple[int, ...] | None:
        """Return the first release of musl that exports a name on every Alpine Linux that has it, None where none does.

        Alpine 3.15 brought qsort_r to its musl 1.2.2.
        """
        rows = [row for row in self._rows.values() if row.family == "alpine"]
        has = {row.name: symbol in (self.names(row.name) or ()) for row in rows}
        lack = max((row.libc.version or () for row in rows if not has[row.name]), default=())
        later = (row.libc.version or () for row in rows if has[row.name])
        return min((version for version in later if version > lack), default=None)

    # -- names --------------------------------------------------------------------------------

    def names(self, target: str) -> frozenset[bytes] | None:
        """Return every name that the libraries of a target export (``musllinux_1_2``), None where it is not known."""
        if target not in self._roots:
            self._roots[target] = self._exported(target)
        return self._roots[target]

    def providers(self, symbol: bytes) -> tuple[str, ...]:
        """Return which C libraries and compiler runtimes of the catalogue export a name."""
        from runworthy.targets.catalogue import open_catalogue

        return open_catalogue().index().providers(symbol, self.arch)

    def _exported(self, target: str) -> frozenset[bytes] | None:
        from runworthy.targets.catalogue import open_catalogue

        try:
            found = open_catalogue().find(target, self.arch)
        except TargetError:
            return None
        return frozenset().union(*_exports(found))


@cache
def _of_x86_64() -> Promises:
    return Promises(next(row for row in ARCHITECTURES if row.name == "x86_64"))


def _exports(target: CatalogueTarget) -> Iterator[frozenset[bytes]]:
    """Yield what each library of a root exports, as far as its own loader sees it."""
    musl = target.libc.family == "musl"
    directories = {*target.loader_directories, "/lib", "/usr/lib", "/lib64", "/usr/lib64"}
    if target.libc.loader:
        directories.add(target.libc.loader.rpartition("/")[0])
    libraries = {real for directory in directories for real in _libraries(target.view, directory)}
    for real in sorted(libraries):
        exports = target.view.elf(real).exports()
        yield exports.default if musl else exports.names


def _libraries(view: CatalogueView, directory: str) -> Iterator[str]:
    """Yield the real paths of the shared libraries in a directory, none where there is no such directory."""
    try:
        real = view.resolve(directory).path
        names = [name for name in view.names(real) if ".so" in name]
    except OSError:
        return
    yield from (view.resolve(f"{real}/{name}").path for name in names)
