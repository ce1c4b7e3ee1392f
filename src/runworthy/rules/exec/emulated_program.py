"""RW111: an emulator runs a program that is built for another architecture."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.binfmt import Handler
from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, handler_words, origin_note, taker
from runworthy.rules.words import finding, help_

CODE = "RW111"
NAME = "emulated-program"
SINCE = "0.2.0"
SEVERITY: Severity = "warning"
READS = ("exec-format:met",)
ORDER = 50

_COST = (
    "every instruction is translated while it runs: computation takes several times as long; "
    "ptrace, and with it gdb and strace, does not work on it"
)


def check(case: Case) -> Iterator[Match]:
    """Yield the program that runs by emulation."""
    for step in case.steps("exec-format", answers=(Answer.MET,)):
        if step.taken == "emulated" and not step.need.name.startswith("PE"):
            yield Match(finding=_finding(case, step), covers=(step,))


def _finding(case: Case, step: Step) -> Finding:
    handler = taker(case, step)
    by = f"the handler {handler_words(handler)}" if handler else f"{step.met_by}"
    own = step.need.name == case.machine
    target = f"{case.target} is {case.machine}"
    if case.target.endswith(f"/{case.machine}"):
        target = f"the machine of {case.target} is {case.machine}"
    message = f"`{case.needer(step.need)}` is built for {step.need.name}, {target}{' too' * own}: {by} emulates it"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"{message} all the same" if own else message,
        cause=f"{step.need.name} is emulated{' on itself' * own}",
        items=(step.need.name,),
        steps=(step,),
        notes=(_COST, *(_flags(case, handler) if handler else ()), assumption_note((step,))),
        remedies=() if own else (help_(f"build it for {case.machine}"),),
    )


def _flags(case: Case, handler: Handler) -> Iterator[str]:
    yield origin_note(case, handler)
    if "P" not in handler.flags:
        yield f"{handler.name} has no flag P: the program gets the path of its file as argv[0], whatever it was called"
    if "F" not in handler.flags:
        yield f"{handler.name} has no flag F: in a container or chroot {handler.interpreter} has to be there again"
    if "C" in handler.flags:
        yield f"{handler.name} has the flag C: for a set-user-ID program the emulator itself gets its owner's rights"
