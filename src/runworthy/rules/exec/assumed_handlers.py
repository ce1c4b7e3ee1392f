"""RW133: the file runs as it should by handlers that the machine is only assumed to have."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import handler_words, origin_note, taker
from runworthy.rules.words import finding, listed, unique

CODE = "RW133"
NAME = "assumed-handlers"
SINCE = "0.2.0"
SEVERITY: Severity = "warning"
READS = ("exec-format:met", "handler:met", "caller:met")
ORDER = 70


def check(case: Case) -> Iterator[Match]:
    """Yield what the verdict takes for granted of the machine."""
    met = case.steps("exec-format", "handler", "caller", answers=(Answer.MET,))
    steps = [step for step in met if step.assumption and not step.taken]
    if steps:
        yield Match(finding=_finding(case, steps), covers=tuple(steps))


def _finding(case: Case, steps: list[Step]) -> Finding:
    handlers = [one for one in (taker(case, step) for step in steps if step.need.kind == "exec-format") if one]
    assumed = listed(unique(step.assumption for step in steps if step.assumption))
    if handlers:
        runs = f"runs by the handler {handler_words(handlers[0])}"
    else:
        runs = "runs where no handler takes it for something else"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"`{case.subject}` {runs}, and the handlers of {case.target} are assumed to be {assumed}",
        cause=f"handlers are assumed: {assumed}",
        items=[one.name for one in handlers],
        steps=steps,
        notes=tuple(origin_note(case, one) for one in handlers),
    )
