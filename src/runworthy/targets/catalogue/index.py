"""What rules may ask about the catalogue as a whole. Read-only, made when the catalogue is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from runworthy.model.arch import Architecture
from runworthy.targets.catalogue.pack import Pack
from runworthy.targets.catalogue.target import Summary

__all__ = ["CatalogueIndex"]


class CatalogueIndex:
    """Which targets first have something, and who provides a name."""

    def __init__(self, pack: Pack, targets: tuple[Summary, ...], lines: Iterable[str]) -> None:
        """Take the lines that say which chunks hold the answers; those are read when they are asked for."""
        self._pack = pack
        self._targets = targets
        self._firsts: dict[str, int] = {}
        self._providers: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
        for kind, arch, *rest in (line.split("\t") for line in lines):
            if kind == "F":
                self._firsts[arch] = int(rest[0])
            else:
                self._providers.setdefault(arch, []).append((rest[0], tuple(map(int, rest[1].split(",")))))
        self._nodes: dict[str, Mapping[str, str]] = {}
        self._names: dict[tuple[str, str], frozenset[bytes]] = {}
        self._answers: dict[tuple[bytes, str], tuple[str, ...]] = {}

    def targets(self) -> tuple[Summary, ...]:
        """Return every target of the catalogue, sorted by name."""
        return self._targets

    def first_with(self, node: str, arch: Architecture) -> tuple[str, ...]:
        """Return the oldest release of each family that defines a version node, ``glibc:2.N`` first for one of glibc.

        Empty when no target of that architecture has it.
        """
        if arch.name not in self._firsts:
            return ()
        held = self._nodes.get(arch.name)
        if held is None:
            held = self._nodes[arch.name] = self._pack.mapping(self._firsts[arch.name])
        return tuple(held[node].split()) if node in held else ()

    def providers(self, symbol: bytes, arch: Architecture) -> tuple[str, ...]:
        """Return which C libraries and compiler runtimes of the catalogue export a name, under any version.

        They are written ``glibc:libc.so.6``, ``musl``, ``libstdc++.so.6``, ``libgcc_s.so.1``.
        """
        held = self._answers.get((symbol, arch.name))
        if held is None:
            rows = self._providers.get(arch.name, ())
            found = [provider for provider, chunks in rows if symbol in self._provided(arch.name, provider, chunks)]
            held = self._answers[symbol, arch.name] = tuple(found)
        return held

    def runtime_names(self, arch: Architecture) -> list[frozenset[bytes]]:
        """Return the names that each of those exports."""
        return [self._provided(arch.name, provider, chunks) for provider, chunks in self._providers.get(arch.name, ())]

    def _provided(self, arch: str, provider: str, chunks: tuple[int, ...]) -> frozenset[bytes]:
        held = self._names.get((arch, provider))
        if held is None:
            held = frozenset().union(*(self._pack.names(chunk) for chunk in chunks))
            self._names[arch, provider] = held
        return held

    @cached_property
    def families(self) -> Mapping[str, tuple[str, ...]]:
        """The names of each family's releases, the oldest first."""
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for row in self._targets:
            found.setdefault(row.family, {})[row.name] = row.order
        return {family: tuple(sorted(names, key=lambda name: (names[name], name))) for family, names in found.items()}
