"""RW307: functions that nothing defines, bound only when they are first called."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import count, finding, rows, unique

CODE = "RW307"
NAME = "lazy-symbol"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("symbol:unmet",)
ORDER = 60

_ROWS = 6


def check(case: Case) -> Iterator[Match]:
    """Yield what each object may call and nothing defines."""
    found: dict[str, list[Step]] = {}
    for step in case.steps("symbol"):
        if not step.fatal:
            found.setdefault(step.need.by, []).append(step)
    for steps in found.values():
        yield Match(finding=_finding(case, steps), covers=tuple(steps))


def _finding(case: Case, steps: list[Step]) -> Finding:
    names = unique(step.need.name for step in steps)
    what = f"`{names[0]}`" if len(names) == 1 else count(len(names), "function")
    verb = "is" if len(names) == 1 else "are"
    who = case.needer(steps[0].need)
    message = f"`{who}` may call {what}, which {verb} defined by nothing that it loads on {case.target}"
    table = (
        ()
        if len(names) == 1
        else rows((step.need.name, step.need.version or "", step.need.file or "") for step in steps[:_ROWS])
    )
    if len(names) > _ROWS:
        table = (*table, f"and {count(len(names) - _ROWS, 'more function')}")
    notes = (
        "it starts, since they are bound when they are first called; the first call ends it with `symbol lookup error`"
        if len(names) > 1
        else "it starts, since it is bound when it is first called; the first call ends it with `symbol lookup error`",
    )
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause=f"`{who}` may call what nothing defines",
        items=names,
        steps=steps,
        lines=table,
        notes=notes,
    )
