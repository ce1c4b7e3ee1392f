"""RW207: what is not known of a root of which only the core is known."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Remedy, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import count, fails, finding, help_, join, quoted, rows, unique

CODE = "RW207"
NAME = "outside-core"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("interpreter", "library", "loader")
ORDER = 40


def check(case: Case) -> Iterator[Match]:
    """Yield one finding on all that lies outside what is known of the root."""
    steps = [step for step in case.steps(*READS, answers=(Answer.UNKNOWN,)) if step.why == "outside-core"]
    if not steps:
        return
    names = unique(step.need.name for step in steps)
    known = (
        f"`{case.subject}` also relies on" if fails(case) else "everything that can be known is met; it also relies on"
    )
    loader = all(step.need.kind == "loader" for step in steps)
    message = f"{known} a dynamic loader for {names[0]}" if loader else f"{known} {quoted(names, 7)}"
    yield Match(
        finding=finding(
            case,
            (CODE, NAME, SEVERITY),
            message,
            steps=steps,
            lines=_table(case, names, steps),
            notes=(f"of {case.target} only the C library, the compiler runtime and zlib are known",),
            remedies=_remedies(names),
        ),
        covers=tuple(steps),
    )


def _table(case: Case, names: list[str], steps: list[Step]) -> tuple[str, ...]:
    following = case.following(steps)
    table = []
    for name in names:
        needers = unique(case.needer(step.need) for step in steps if step.need.name == name)
        keys = {step.key for step in steps if step.need.name == name}
        symbols = {step.need.name for step in following if step.because in keys and step.need.kind == "symbol"}
        brings = count(len(symbols), "symbol") if symbols else ""
        table.append((name, f"needed by {join(needers, 3)}", brings))
    return rows(table)


def _remedies(names: list[str]) -> tuple[Remedy, ...]:
    shown = " ".join(f"--assume-present {name}" for name in names[:3])
    return (
        help_("name a root directory of that system as the target, or add its packages with `--with FILE`"),
        help_(
            f"state that they are there: `{shown}`"
            if len(names) <= 3
            else "state that they are there: `--assume-present all`"
        ),
    )
