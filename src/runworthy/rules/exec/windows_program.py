"""RW112: a program for Windows runs by a handler that is meant for such programs."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, handler_words, origin_note, taker, what_it_is
from runworthy.rules.words import finding, help_
from runworthy.simulate.purpose import PurposeKind, purpose_of

CODE = "RW112"
NAME = "windows-program"
SINCE = "0.2.0"
SEVERITY: Severity = "warning"
READS = ("exec-format:met",)
ORDER = 50

_BY: dict[PurposeKind, str] = {
    "wine": "Wine stands in for the calls and DLLs of Windows; what it lacks shows when the program asks for it",
    "mono": "Mono runs .NET assemblies; a program of machine code it refuses",
    "wsl": "it runs on Windows beside Linux: it sees the drives, users and network of Windows",
    "chooser": "run-detectors looks into the file and starts Wine or Mono, whichever says that it is its own",
}


def check(case: Case) -> Iterator[Match]:
    """Yield the program for Windows that a handler runs."""
    for step in case.steps("exec-format", answers=(Answer.MET,)):
        if step.taken == "emulated" and step.need.name.startswith("PE"):
            yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    handler = taker(case, step)
    purpose = purpose_of(handler) if handler else None
    own = step.need.by == case.path and case.file is not None
    what = what_it_is(case.file) if own and case.file else f"a program for Windows ({step.need.name})"
    by = f"the handler {handler_words(handler)} runs it" if handler else f"{step.met_by} runs it"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"`{case.needer(step.need)}` is {what}, and {by}",
        cause="a program for Windows, run by a handler",
        items=(handler.name,) if handler else (),
        steps=(step,),
        notes=(
            _BY.get(purpose.kind, "") if purpose else "",
            origin_note(case, handler) if handler else "",
            assumption_note((step,)),
        ),
        remedies=(help_("use a build for Linux where there is one"),),
    )
