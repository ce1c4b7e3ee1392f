"""A whole release against a whole list of targets: every asset read once, every program judged where it may run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from runworthy.engine.check import Engine, Wishes
from runworthy.engine.matrix.assets import files_of, read_asset
from runworthy.engine.matrix.columns import Place, places_of
from runworthy.engine.matrix.conclusions import misnamings, redundancies, served_by
from runworthy.engine.matrix.judging import cell_of, worth_judging
from runworthy.model.finding import Result
from runworthy.model.matrix import Asset, Cell, Matrix, Misnaming
from runworthy.targets.names import MachineWish

__all__ = ["matrix_of"]

Watch = Callable[[str, int, int], None]


def matrix_of(
    paths: Sequence[str],
    on: Sequence[str] = (),
    *,
    wish: MachineWish | None = None,
    present: Sequence[str] = (),
    wishes: Wishes | None = None,
    watch: Watch | None = None,
) -> Matrix:
    """Return the matrix of the assets at ``paths`` on the targets that are written after ``--on``.

    Raises TargetError, UsageError, and OSError for a directory that cannot be listed.
    """
    assets = [read_asset(path) for path in files_of(paths)]
    builds = [asset for asset in assets if asset.kind == "build"]
    archs = list(dict.fromkeys(arch for asset in builds for arch in asset.archs or asset.claims.archs))
    places = places_of(on, wish or MachineWish(), archs, present)
    columns = [place.column for place in places]
    engine = Engine(wishes)
    cells: list[Cell] = []
    promises: list[Misnaming] = []
    for number, asset in enumerate(builds, start=1):
        row, broken = _row(asset, places, engine)
        cells += row
        promises += broken
        if watch is not None:
            watch("judge", number, len(builds))
    held = {(cell.asset, cell.target): cell for cell in cells}
    return Matrix(
        assets=tuple(assets),
        columns=tuple(columns),
        cells=tuple(cells),
        served=tuple(served_by(column, builds, held) for column in columns),
        redundant=tuple(redundancies(builds, columns, held)),
        misnamed=(*(wrong for asset in builds for wrong in misnamings(asset)), *promises),
        assumptions=_assumptions(cells),
    )


def _row(asset: Asset, places: Sequence[Place], engine: Engine) -> tuple[list[Cell], list[Misnaming]]:
    """Return the row of an asset, and the promises of its own that it does not keep, as the tags of a wheel are.

    The check is asked once, for all targets on which something of the asset may start.
    """
    judged = [place for place in places if worth_judging(asset, place.column)]
    names = [place.name for place in judged if place.name is not None]
    results: dict[str, list[Result]] = {}
    # Scripts in a tree are nobody's subjects: those that a person starts are named.
    scripts = [member.name for member in asset.members if member.format == "script" and member.name != asset.path]
    for result in engine.check([asset.path, *scripts], names).results if names else ():
        results.setdefault(result.target, []).append(result)
    # What cannot be opened is told under the name that was written.
    written = {place.column.name: place.name.text for place in judged if place.name is not None}
    row = [
        cell_of(asset, column, [*results.get(column.name, ()), *_under(written.get(column.name), column.name, results)])
        for column in (place.column for place in places)
    ]
    broken = [
        Misnaming(asset=asset.path, claim=", ".join(asset.claims.tags), fact=finding.message)
        for result in results.get("", ())
        for finding in result.findings
        if finding.severity == "error" and finding.code in _PROMISES
    ]
    return row, broken


_PROMISES = frozenset(f"RW{code}" for code in range(510, 530))
"""Findings about what a wheel's name and metadata say, which hold wherever it is taken."""


def _under(written: str | None, name: str, results: Mapping[str, list[Result]]) -> Sequence[Result]:
    return results.get(written, ()) if written and written != name else ()


def _assumptions(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return what the verdicts rest on, each once."""
    return tuple(dict.fromkeys(text for cell in cells for result in cell.results for text in result.assumptions))
