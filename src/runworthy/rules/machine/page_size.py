"""RW402: the segments cannot be mapped with the target's page size."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_, listed

CODE = "RW402"
NAME = "page-size"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("page-size",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the file whose segments are aligned for smaller pages."""
    for step in case.steps("page-size"):
        who = case.needer(step.need)
        usable = step.detail.removeprefix("its segments can be mapped with pages of ")
        fits = (
            f"has segments for pages of {usable}"
            if usable != step.detail
            else "has segments that no page size of the architecture fits"
        )
        if step.assumption:
            larger = listed(step.need.name.split(", "))
            message = f"`{who}` {fits}, {case.target} is taken to have {step.assumption}"
            notes = [f"kernels with pages of {larger} exist for {case.machine}: there it cannot be mapped"]
            remedies = [help_("state the page size: `--page-size 4k`")]
        else:
            message = f"`{who}` {fits}, {case.target} has pages of {step.need.name}"
            notes = [
                "a loader ends with `ELF load command address/offset not page-aligned`",
                "the kernel refuses such a program with EINVAL, or ends it with SIGSEGV at its start",
            ]
            remedies = []
        remedies.append(help_("link it with `-Wl,-z,max-page-size=65536`"))
        severity: Severity = "warning" if step.assumption else SEVERITY
        yield Match(
            finding=finding(
                case, (CODE, NAME, severity), message, cause=f"it {fits}", steps=(step,), notes=notes, remedies=remedies
            ),
            covers=(step,),
        )
