"""RW207: what is not known of a root of which only the core is known."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Remedy, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import count, fails, finding, help_, listed, quoted, rows, unique

CODE = "RW207"
NAME = "outside-core"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("interpreter:unknown", "library:unknown", "loader:unknown", "symbol:unknown")
ORDER = 40

_KINDS = tuple(kind.partition(":")[0] for kind in READS)
_STATED = 3


def check(case: Case) -> Iterator[Match]:
    """Yield one finding on all that lies outside what is known of the root."""
    steps = [step for step in case.steps(*_KINDS, answers=(Answer.UNKNOWN,)) if step.why == "outside-core"]
    if not steps:
        return
    names = unique(_name(step) for step in steps)
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
            cause="it relies on what lies outside the known core",
            items=names,
            steps=steps,
            lines=_table(case, names, steps),
            notes=(f"of {case.target} only the C library, the compiler runtime and zlib are known",),
            remedies=_remedies([step.need.name for step in steps if step.need.kind == "library"]),
        ),
        covers=tuple(steps),
    )


def _name(step: Step) -> str:
    """Return what lies outside: the name itself, or the version node whose symbols are not recorded."""
    return f"{step.need.version} of {step.need.file}" if step.need.kind == "symbol" else step.need.name


def _table(case: Case, names: list[str], steps: list[Step]) -> tuple[str, ...]:
    following = case.following(steps)
    table = []
    for name in names:
        own = [step for step in steps if _name(step) == name]
        needers = unique(case.needer(step.need) for step in own)
        keys = {step.key for step in own if step.need.kind != "symbol"}
        symbols = {step.need.name for step in following if step.because in keys and step.need.kind == "symbol"}
        symbols |= {step.need.name for step in own if step.need.kind == "symbol"}
        brings = count(len(symbols), "symbol") if symbols else ""
        table.append((name, f"needed by {listed(needers, 3)}", brings))
    return rows(table)


def _remedies(names: list[str]) -> tuple[Remedy, ...]:
    shown = unique(names)
    root = help_("name a root directory of that system as the target, or add its packages with `--with FILE`")
    if not shown:
        return (root,)
    options = " ".join(f"--assume-present {name}" for name in (shown if len(shown) <= _STATED else ["all"]))
    return (root, help_(f"state that they are there: `{options}`"))
