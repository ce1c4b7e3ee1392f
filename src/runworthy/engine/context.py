"""What rules and simulators may ask beyond a trace: the objects of a root, the index of the catalogue."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

from runworthy.model.arch import Architecture, architecture
from runworthy.model.elf import BuildInfo, ElfFacts, ElfFile, ImportGroup
from runworthy.model.errors import FormatError
from runworthy.model.records import replace
from runworthy.simulate.launch import SURROUNDINGS, Launch
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, UnseenError

__all__ = ["Index", "Objects", "launch_on", "runtime_names"]


def launch_on(target: Target, launch: Launch) -> Launch:
    """Return how subjects are started on a target: on this machine with what this process has of their surroundings."""
    if not target.live:
        return launch
    here = {name: os.environ[name] for name in SURROUNDINGS if name in os.environ}
    return replace(launch, env=here | dict(launch.env))


@cache
def runtime_names(arch: Architecture) -> Callable[[bytes], bool]:
    """Return whether any C library or compiler runtime of the catalogue exports a name; loaded when it is asked."""
    sets: list[frozenset[bytes]] = []

    def is_runtime_name(name: bytes) -> bool:
        if not sets:
            from runworthy.targets.catalogue import open_catalogue

            sets.extend(open_catalogue().index().runtime_names(arch) or [frozenset()])
        return any(name in names for names in sets)

    return is_runtime_name


class Objects:
    """What rules may ask about the files of a root; what cannot be read gives an empty answer."""

    def __init__(self, view: FileView | None) -> None:
        self._view = view

    def facts(self, path: str) -> ElfFacts | None:
        """Return the eager facts, None when they cannot be read."""
        elf = self._elf(path)
        return elf.facts if elf else None

    def imports(self, path: str) -> tuple[ImportGroup, ...]:
        """Return the undefined symbols, grouped by version record."""
        elf = self._elf(path)
        try:
            return elf.imports() if elf else ()
        except FormatError:
            return ()

    def build(self, path: str) -> BuildInfo:
        """Return what the compilers left."""
        elf = self._elf(path)
        try:
            return elf.build() if elf else BuildInfo()
        except FormatError:
            return BuildInfo()

    def _elf(self, path: str) -> ElfFile | None:
        try:
            return self._view.elf(path) if self._view else None
        except (FormatError, OSError, UnseenError):
            return None


class Index:
    """The catalogue's index, opened at the first question."""

    def first_with(self, node: str, arch: str) -> tuple[str, ...]:
        """Return the oldest release of each family that defines the node, empty for an unknown architecture."""
        from runworthy.targets.catalogue import open_catalogue

        found = architecture(arch)
        return open_catalogue().index().first_with(node, found) if found else ()

    def first_libc(self, family: str, version: tuple[int, ...], arch: str) -> tuple[str, ...]:
        """Return the oldest release of each family whose C library is this one in this release or a later one."""
        from runworthy.targets.catalogue import open_catalogue

        oldest: dict[str, tuple[tuple[int, ...], str]] = {}
        for row in open_catalogue().index().targets():
            held = row.libc.version
            if row.arch.name == arch and row.libc.family == family and held is not None and held >= version:
                oldest[row.family] = min(oldest.get(row.family, (row.order, row.name)), (row.order, row.name))
        return tuple(name for _, name in sorted(oldest.values(), key=lambda found: found[1]))

    def providers(self, symbol: bytes, arch: str) -> tuple[str, ...]:
        """Return which C libraries and compiler runtimes export the name."""
        from runworthy.targets.catalogue import open_catalogue

        found = architecture(arch)
        return open_catalogue().index().providers(symbol, found) if found else ()
