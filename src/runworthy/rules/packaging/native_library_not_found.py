"""RW532: a .NET assembly calls into a library that is there, where the run time does not look."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_, quoted, rows

CODE = "RW532"
NAME = "native-library-not-found"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("layout:unmet",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield each library that an assembly names and the run time passes by, once for all assemblies."""
    found: dict[tuple[str, str], list[Step]] = {}
    for step in case.steps("layout"):
        if step.need.version == "native-library":
            found.setdefault((step.need.name, step.detail), []).append(step)
    for (name, lying), steps in found.items():
        yield Match(finding=_finding(case, name, lying.split("\n"), steps), covers=tuple(steps))


def _finding(case: Case, name: str, lying: list[str], steps: list[Step]) -> Finding:
    who = quoted(case.needer(step.need) for step in steps)
    calls = "calls" if len(steps) == 1 else "call"
    # Every path is shown, in order: which of them people expected it at is the question.
    table = rows((case.show(probe.path), probe.outcome, probe.origin) for probe in steps[0].searched)
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"{who} {calls} into `{name}`, which .NET does not find on {case.target} though {quoted(lying)} is there",
        cause=f"`{name}` is where .NET does not look",
        items=(name,),
        steps=steps,
        lines=table,
        notes=(
            "the methods that need it throw DllNotFoundException when they are first called",
            "whether the system's own loader finds one of these names is not judged",
        ),
        remedies=tuple(_remedies(name, lying, steps[0])),
    )


def _remedies(name: str, lying: list[str], step: Step) -> Iterator[Remedy]:
    tried = {probe.path.rpartition("/")[2] for probe in step.searched}
    called = sorted({path.rpartition("/")[2] for path in lying})
    misspelt = next((file for file in called if file not in tried), "")
    if misspelt:
        yield help_(f"name it as the file is called: `{misspelt}`, not `{name}` (names differ by case on this system)")
    else:
        yield help_("put it into `runtimes/<rid>/native/` of the package, or beside the assembly")
