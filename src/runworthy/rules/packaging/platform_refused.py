"""RW533: npm does not install the package on this platform, by what its package.json says."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, probes

CODE = "RW533"
NAME = "platform-refused"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("layout:unmet",)
ORDER = 20


def check(case: Case) -> Iterator[Match]:
    """Yield the package that is refused."""
    for step in case.steps("layout"):
        if step.need.version == "platform":
            yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    refused = [probe.path.partition(":")[0] for probe in step.searched if probe.outcome != "fits"]
    verb = "does not" if len(refused) == 1 else "do not"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"npm does not install `{step.need.name}` on {case.target}: its {' and '.join(refused)} {verb} fit",
        cause=f"`{step.need.name}` is for another platform",
        steps=(step,),
        lines=probes(case, step),
        notes=("installed by name, npm ends with EBADPLATFORM; as an optional dependency it is left out in silence",),
    )
