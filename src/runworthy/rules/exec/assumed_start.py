"""RW136: what the program is started with is found by what is only assumed of the start."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Answer
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW136"
NAME = "assumed-start"
SINCE = "0.2.0"
SEVERITY: Severity = "warning"
READS = ("script-interpreter:met", "handler:met", "interpreter:met", "permission:met")
ORDER = 69

_KINDS = tuple(kind.partition(":")[0] for kind in READS)


def check(case: Case) -> Iterator[Match]:
    """Yield what is there for some who start the program, and not for others."""
    for step in case.steps(*_KINDS, answers=(Answer.MET,)):
        if step.assumption:
            who, what = case.needer(step.need), step.need.name
            some = f"`{who}` is not for everybody to execute: it is taken for granted that {step.assumption}"
            message = some if step.need.kind == "permission" else f"`{who}` finds `{what}` only where {step.assumption}"
            yield Match(
                finding=finding(
                    case,
                    (CODE, NAME, SEVERITY),
                    message,
                    cause=f"it depends on the start: {step.assumption}",
                    steps=(step,),
                    notes=(step.detail,),
                    remedies=tuple(help_(text) for start, text in _HELP if step.assumption.startswith(start)),
                ),
                covers=(step,),
            )


_HELP = (
    ("it is started in ", "name the interpreter by its absolute path; `--cwd DIR` says where the program is started"),
)
