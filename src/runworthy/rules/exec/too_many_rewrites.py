"""RW121: interpreters start interpreters, more of them than the kernel follows."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, ends_in, seen, severity_of
from runworthy.rules.words import finding, help_, rows

CODE = "RW121"
NAME = "too-many-rewrites"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("rewrites:unmet",)
ORDER = 40

_KINDS = {"handler": "a handler takes it for", "script-interpreter": "its `#!` line names"}


def check(case: Case) -> Iterator[Match]:
    """Yield the file whose chain of interpreters does not end in time."""
    for step in case.steps("rewrites"):
        yield Match(finding=_finding(case, step), covers=(step, *ends_in(case, step)))


def _finding(case: Case, step: Step) -> Finding:
    links = [one for one in case.trace.needs if one.need.kind in _KINDS and one.answer is Answer.MET]
    own = [one for one in links if one.need.by == one.met_by]
    started = [one.need.name for one in links]
    circle = bool(own) or len(set(started)) < len(started)
    message = f"`{case.subject}` is handed from interpreter to interpreter, and the kernel follows five of them"
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        message,
        cause="more interpreters than the kernel follows",
        steps=(step,),
        lines=rows((case.show(one.need.by), _KINDS[one.need.kind], one.need.name) for one in links),
        notes=(
            f"{seen(step, case.subject)}, though no link is in play",
            "an interpreter leads back to itself: this never ends" if circle else "",
            assumption_note((step,)),
        ),
        remedies=tuple(map(help_, _helps(case, links, circle=circle))),
    )


def _helps(case: Case, links: list[Step], *, circle: bool) -> Iterator[str]:
    """Propose where the chain can be made shorter: at its first `#!` line, or at the handler that never ends it."""
    line = next((one for one in links if one.need.kind == "script-interpreter"), None)
    if line is not None:
        whom = "a program that is no script" if circle else f"`{links[-1].need.name}` itself"
        yield f"name {whom} in the `#!` line of `{case.needer(line.need)}`"
    elif links:
        yield f"have the handler name a program that it does not take itself, in place of `{links[-1].need.name}`"
