"""Names for the parts of the page: anchors that stay the same from one report to the next, order, and groups."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from runworthy.model.matrix import Asset, Cell, Column, Matrix
from runworthy.model.records import dataclass
from runworthy.report.words import listed

__all__ = ["Group", "Layout", "layout", "short", "system_name"]

_SYSTEMS = {"linux": "Linux", "windows": "Windows", "macos": "macOS", "android": "Android", "freebsd": "FreeBSD"}
_NO_SLUG = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Assets or targets of one system and architecture."""

    label: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A matrix as the page has it: its rows and columns in the order of their groups, and the anchor of each part.

    Assets are known by their paths, and ``names`` has what each is called. ``assets`` and ``targets`` give the anchor's
    end; it holds no ``~``, which stands between the two of a cell. ``cells`` are by asset and target.
    """

    rows: tuple[Asset, ...]
    columns: tuple[Column, ...]
    row_groups: tuple[Group, ...]
    column_groups: tuple[Group, ...]
    names: Mapping[str, str]
    assets: Mapping[str, str]
    targets: Mapping[str, str]
    cells: Mapping[tuple[str, str], Cell]

    def name(self, path: str) -> str:
        """Return what an asset is called: by its own name, by its path where two have one name."""
        return self.names.get(path, path)

    def asset(self, path: str) -> str:
        """Return the anchor of an asset."""
        return f"asset-{self.assets[path]}"

    def target(self, name: str) -> str:
        """Return the anchor of a target."""
        return f"target-{self.targets[name]}"

    def cell(self, asset: str, target: str) -> str:
        """Return the anchor of a cell."""
        return f"cell-{self.assets[asset]}~{self.targets[target]}"


def layout(matrix: Matrix) -> Layout:
    """Return the order, groups and anchors of a matrix.

    Assets come in the order of the targets that they are for, so that what belongs together lies along the diagonal.
    """
    columns = _grouped((f"{system_name(column.system)} {column.arch}", column.name) for column in matrix.columns)
    order = [group.label for group in columns]
    labels = [(_label(asset), asset.path) for asset in matrix.builds]
    rows = _grouped(sorted(labels, key=lambda row: order.index(row[0]) if row[0] in order else len(order)))
    assets = {asset.path: asset for asset in matrix.builds}
    number = Counter(asset.name for asset in matrix.assets)
    names = {asset.path: asset.name if number[asset.name] == 1 else asset.path for asset in matrix.assets}
    targets = {column.name: column for column in matrix.columns}
    return Layout(
        rows=tuple(assets[name] for group in rows for name in group.names),
        columns=tuple(targets[name] for group in columns for name in group.names),
        row_groups=rows,
        column_groups=columns,
        names=names,
        assets=_slugs((path, names[path]) for path in assets),
        targets=_slugs((name, name) for name in targets),
        cells={
            (cell.asset, cell.target): cell for cell in matrix.cells if cell.asset in assets and cell.target in targets
        },
    )


def short(column: Column) -> str:
    """Return a target's name without what the head of its group says already."""
    name, _, arch = column.name.rpartition("/")
    return name if name and arch in (column.arch, "arm64" if column.arch == "aarch64" else "") else column.name


def system_name(system: str) -> str:
    """Return a system's name as people write it."""
    return _SYSTEMS.get(system, system)


def _label(asset: Asset) -> str:
    """Return what an asset is for: by its bytes, else by its name."""
    systems = asset.systems or ((asset.claims.system,) if asset.claims.system else ())
    archs = asset.archs or asset.claims.archs
    words = [listed(list(map(system_name, systems)), 3), listed(list(archs), 3)]
    return " ".join(filter(None, words)) or "Any system"


def _grouped(rows: Iterable[tuple[str, str]]) -> tuple[Group, ...]:
    found: dict[str, list[str]] = {}
    for label, name in rows:
        found.setdefault(label, []).append(name)
    return tuple(Group(label=label, names=tuple(dict.fromkeys(names))) for label, names in found.items())


def _slugs(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return what stands for each key in an address, made of its name; of two that are the same one gets a number."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for key, name in names:
        slug = base = _NO_SLUG.sub("-", name)[:_LONGEST].strip("-") or "-"
        number = 1
        while slug in taken:
            number += 1
            slug = f"{base}-{number}"
        taken.add(slug)
        found[key] = slug
    return found
