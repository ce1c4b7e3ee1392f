"""RW603: a waiver names a finding that there is not."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW603"
NAME = "unknown-waiver-code"
SINCE = "0.1.0"
SEVERITY: Severity = "warning"
READS = ("waiver:unmet",)
ORDER = 20


def check(case: Case) -> Iterator[Match]:
    """Yield each code and name that no rule has."""
    for step in case.steps("waiver"):
        if not step.need.name.startswith("code of "):
            continue
        near = step.detail
        help_text = f"did you mean {near}?" if near else "`runworthy explain` lists all codes and names"
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                f"a waiver names `{step.need.version}`, and no finding has that code or name",
                cause=f"a waiver names `{step.need.version}`, and no finding has that code or name",
                steps=(step,),
                notes=tuple(f"it was waived because: {reason.path}" for reason in step.searched),
                remedies=(help_(help_text),),
            ),
            covers=(step,),
        )
