"""RW515: a wheel's file name, WHEEL and METADATA disagree, or some of it is missing."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW515"
NAME = "metadata-disagrees"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("metadata:unmet",)
ORDER = 30


def check(case: Case) -> Iterator[Match]:
    """Yield all that installers refuse in one finding, and all that they pass over in another."""
    steps = case.steps("metadata")
    for fatal in (True, False):
        held = [step for step in steps if step.fatal is fatal]
        if not held:
            continue
        severity: Severity = SEVERITY if fatal else "warning"
        first = held[0].detail
        more = f", and {len(held) - 1} more" if len(held) > 1 else ""
        note = "pip refuses such a wheel" if fatal else "installers go by the file's name and pass over it"
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, severity),
                f"`{case.subject}` disagrees with itself: {first}{more}",
                cause="the wheel disagrees with itself",
                items=(step.detail for step in held),
                steps=held,
                lines=tuple(step.detail for step in held[:20]) if len(held) > 1 else (),
                notes=(note,),
                remedies=(help_("build it with a tool that writes name and metadata together: `python -m build`"),),
            ),
            covers=tuple(held),
        )
