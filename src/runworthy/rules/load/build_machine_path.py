"""RW206: a needed library was looked for where the machine that built the file had it."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.known import built_elsewhere
from runworthy.rules.words import finding, help_, listed, probes, quoted, unique, would_come

CODE = "RW206"
NAME = "build-machine-path"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("library:unmet",)
ORDER = 35


def check(case: Case) -> Iterator[Match]:
    """Yield each object whose search path leads to directories of another machine, with what is then missing."""
    found: dict[tuple[str, ...], list[Step]] = {}
    for step in case.steps("library"):
        directories = tuple(_elsewhere(step)) if not step.detail else ()
        if directories:
            found.setdefault((step.need.by, *directories), []).append(step)
    for key, steps in found.items():
        yield Match(finding=_finding(case, key[1:], steps), covers=tuple(steps))


def _elsewhere(step: Step) -> Iterator[str]:
    """Yield the directories of RPATH or RUNPATH that this root lacks and that only a build machine has."""
    own = ("RPATH of", "RUNPATH of")
    directories = (probe.path.rpartition("/")[0] for probe in step.searched if probe.origin.startswith(own))
    yield from (directory for directory in unique(directories) if built_elsewhere(f"{directory}/"))


def _finding(case: Case, directories: tuple[str, ...], steps: list[Step]) -> Finding:
    who = case.needer(steps[0].need)
    names = unique(step.need.name for step in steps)
    places = unique(built_elsewhere(f"{directory}/") for directory in directories)
    it = "it" if len(names) == 1 else "them"
    message = f"`{who}` looks for {quoted(names)} in {quoted(directories)}, {case.target} does not have {it}"
    notes = (
        f"the search path leads into {listed(places)} of the machine that built the file",
        would_come(case.following(steps), it),
    )
    relative = f"set a search path relative to the file: `patchelf --set-rpath '$ORIGIN' {who}`"
    remedies = (help_(f"ship {quoted(names)} beside it and {relative}"),)
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause="libraries are looked for where the build machine had them",
        items=names,
        steps=steps,
        lines=probes(case, steps[0]),
        notes=notes,
        remedies=remedies,
    )
