"""What it costs to start a program in one way or another: it is executed when somebody asks for that.

:mod:`ways` says which ways there are, :mod:`runs` and :mod:`supervisor` carry out one run. The runs go round: each way
once, then each again, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runworthy.measuring.runs import NotStartedError, Runner
from runworthy.measuring.ways import Ways
from runworthy.model.measurement import Measured, Measurement, Run, Way

__all__ = ["measure_ways"]


def measure_ways(
    command: Sequence[str],
    found: Ways,
    *,
    runs: int,
    timeout: float,
    until_output: bool = False,
    show_output: bool = False,
    watch: Callable[[str, int, int], None] | None = None,
) -> Measurement:
    """Run each way ``runs`` times, in turn, after one run that warms up.

    A way that does not start, or whose first run takes longer than ``timeout`` seconds without what is asked for, is
    not tried again. Raises UsageError where processes cannot be measured, and RunworthyError where one cannot be ended.
    """
    held: dict[str, list[Run]] = {way.label: [] for way in found.ways}
    problems: dict[str, str] = {}
    left = list(found.ways)
    total = len(left) * (runs + 1)
    done = 0
    with Runner(timeout=timeout, until_output=until_output, show_output=show_output) as runner:
        for turn in range(runs + 1):
            for way in tuple(left):
                done += 1
                if watch:
                    watch("measure", done, total)
                try:
                    run = runner.run(way.argv)
                except NotStartedError as error:
                    problems[way.label] = str(error)
                    left.remove(way)
                    continue
                in_vain = run.status is None and run.first_output is None
                if in_vain:
                    left.remove(way)
                if turn or in_vain:
                    held[way.label].append(run)
    return Measurement(
        command=tuple(command),
        program=found.program,
        kind=found.kind,
        rounds=runs,
        timeout=timeout,
        until_output=until_output,
        ways=tuple(_measured(way, held, problems) for way in found.ways),
        notes=found.notes,
    )


def _measured(way: Way, held: dict[str, list[Run]], problems: dict[str, str]) -> Measured:
    return Measured(way=way, runs=tuple(held[way.label]), problem=problems.get(way.label, ""))
