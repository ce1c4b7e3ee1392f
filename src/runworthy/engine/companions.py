"""Which of the packages that are given together are installed with one: what it requires, and what these require.

Packages of a language have names that others require, whatever their versions. Those of a system have what their
managers read: the first alternative that is given is taken, of several versions the latest that will do. What is not
given is the root's to have; whether it has it, the loader tells.

Source: Debian Policy 7, "Declaring relationships between packages"; apk(8); rpm's "Dependencies".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cmp_to_key, partial

from runworthy.engine.containers import Holder
from runworthy.engine.subjects import INSTALLED
from runworthy.model.arch import Architecture
from runworthy.model.errors import FormatError
from runworthy.model.package import Manager, Package, Relation

__all__ = ["companions"]

_FOR_ALL = ("all", "noarch", "")


def companions(holder: Holder, given: Iterable[Holder], arch: Architecture | None = None) -> list[Holder]:
    """Return the packages among those given that are installed with one on a target of an architecture."""
    if holder.container.kind not in INSTALLED and not holder.ties.requires:
        return []
    alike = [one for one in given if one.container.kind == holder.container.kind]
    if len(alike) < 2:
        return []
    wanted = _System(alike, arch).wanted if holder.container.kind in INSTALLED else _Named(alike).wanted
    found = {holder: None}
    pending = [holder]
    while pending:
        new = [one for one in wanted(pending.pop()) if one not in found]
        found |= dict.fromkeys(new)
        pending += new
    return list(found)[1:]


class _Named:
    """Packages of a language."""

    def __init__(self, given: Iterable[Holder]) -> None:
        self._by_name: dict[str, list[Holder]] = {}
        for one in given:
            if one.ties.name:
                self._by_name.setdefault(one.ties.name, []).append(one)

    def wanted(self, holder: Holder) -> Iterator[Holder]:
        """Yield what a package requires."""
        for name in sorted(holder.ties.requires):
            yield from self._by_name.get(name, ())


class _System:
    """Packages of a system."""

    def __init__(self, given: Iterable[Holder], arch: Architecture | None) -> None:
        self._arch = arch
        self._by_name: dict[str, list[tuple[Package, Holder]]] = {}
        for one in given:
            package = package_of(one)
            if package is not None:
                provided = (_plain(each.name, package.manager) for each in package.provides)
                for name in dict.fromkeys((package.name, *provided, *package.files)):
                    self._by_name.setdefault(name, []).append((package, one))

    def wanted(self, holder: Holder) -> Iterator[Holder]:
        """Yield what a package requires, of alternatives the first that is given."""
        package = package_of(holder)
        if package is None:
            return
        for group in package.depends:
            found = next(filter(None, (self._taken(one, package) for one in group)), None)
            if found is not None:
                yield found

    def _taken(self, relation: Relation, by: Package) -> Holder | None:
        """Return what is taken for a name: what is called so before what provides it, the latest of them."""
        from runworthy.formats.index.versions import compare

        name = _plain(relation.name, by.manager)
        rows = [row for row in self._by_name.get(name, ()) if self._fits(row[0], relation, by)]
        later = cmp_to_key(partial(compare, by.manager))
        best = max(rows, key=lambda row: (row[0].name == name, later(row[0].version)), default=None)
        return best[1] if best else None

    def _fits(self, package: Package, relation: Relation, by: Package) -> bool:
        from runworthy.formats.index.versions import satisfies

        if not self._is_for(package, by):
            return False
        name = _plain(relation.name, by.manager)
        if package.name == name and satisfies(by.manager, package.version, relation):
            return True
        if name in package.files:
            return True
        provided = (one for one in package.provides if _plain(one.name, by.manager) == name)
        return any(not relation.operator or satisfies(by.manager, one.version, relation) for one in provided)

    def _is_for(self, package: Package, by: Package) -> bool:
        """Whether two packages are for one architecture."""
        from runworthy.targets.packages.dialect import architectures

        if package.arch in _FOR_ALL or package.arch == by.arch:
            return True
        own = architectures(by.manager, self._arch) if self._arch else ()
        return by.arch in _FOR_ALL and package.arch in own


def package_of(holder: Holder) -> Package | None:
    """Return what a package of a system tells of itself, None where it tells nothing that can be read."""
    if not holder.package:
        from runworthy.formats.index.metadata import read_metadata

        try:
            holder.package.append(read_metadata(holder.source, holder.name) if holder.source else None)
        except (FormatError, OSError):
            holder.package.append(None)
    return holder.package[0]


def _plain(name: str, manager: Manager) -> str:
    """Return a name without the architecture that dpkg lets stand after it; apk's have colons of their own."""
    return name.partition(":")[0] if manager == "apt" else name
