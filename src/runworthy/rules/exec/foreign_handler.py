"""RW110: a handler of binfmt_misc takes a program of Linux for something else."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.binfmt import Handler
from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import (
    assumption_note,
    ends_in,
    handler_words,
    interpreter_words,
    origin_note,
    severity_of,
    taker,
    what_it_is,
)
from runworthy.rules.words import finding, listed, rows
from runworthy.simulate.purpose import PurposeKind, purpose_of, taken_by

CODE = "RW110"
NAME = "foreign-handler"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("exec-format:met",)
ORDER = 30

_WINDOWS_PART = "Wine reads the Windows part of it"
# What is seen of an APE, by whose handler takes it: reports of users, and real programs of Debian 12.
_SEEN_OF_APE: dict[PurposeKind, tuple[str, ...]] = {
    "wine": (
        f"{_WINDOWS_PART}: slow, or `err:module:import_dll Library ... not found` and an exit with 53 (c0000135)",
    ),
    "mono": ("Mono says `File does not contain a valid CIL image`",),
    "chooser": ("it asks detectors for Windows, and says `run-detectors: unable to find an interpreter` with exit 2",),
    "wsl": ("it starts on Windows, not on Linux; some say `APE is running on WIN32 inside WSL`",),
}
_REFUSED_BY_LOADER = (
    "the APE loader takes what begins with one of its magics, of 8 bytes; of others it says "
    "`didn't embed ELF magic` and exits with 127"
)
_NO_FALLBACK = "handlers come before the kernel's own formats, and where one matches nothing else is tried"


def check(case: Case) -> Iterator[Match]:
    """Yield the program that becomes another one."""
    for step in case.steps("exec-format", answers=(Answer.MET,)):
        if step.taken == "foreign":
            gone = [one for one in case.steps("handler") if one.need.by == step.need.by]
            covers = (step, *gone, *(end for one in gone for end in ends_in(case, one)))
            yield Match(finding=_finding(case, step, gone), covers=covers)


def _finding(case: Case, step: Step, gone: list[Step]) -> Finding:
    handler = taker(case, step)
    if handler is not None and purpose_of(handler).kind == "wsl":
        gone = []  # WSL puts its /init into the root when it starts it
    who = case.needer(step.need)
    whom = f"the handler {handler.name} takes it for {_whom(handler)}" if handler else f"{step.met_by} takes it"
    notes = (
        *(_why_it_wins(case, step, handler) if handler else (_NO_FALLBACK,)),
        *(f"`{one.need.name}` {interpreter_words(case, one)}; no other handler is tried" for one in gone),
        *(_seen(case, step, handler) if handler and not gone else ()),
        assumption_note((step,)),
    )
    return finding(
        case,
        (CODE, NAME, severity_of((step,))),
        f"`{who}` is {_is(case, step)}, and {whom}",
        cause=f"taken by the handler {handler.name}" if handler else "taken by a foreign handler",
        items=(handler.name,) if handler else (),
        steps=(step,),
        lines=_order(step),
        notes=notes,
    )


def _is(case: Case, step: Step) -> str:
    if step.need.by == case.path and case.file is not None:
        return what_it_is(case.file)
    return f"an ELF program for {step.need.name}" if step.need.name != "APE" else "an APE program"


def _whom(handler: Handler) -> str:
    purpose = purpose_of(handler)
    return f"{purpose.words} ({handler.interpreter})" if purpose.kind != "unknown" else handler.interpreter


def _order(step: Step) -> tuple[str, ...]:
    """Return the handlers as they are tried, where there is more than the one."""
    table = [(str(number), probe.path, probe.outcome) for number, probe in enumerate(step.searched, 1)]
    return rows(table) if len(table) > 1 else ()


def _why_it_wins(case: Case, step: Step, handler: Handler) -> Iterator[str]:
    yield origin_note(case, handler)
    right = [one for one in _others(case, step, handler) if _would_do(case, one)]
    if not right:
        yield _NO_FALLBACK
    for one in right[:1]:
        if not one.enabled:
            yield f"{handler_words(one)} is made for it, and is disabled"
        else:
            by = f" by {one.origin}" if one.origin else ""
            yield (
                f"{handler_words(one)} is made for it, and was registered{by} before {handler.name}: "
                "the handler registered last is tried first"
            )


def _others(case: Case, step: Step, handler: Handler) -> list[Handler]:
    """Return the other handlers that match the subject."""
    if step.need.by != case.path or case.file is None:
        return []
    head = case.file.head
    return [one for one in case.handlers.entries if one.name != handler.name and one.matches(head, case.path)]


def _would_do(case: Case, handler: Handler) -> bool:
    return case.file is not None and taken_by(case.file.type, None, handler) == ""


def _seen(case: Case, step: Step, handler: Handler) -> Iterator[str]:
    """Tell what then happens: by whose handler it is, and by what file."""
    purpose = purpose_of(handler)
    is_ape = step.need.name == "APE" or (case.file is not None and case.file.type == "ape")
    if purpose.kind == "ape-loader":
        yield _REFUSED_BY_LOADER
    elif is_ape:
        yield from _SEEN_OF_APE.get(purpose.kind, ())
    elif purpose.kind == "emulator" and purpose.arch is not None:
        yield f"{handler.interpreter} emulates {purpose.arch.name}, and refuses code for {step.need.name}"
    if purpose.kind == "unknown":
        yield f"what {handler.interpreter} makes of the file is not known; the program itself does not start"
    tried = [one for one in handler.others if case.file is not None and one.matches(case.file.head, case.path)]
    if tried:
        yield f"run-detectors tries {listed([handler_words(one) for one in tried], 4)} in this order"
