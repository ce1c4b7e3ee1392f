"""RW308: symbols that a plug-in leaves to the program that loads it, which is a known one."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.words import certain_host, count, fails, finding, help_, listed

CODE = "RW308"
NAME = "left-to-host"
SINCE = "0.1.0"
SEVERITY: Severity = "note"
READS = ("symbol:host",)
ORDER = 50

_EXAMPLES = 4


def check(case: Case) -> Iterator[Match]:
    """Yield how many symbols each known program has to bring."""
    found: dict[str, list[Step]] = {}
    for step in case.steps("symbol", answers=(Answer.HOST,)):
        host = certain_host(case, step.need.name)
        if host is not None:
            found.setdefault(host, []).append(step)
    for host, steps in found.items():
        names = sorted({step.need.name for step in steps})
        symbols = f"{count(len(names), 'symbol')} {'is' if len(names) == 1 else 'are'} left to {host}"
        message = f"{symbols} by `{case.subject}`" if fails(case) else f"`{case.subject}` loads; {symbols}"
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause=f"symbols are left to {host}",
                steps=steps,
                notes=(f"as {listed(names, _EXAMPLES)}",),
                remedies=(help_("name the program that loads it, and they are checked too: `--loaded-by PROGRAM`"),),
            ),
            covers=tuple(steps),
        )
