"""RW310: symbols that an object defines in a way that musl does not see."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import count, finding, help_, listed

CODE = "RW310"
NAME = "hidden-from-musl"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("symbol:unmet",)
ORDER = 15

_EXAMPLES = 6


def check(case: Case) -> Iterator[Match]:
    """Yield indirect functions and hidden versions that musl passes over, by object."""
    found: dict[tuple[str, bool], list[Step]] = {}
    for step in case.steps("symbol"):
        if step.detail:
            found.setdefault((step.need.by, "indirect" in step.detail), []).append(step)
    for (by, indirect), steps in found.items():
        names = sorted({step.need.name for step in steps})
        what = f"`{names[0]}`" if len(names) == 1 else count(len(names), "symbol")
        how = "as an indirect function (STT_GNU_IFUNC)" if indirect else "under a hidden version alone"
        message = f"`{case.show(by)}` defines {what} {how}, which {case.libc} of {case.target} does not see"
        notes = (
            "musl binds to default versions of ordinary symbols alone (ldso/dynlink.c: OK_TYPES, versym)",
            f"musl says `Error relocating {case.show(by)}: {names[0]}: symbol not found`",
        )
        remedies = (
            help_("build it without `ifunc` attributes" if indirect else "build it for musl, without symbol versions"),
        )
        lines = () if len(names) == 1 else (listed(names, _EXAMPLES),)
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause=f"`{case.show(by)}` defines symbols that musl does not see",
                items=names,
                steps=steps,
                lines=lines,
                notes=notes,
                remedies=remedies,
            ),
            covers=tuple(steps),
        )
