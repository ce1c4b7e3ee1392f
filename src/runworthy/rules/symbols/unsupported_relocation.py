"""RW311: relocations of a type that musl does not know."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.known import relocation_name
from runworthy.rules.words import count, finding, help_, listed, unique

CODE = "RW311"
NAME = "unsupported-relocation"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("relocation:unmet",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield each type of relocation once, with the objects that use it."""
    found: dict[str, list[Step]] = {}
    for step in case.steps("relocation"):
        found.setdefault(step.need.name, []).append(step)
    for kind, steps in found.items():
        yield Match(finding=_finding(case, kind, steps), covers=tuple(steps))


def _finding(case: Case, kind: str, steps: list[Step]) -> Finding:
    arch = case.facts.architecture if case.facts else None
    name = relocation_name(kind, arch.name if arch else case.machine)
    who = unique(case.needer(step.need) for step in steps)
    more = f" and {count(len(who) - 1, 'more object')}" if len(who) > 1 else ""
    shown = f"{name} (type {kind})" if name else f"of type {kind}"
    has = "has" if len(who) == 1 else "have"
    message = f"`{who[0]}`{more} {has} relocations {shown}, {case.libc} of {case.target} does not know them"
    indirect = name.endswith(("IRELATIVE", "JMP_IREL"))
    notes = (
        "they choose a function by calling one at start, as glibc does for `ifunc` attributes; musl has no such thing"
        if indirect
        else "",
        f"musl says `Error relocating {who[0]}: unsupported relocation type {kind}`",
        f"all of them: {listed([f'`{path}`' for path in who], 8)}" if len(who) > 1 else "",
    )
    remedies = (help_("build it for musl, without `ifunc` attributes"),) if indirect else (help_("build it for musl"),)
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause=f"relocations {shown} are not known",
        steps=steps,
        notes=notes,
        remedies=remedies,
    )
