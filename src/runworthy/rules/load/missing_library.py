"""RW202: a needed library is at none of the paths that the loader tries."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.known import package_of
from runworthy.rules.words import finding, help_, probes, quoted, unique, would_come

CODE = "RW202"
NAME = "missing-library"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("library:unmet",)
ORDER = 50

_NEAR = (".", "lib", "lib64", "../lib", "../lib64", "libs", "../libs")


def check(case: Case) -> Iterator[Match]:
    """Yield each library that is not found, once for all that need it."""
    found: dict[str, list[Step]] = {}
    for step in case.steps("library"):
        if not step.detail:
            found.setdefault(step.need.name, []).append(step)
    for name, steps in found.items():
        yield Match(finding=_finding(case, name, steps), covers=tuple(steps))


def _finding(case: Case, name: str, steps: list[Step]) -> Finding:
    needers = unique(case.needer(step.need) for step in steps)
    by_path = "/" in name
    message = f"`{needers[0]}` needs `{name}`, which the loader of {case.target} does not find"
    beside = _beside(case, steps[0])
    notes = (
        f"`{case.show(beside)}` is such a file, where this loader does not look" if beside else "",
        f"{quoted(needers[1:])} {'needs' if len(needers) == 2 else 'need'} it too" if len(needers) > 1 else "",
        would_come(case.following(steps)),
        f"the machine is assumed to be {steps[0].assumption}: `--cpu` states it" if steps[0].assumption else "",
        "a name with a slash is opened as it stands: no search path is tried" if by_path else "",
    )
    return finding(
        case,
        (CODE, NAME, "warning" if steps[0].assumption else SEVERITY),
        message,
        cause=f"`{name}` is not found",
        steps=steps,
        lines=probes(case, steps[0]),
        notes=notes,
        remedies=tuple(_remedies(case, steps[0], beside)),
    )


def _beside(case: Case, step: Step) -> str:
    """Return where the library lies near the file that needs it, empty when it does not."""
    directory = posixpath.dirname(step.need.by)
    for below in _NEAR if "/" not in step.need.name else ():
        path = posixpath.normpath(f"{directory}/{below}/{step.need.name}")
        if case.objects.facts(path) is not None:
            return path
    return ""


def _remedies(case: Case, step: Step, beside: str) -> Iterator[Remedy]:
    name = step.need.name
    package = package_of(name, case.target)
    if beside:
        below = posixpath.relpath(posixpath.dirname(beside), posixpath.dirname(step.need.by))
        origin = "$ORIGIN" if below == "." else f"$ORIGIN/{below}"
        yield help_(f"let the file look there: `patchelf --set-rpath '{origin}' {case.needer(step.need)}`")
    elif package:
        yield help_(f"install `{package}`")
    elif "/" not in name:
        yield help_(f"ship `{name}` with it, or install the package that brings it")
