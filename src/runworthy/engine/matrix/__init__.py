"""A whole release against a whole list of targets: every asset read once, every program judged where it may run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runworthy.engine.check import Engine, Wishes
from runworthy.engine.matrix.assets import files_of, read_asset
from runworthy.engine.matrix.columns import Place, places_of
from runworthy.engine.matrix.conclusions import misnamings, redundancies, served_by
from runworthy.engine.matrix.judging import cell_of, worth_judging
from runworthy.model.finding import Result
from runworthy.model.matrix import Asset, Cell, Matrix
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
    for number, asset in enumerate(builds, start=1):
        cells += _cells(asset, places, engine)
        if watch is not None:
            watch("judge", number, len(builds))
    held = {(cell.asset, cell.target): cell for cell in cells}
    return Matrix(
        assets=tuple(assets),
        columns=tuple(columns),
        cells=tuple(cells),
        served=tuple(served_by(column, builds, held) for column in columns),
        redundant=tuple(redundancies(builds, columns, held)),
        misnamed=tuple(wrong for asset in builds for wrong in misnamings(asset)),
        assumptions=_assumptions(cells),
    )


def _cells(asset: Asset, places: Sequence[Place], engine: Engine) -> list[Cell]:
    """Return the row of an asset: the check is asked once for all targets on which something of it may start."""
    judged = [place for place in places if worth_judging(asset, place.column)]
    names = [place.name for place in judged if place.name is not None]
    report = engine.check([asset.path], names) if names else None
    results: dict[str, list[Result]] = {place.column.name: [] for place in judged}
    if report is not None:
        # Of each subject there is a result for each target, in their order.
        for at, result in enumerate(report.results):
            results[judged[at % len(judged)].column.name].append(result)
    return [cell_of(asset, place.column, results.get(place.column.name, [])) for place in places]


def _assumptions(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return what the verdicts rest on, each once."""
    return tuple(dict.fromkeys(text for cell in cells for result in cell.results for text in result.assumptions))
