"""RW309: symbols that a library leaves to whatever program loads it, and that no known program has."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import count, finding, help_, rows, unique
from runworthy.simulate.hosts import host_api

CODE = "RW309"
NAME = "left-to-unknown"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("symbol",)
ORDER = 50

_ROWS = 12


def check(case: Case) -> Iterator[Match]:
    """Yield the symbols of which nobody is known to have them, by object."""
    found: dict[str, list[Step]] = {}
    for step in case.steps("symbol", answers=(Answer.HOST,)):
        if host_api(step.need.name) is None:
            found.setdefault(step.need.by, []).append(step)
    for steps in found.values():
        names = unique(sorted(step.need.name for step in steps))
        what = f"`{names[0]}`" if len(names) == 1 else count(len(names), "symbol")
        message = f"`{case.needer(steps[0].need)}` leaves {what} to the program that loads it; no library that it needs defines {'it' if len(names) == 1 else 'them'}"
        shown = () if len(names) == 1 else rows([(name,) for name in names[:_ROWS]])
        if len(names) > _ROWS:
            shown = (*shown, f"and {count(len(names) - _ROWS, 'more symbol')}")
        remedies = (help_("name the program that loads it, and they are checked: `--loaded-by PROGRAM`"),)
        yield Match(
            finding=finding(case, (CODE, NAME, SEVERITY), message, steps=steps, lines=shown, remedies=remedies),
            covers=tuple(steps),
        )
