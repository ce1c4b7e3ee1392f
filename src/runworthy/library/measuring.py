"""Running a program, to tell what that costs: the only place of the library that executes what it is given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from runworthy.library.asking import Path, Watch, texts
from runworthy.model.errors import UsageError

if TYPE_CHECKING:
    from runworthy.model.measurement import Measurement

__all__ = ["measure"]


def measure(
    command: Path | Sequence[Path],
    *,
    runs: int = 5,
    timeout: float = 60.0,
    through: Path | Iterable[Path] = (),
    loader: Path = "",
    until_output: bool = False,
    show_output: bool = False,
    watch: Watch | None = None,
) -> Measurement:
    """Run a program, in each way of starting it, and tell what that costs, as ``runworthy measure`` does.

    This is the one function that executes what it is given: ``command``, a file and its arguments, ``through``,
    ``loader``, and the loader that an APE carries.

    >>> import runworthy
    >>> measured = runworthy.measure(["sh", "-c", "exit 3"], runs=3).ways[0]
    >>> measured.way.label, measured.time.n, measured.endings
    ('now', 3, (3,))

    ``timeout`` is for each run (seconds). Raises SubjectError where there is no such file, and UsageError.
    """
    from tempfile import TemporaryDirectory

    from runworthy.measuring import measure_ways
    from runworthy.measuring.ways import find_program, ways

    words = texts(command)
    if runs < 1:
        raise UsageError(f"--runs {runs} is too few", hint="1 is the least", option="--runs")
    if not 0 < timeout < float("inf"):
        raise UsageError(f"--timeout {timeout:g} is no time", hint="seconds, as in 10 or 0.5", option="--timeout")
    if not words or "" in words[:1]:
        raise UsageError("no command is named", hint="as in `runworthy measure -- FILE ARGS`")
    with TemporaryDirectory(prefix="runworthy-") as scratch:
        found = ways(
            find_program(words[0]), words[1:], loader=os.fspath(loader), through=texts(through), scratch=scratch
        )
        return measure_ways(
            words,
            found,
            runs=runs,
            timeout=timeout,
            until_output=until_output,
            show_output=show_output,
            watch=watch,
        )
