"""Everything that can be had, whoever tells of it: indexes side by side, and packages that lie about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

from runworthy.model.package import Package

__all__ = ["Held", "Index", "Owners", "Pool"]


class Index(Protocol):
    """What packages are looked up in."""

    def find(self, name: str) -> tuple[Package, ...]:
        """Return the packages that are called so, or provide it. Raises FormatError, OSError."""


class Owners(Protocol):
    """What tells which packages bring files."""

    def owners(self, paths: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return of each path that is known who brings it; of those without a slash, wherever they lie."""


class Held:
    """Packages that are known one by one: those that are installed, or that somebody gives."""

    def __init__(self, packages: Iterable[Package]) -> None:
        self._by_name: dict[str, list[Package]] = {}
        self._all = tuple(packages)
        for package in self._all:
            provided = (
                one.name.partition(":")[0] if package.manager == "apt" else one.name for one in package.provides
            )
            for name in dict.fromkeys((package.name, *provided)):
                self._by_name.setdefault(name, []).append(package)
        self._files = {path: package.name for package in self._all for path in package.files}

    def __iter__(self) -> Iterator[Package]:
        return iter(self._all)

    def find(self, name: str) -> tuple[Package, ...]:
        """Return the packages that are called so, provide it, or bring the file."""
        found = self._by_name.get(name, ())
        if not found and name.startswith("/") and name in self._files:
            return tuple(self._by_name[self._files[name]])
        return tuple(found)


class Pool:
    """Indexes side by side; the same package in two of them is one, that of the first unless only the other has it."""

    def __init__(self, indexes: Iterable[Index]) -> None:
        self._indexes = tuple(indexes)
        self._found: dict[str, tuple[Package, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._indexes)

    def find(self, name: str) -> tuple[Package, ...]:
        """Return the packages that are called so, or provide it. Raises FormatError, OSError."""
        held = self._found.get(name)
        if held is None:
            found: dict[tuple[str, str, str], Package] = {}
            for index in self._indexes:
                for package in index.find(name):
                    key = (package.name, package.version, package.arch)
                    if key not in found or (package.archive and not found[key].archive):
                        found[key] = package
            held = self._found[name] = tuple(found.values())
        return held
