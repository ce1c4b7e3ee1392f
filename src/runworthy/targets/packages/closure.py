"""Which packages come along with one: what it depends on and is not installed, as its manager would choose.

The first alternative that can be had is taken, unless another is installed already (apt's and dnf's way; apk knows no
alternatives). An installed package gives way to a later version of itself where that is asked for, and so does what
would break by it. Nothing is removed: where something would have to go, there is no answer. Of apt's packages one
version of each counts, its candidate: that of the highest priority, of those the latest; and what a person gives.

Source: Debian Policy 7; apt-get(8) and apt ``apt-pkg/depcache.cc`` (MarkInstall); apt_preferences(5) and
``apt-pkg/policy.cc`` (GetCandidateVer); wiki.debian.org, "Multiarch/HOWTO".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cmp_to_key
from typing import Final

from runworthy.formats.index.versions import compare, satisfies
from runworthy.model.arch import ARCHITECTURES
from runworthy.model.package import Manager, Package, Relation
from runworthy.model.records import dataclass, field
from runworthy.targets.packages.dialect import architectures
from runworthy.targets.packages.pool import Index

__all__ = ["GIVEN", "INSTALLED", "Chosen", "Closure"]

_STEPS: Final = 20_000
_DEPTH: Final = 200
GIVEN: Final = 1000
"""What a person gives comes before all else, as with apt, which takes a file that is named for what it is."""
INSTALLED: Final = 100
"""apt's priority of what is installed: a release of less than that replaces nothing (apt_preferences(5))."""
_ALL: Final = ("all", "noarch", "")
# What dpkg lets stand after a name. apk's names have colons of their own: so:, cmd:, py3.12:.
_QUALIFIERS: Final = frozenset(
    ("any", "native", "armel", "x32", *(word for one in ARCHITECTURES for word in architectures("apt", one)))
)

Key = tuple[str, str]
Chosen = dict[Key, Package]
"""Packages by name and architecture (that of the target for those that are for all)."""


@dataclass(slots=True, eq=False)
class Closure:
    """Works out what one package brings along.

    ``native`` is the target's architecture as the manager spells it. ``present`` says whether the root has what a
    name stands for, though no package is known to bring it; ``refused`` whether a package must not be taken.
    ``priority`` is what apt_preferences(5) says of a package's version, ``GIVEN`` for what a person gives. ``missing``
    are the names asked for the last time of which no package is known.
    """

    manager: Manager
    native: str
    available: Index
    installed: Index
    all_installed: tuple[Package, ...]
    present: Callable[[Relation], bool]
    refused: Callable[[Package], bool]
    priority: Callable[[Package], int]
    missing: list[str] = field(default_factory=list)
    _steps: int = 0
    _needed_by: dict[str, list[tuple[Package, tuple[Relation, ...]]]] = field(default_factory=dict)
    _against: dict[str, list[tuple[Package, Relation]]] = field(default_factory=dict)
    _indexed: bool = False
    _best: dict[Key, Package | None] = field(default_factory=dict)

    def of(self, package: Package) -> tuple[Package, ...] | None:
        """Return the package with what comes along, each after what it needs where that can be; None for no answer."""
        self._steps = 0
        self.missing = []
        if not self._indexed:
            self._look_through()
        chosen = self._add(package, {}, 0)
        if chosen is None or not all(self._stands(one, chosen) for one in chosen.values()):
            return None
        return tuple(self._ordered(chosen))

    def _look_through(self) -> None:
        self._indexed = True
        for package in self.all_installed:
            for group in package.depends:
                for relation in group:
                    self._needed_by.setdefault(_plain(relation), []).append((package, group))
            for relation in package.conflicts:
                self._against.setdefault(_plain(relation), []).append((package, relation))

    # -- choosing ----------------------------------------------------------------------------------------------

    def _add(self, package: Package, chosen: Chosen, depth: int) -> Chosen | None:
        """Return what is chosen with a package and all that it asks for, None where that cannot be."""
        self._steps += 1
        key = self._key(package)
        held = chosen.get(key)
        if held is not None:
            return chosen if held.version == package.version else None
        there = self._there(key)
        if there is not None and there.version == package.version:
            return chosen
        if self._steps > _STEPS or depth > _DEPTH or self.refused(package):
            return None
        if there is not None and compare(self.manager, package.version, there.version) < 0:
            return None  # no manager goes back by itself
        found: Chosen | None = {**chosen, key: package}
        found = self._beside(package, found, depth) if found is not None else None
        found = self._make_room(package, found, depth) if found is not None else None
        for group in package.depends:
            if found is None:
                return None
            found = self._satisfy(group, package, found, depth)
        if found is not None and there is not None:
            found = self._mend(there, found, depth)
        return found

    def _satisfy(self, group: tuple[Relation, ...], by: Package, chosen: Chosen, depth: int) -> Chosen | None:
        if any(self._met(relation, by, chosen) for relation in group):
            return chosen
        if not any(self.available.find(_plain(relation)) for relation in group):
            self.missing.append(group[0].name)
        for relation in group:
            for candidate in self._candidates(relation, by):
                found = self._add(candidate, chosen, depth + 1)
                if found is not None:
                    return found
        return None

    def _mend(self, old: Package, chosen: Chosen, depth: int) -> Chosen | None:
        """Return what is chosen with later versions of what needs the old version of a package."""
        names = {old.name, *(_plain(one) for one in old.provides)}
        found: Chosen | None = chosen
        for name in names:
            for package, group in self._needed_by.get(name, ()):
                if found is None:
                    return None
                if self._current(package, found) and not any(self._met(one, package, found) for one in group):
                    found = self._later(package, found, depth)
        return found

    def _make_room(self, package: Package, chosen: Chosen, depth: int) -> Chosen | None:
        """Return what is chosen with later versions of what the package cannot be together with."""
        found: Chosen | None = chosen
        for other in tuple(self._enemies(package, chosen)):
            if found is None or self._key(other) in found:
                return None
            found = self._later(other, found, depth)
            if found is None or any(True for one in self._enemies(package, found) if one.name == other.name):
                return None
        return found

    def _beside(self, package: Package, chosen: Chosen, depth: int) -> Chosen | None:
        """Return what is chosen with the same version of the package for other architectures (Multi-Arch: same)."""
        if self.manager != "apt" or package.arch in _ALL:
            return chosen
        found: Chosen | None = chosen
        for other in (*self.installed.find(package.name), *chosen.values()):
            if other.name != package.name or self._key(other)[1] == self._key(package)[1] or found is None:
                continue
            if package.multi_arch != "same" or other.multi_arch != "same":
                return None
            if other.version != package.version and self._current(other, found):
                like = (one for one in self.available.find(package.name) if one.arch == other.arch)
                same = next((one for one in like if one.version == package.version), None)
                found = self._add(same, found, depth + 1) if same else None
        return found

    def _later(self, package: Package, chosen: Chosen, depth: int) -> Chosen | None:
        """Return what is chosen with a later version of an installed package."""
        for one in self._newest(self.available.find(package.name)):
            later = compare(self.manager, one.version, package.version) > 0 and self._choosable(one)
            if one.name == package.name and self._key(one) == self._key(package) and later:
                return self._add(one, chosen, depth + 1)
        return None

    # -- what there is -----------------------------------------------------------------------------------------

    def _key(self, package: Package) -> Key:
        return package.name, self.native if package.arch in _ALL else package.arch

    def _there(self, key: Key) -> Package | None:
        found = (one for one in self.installed.find(key[0]) if one.name == key[0])
        return next((one for one in found if self._key(one) == key), None)

    def _current(self, package: Package, chosen: Chosen) -> bool:
        """Whether an installed package stays as it is."""
        return self._key(package) not in chosen

    def _standing(self, name: str, chosen: Chosen) -> Iterator[Package]:
        """Yield what would be there under a name: installed, or chosen."""
        yield from (one for one in self.installed.find(name) if self._current(one, chosen))
        for one in chosen.values():
            if one.name == name or any(_plain(each) == name for each in one.provides) or name in one.files:
                yield one

    def _met(self, relation: Relation, by: Package, chosen: Chosen) -> bool:
        name = _plain(relation)
        if any(self._fits(one, relation, by) for one in self._standing(name, chosen)):
            return True
        return not any(True for _ in self._standing(name, {})) and self.present(relation)

    def _fits(self, package: Package, relation: Relation, by: Package) -> bool:
        """Whether a package is what a relation asks for: by name, version and architecture."""
        name = _plain(relation)
        if not self._architecture_fits(package, relation, by):
            return False
        if package.name == name and satisfies(self.manager, package.version, relation):
            return True
        if name in package.files:
            return True
        return any(_plain(one) == name and self._provides(one, relation) for one in package.provides)

    def _provides(self, provided: Relation, wanted: Relation) -> bool:
        return not wanted.operator or (bool(provided.version) and satisfies(self.manager, provided.version, wanted))

    def _architecture_fits(self, package: Package, relation: Relation, by: Package) -> bool:
        """Whether a package for one architecture will do for another (wiki.debian.org, "Multiarch/HOWTO")."""
        if self.manager != "apt":
            return True
        own = self.native if by.arch in _ALL else by.arch
        there = self.native if package.arch in _ALL else package.arch
        _, _, asked = relation.name.partition(":")
        if asked and asked not in ("any", "native"):
            return there == asked
        if package.multi_arch == "foreign" or there == own:
            return True
        return asked == "any" and package.multi_arch == "allowed"

    def _candidates(self, relation: Relation, by: Package) -> Iterator[Package]:
        """Yield what a relation could be met by: what is called so before what provides it, later before earlier."""
        name = _plain(relation)
        found = [one for one in self.available.find(name) if self._fits(one, relation, by) and self._choosable(one)]
        own = self.native if by.arch in _ALL else by.arch
        for called in (True, False):
            these = [one for one in found if (one.name == name) is called]
            yield from (one for one in self._newest(these) if self._key(one)[1] == own)
            yield from (one for one in self._newest(these) if self._key(one)[1] != own)

    def _newest(self, packages: Sequence[Package]) -> list[Package]:
        """Return packages with what is given, and later versions of one name, first; names as they were found."""
        order = {name: at for at, name in enumerate(dict.fromkeys(one.name for one in packages))}
        later = cmp_to_key(self._backwards)
        given = {id(one): self.priority(one) >= GIVEN for one in packages}
        return sorted(packages, key=lambda one: (order[one.name], not given[id(one)], later(one.version)))

    def _backwards(self, left: str, right: str) -> int:
        return compare(self.manager, right, left)

    def _choosable(self, package: Package) -> bool:
        """Whether apt would take this version of a package when it is asked for the package, or it is given."""
        if self.manager != "apt" or self.priority(package) >= GIVEN:
            return True
        key = self._key(package)
        if key not in self._best:
            like = (one for one in self.available.find(package.name) if one.name == package.name)
            rest = [one for one in like if self._key(one) == key and self.priority(one) < GIVEN]
            best = max(rest, key=lambda one: (self.priority(one), cmp_to_key(self._forwards)(one.version)))
            there = self._there(key)
            older = there is not None and compare(self.manager, best.version, there.version) > 0
            self._best[key] = None if older and self.priority(best) < INSTALLED else best
        best_one = self._best[key]
        return best_one is not None and best_one.version == package.version

    def _forwards(self, left: str, right: str) -> int:
        return compare(self.manager, left, right)

    # -- what cannot be together -------------------------------------------------------------------------------

    def _enemies(self, package: Package, chosen: Chosen) -> Iterator[Package]:
        """Yield what is there, or chosen, and conflicts with a package in either direction."""
        for relation in package.conflicts:
            for one in self._standing(_plain(relation), chosen):
                if one.name != package.name and self._hits(one, relation):
                    yield one
        for name in dict.fromkeys((package.name, *(_plain(one) for one in package.provides))):
            for one, relation in self._against.get(name, ()):
                if one.name != package.name and self._current(one, chosen) and self._hits(package, relation):
                    yield one
        for one in chosen.values():
            if one.name != package.name and any(self._hits(package, relation) for relation in one.conflicts):
                yield one

    def _hits(self, package: Package, relation: Relation) -> bool:
        """Whether a conflict is about a package."""
        name = _plain(relation)
        _, _, asked = relation.name.partition(":") if self.manager == "apt" else ("", "", "")
        if asked and asked != "any" and self._key(package)[1] != asked:
            return False
        if package.name == name:
            return satisfies(self.manager, package.version, relation)
        if self.manager == "dnf":  # Obsoletes and Conflicts are by name; what is provided counts for the latter alone
            return False
        return any(_plain(one) == name and self._provides(one, relation) for one in package.provides)

    # -- the end -----------------------------------------------------------------------------------------------

    def _stands(self, package: Package, chosen: Chosen) -> bool:
        """Whether a chosen package has all that it needs, and nothing against it."""
        if any(True for _ in self._enemies(package, chosen)):
            return False
        return all(any(self._met(one, package, chosen) for one in group) for group in package.depends)

    def _ordered(self, chosen: Chosen) -> Iterator[Package]:
        """Yield what is needed before what needs it; where they need each other, one of them first."""
        done: set[Key] = set()
        for start in chosen:
            pending = [(start, False)]
            while pending:
                key, after = pending.pop()
                if after:
                    yield chosen[key]
                elif key not in done:
                    done.add(key)
                    pending.append((key, True))
                    needs = {_plain(one) for group in chosen[key].depends for one in group}
                    pending += [
                        (other, False)
                        for other, one in chosen.items()
                        if other not in done
                        and (one.name in needs or any(_plain(each) in needs for each in one.provides))
                    ]


def _plain(relation: Relation) -> str:
    """Return the name that a relation is about, without the architecture that dpkg lets stand after it."""
    head, colon, tail = relation.name.partition(":")
    return head if colon and tail in _QUALIFIERS else relation.name
