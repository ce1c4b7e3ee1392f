"""The targets of a matrix: names, sets, and platforms that have no root."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from runworthy.model.arch import Architecture
from runworthy.model.matrix import Column
from runworthy.model.records import dataclass
from runworthy.targets.catalogue import open_catalogue
from runworthy.targets.catalogue.naming import carries_architecture
from runworthy.targets.catalogue.sets import PseudoTarget, members, pseudo_target, pseudo_targets
from runworthy.targets.catalogue.target import Summary
from runworthy.targets.libc import libc_of_root
from runworthy.targets.names import MachineWish, TargetName
from runworthy.targets.target import Target

__all__ = ["DEFAULT", "Place", "places_of"]

DEFAULT = "@release"

_DATABASES = {"/var/lib/dpkg/status": "dpkg", "/lib/apk/db/installed": "apk", "/var/lib/rpm": "rpm",
    "/usr/lib/sysimage/rpm": "rpm"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A column, and the target behind it; None for a platform that has no root."""

    column: Column
    name: TargetName | None = None


def places_of(
    written: Sequence[str], wish: MachineWish, archs: Sequence[str], present: Sequence[str] = ()
) -> list[Place]:
    """Return the columns for what is written after ``--on``, each once.

    A target that carries no architecture stands for each of the release's that it exists for (``archs``, else its
    first). Raises TargetError, UsageError.
    """
    found: dict[str, Place] = {}
    for text in written or [DEFAULT]:
        for place in _places(text, wish, archs, present):
            found.setdefault(place.column.name, place)
    return list(found.values())


def _places(text: str, wish: MachineWish, archs: Sequence[str], present: Sequence[str]) -> list[Place]:
    if text.startswith("@"):
        rows = [_of_summary(row, wish, present) for row in members(text)]
        return [*rows, *map(_of_pseudo, pseudo_targets(text))]
    pseudo = pseudo_target(text)
    if pseudo is not None:
        return [_of_pseudo(pseudo)]
    name = TargetName(text, wish, tuple(present))
    if name.in_catalogue and not carries_architecture(text) and not wish.platform:
        offered = open_catalogue().architectures(text)
        wanted = [row for arch in archs for row in offered if row.name == arch] or list(offered[:1])
        return [_opened(TargetName(f"{text}/{row.name}", wish, tuple(present)), row) for row in wanted]
    return [_opened(name, None)]


def _of_pseudo(found: PseudoTarget) -> Place:
    return Place(column=Column(name=found.name, system=found.system, arch=found.arch, modelled=False))


def _of_summary(row: Summary, wish: MachineWish, present: Sequence[str]) -> Place:
    name = f"{row.name}/{row.arch.name}"
    return Place(column=_column(name, row.arch, str(row.libc), row), name=TargetName(name, wish, tuple(present)))


def _opened(name: TargetName, arch: Architecture | None) -> Place:
    target = name.open(arch)
    base = target.name.partition("/")[0] if name.in_catalogue else ""
    row = next((row for row in _summaries() if row.name == base and row.arch is target.arch), None)
    if row is None:
        row = next((row for row in _summaries() if target.name in (row.name, f"{row.name}/{row.arch.name}")), None)
    if row is not None:
        return Place(column=_column(target.name, target.arch, str(row.libc), row), name=name)
    libc = libc_of_root(target)
    column = Column(
        name=target.name,
        system="linux",
        arch=target.arch.name,
        libc=str(libc) if libc else "",
        manager=_manager(target),
    )
    return Place(column=column, name=name)


@cache
def _summaries() -> tuple[Summary, ...]:
    return tuple(open_catalogue().targets())


def _column(name: str, arch: Architecture, libc: str, row: Summary) -> Column:
    return Column(
        name=name,
        system="linux",
        arch=arch.name,
        libc=libc,
        family=row.family,
        manager=row.package_manager,
        eol=row.eol or "",
    )


def _manager(target: Target) -> str:
    """Return what a root's packages are installed with, by the database in it."""
    return next((manager for path, manager in _DATABASES.items() if target.view.exists(path)), "")
