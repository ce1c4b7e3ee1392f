"""RW401: the code is marked for a higher x86-64 level than the CPU's."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import count, finding, help_, quoted, unique

CODE = "RW401"
NAME = "cpu-level"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("isa:unmet",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield each level once, with the objects that are marked for it."""
    found: dict[tuple[str, str], list[Step]] = {}
    for step in case.steps("isa"):
        found.setdefault((step.need.name, step.detail), []).append(step)
    for (level, detail), steps in found.items():
        yield Match(finding=_finding(case, level, detail, steps), covers=tuple(steps))


def _finding(case: Case, level: str, detail: str, steps: list[Step]) -> Finding:
    assumed = steps[0].assumption
    cpu = assumed or (case.hardware.cpu if case.hardware else case.machine)
    who = unique(case.needer(step.need) for step in steps)
    more = f" and {count(len(who) - 1, 'more object')}" if len(who) > 1 else ""
    is_are = "is" if len(who) == 1 else "are"
    taken = f"{case.target} is taken to be {cpu}" if assumed else f"the CPU of {case.target} is {cpu}"
    go = detail.startswith("built with GOAMD64=")
    made = (
        f"{is_are} built with {detail.partition(':')[0].removeprefix('built with ')}, for {level}"
        if go
        else f"{is_are} marked as needing {level}"
    )
    severity: Severity = "warning" if assumed or not steps[0].fatal else SEVERITY
    notes = (
        _seen(detail, go=go),
        f"all of them: {quoted(who, 8)}" if len(who) > 1 else "",
        "no CPU is stated, so the architecture's baseline is assumed" if assumed else "",
    )
    remedies = [help_(f"state the CPU: `--cpu {level}`")] if assumed else []
    flag = "GOAMD64=v1" if go else "-march=x86-64"
    remedies.append(help_(f"build it with `{flag}`, or run it on a CPU of level {level}"))
    message = f"`{who[0]}`{more} {made}, {taken}"
    return finding(
        case,
        (CODE, NAME, severity),
        message,
        cause=f"a CPU of level {level} is needed",
        steps=steps,
        notes=notes,
        remedies=remedies,
    )


def _seen(detail: str, *, go: bool) -> str:
    if go:
        return "the Go runtime exits at start: `This program can only be run on AMD64 processors with ...`"
    if detail == "CPU ISA level is lower than required":
        return "the loader ends with `CPU ISA level is lower than required`"
    return (
        "this loader does not look at the mark: the first instruction that the CPU lacks ends the program with SIGILL"
    )
