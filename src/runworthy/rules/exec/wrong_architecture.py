"""RW103: the file is built for another architecture than the target's."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.binfmt import Handler
from runworthy.model.elf import ElfFacts
from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import assumption_note, caller_rows, caller_steps, handler_words, severity_of
from runworthy.rules.words import finding, help_, listed
from runworthy.simulate.purpose import purpose_of

CODE = "RW103"
NAME = "wrong-architecture"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("exec-format:unmet",)
ORDER = 50

_APPIMAGE = b"AI\x02"  # type 2, where ELF has EI_ABIVERSION and padding: bytes 8 to 10


def check(case: Case) -> Iterator[Match]:
    """Yield the file whose code the machine cannot run."""
    for step in case.steps("exec-format"):
        if "the machine is" in step.detail:
            callers = caller_steps(case, step.need.by)
            yield Match(finding=_finding(case, step, callers), covers=(step, *callers))


def _finding(case: Case, step: Step, callers: list[Step]) -> Finding:
    target = case.target if case.target.endswith(f"/{case.machine}") else f"{case.target} is {case.machine}"
    if target == case.target:
        target = f"the machine of {case.target} is {case.machine}"
    program = case.facts is None or case.facts.is_program
    seen = (
        "the kernel answers ENOEXEC: a shell says `cannot execute binary file: Exec format error`"
        if program
        else "a loader passes over it, or ends with `wrong ELF class` or `invalid ELF header`"
    )
    emulators = _emulators(case, step.need.name) if program else []
    message = f"`{case.needer(step.need)}` is built for {step.need.name}, {target}"
    return finding(
        case,
        (CODE, NAME, severity_of((step, *callers))),
        message,
        cause="built for another architecture",
        items=(step.need.name,),
        steps=(step,),
        lines=caller_rows(case, callers),
        notes=(
            seen,
            *(_why_not(case, one) for one in emulators),
            _no_emulator(case, step.need.name) if program and not emulators else "",
            assumption_note((step, *callers)),
        ),
        remedies=tuple(_remedies(case, step, emulators)),
    )


def _emulators(case: Case, arch: str) -> list[Handler]:
    """Return the handlers that emulate an architecture."""
    held = ((one, purpose_of(one)) for one in case.handlers.entries)
    return [one for one, purpose in held if purpose.kind == "emulator" and purpose.arch and purpose.arch.name == arch]


def _why_not(case: Case, handler: Handler) -> str:
    """Return why a handler that emulates the program's architecture does not take it."""
    words = handler_words(handler)
    if not case.handlers.enabled:
        return f"{words} emulates it, and binfmt_misc is disabled as a whole"
    if not handler.enabled:
        return f"{words} emulates it, and is disabled"
    if _is_appimage(case.facts):
        return f"{words} emulates it, and its magic asks for zeros at bytes 8 to 10, where an AppImage has `AI\\x02`"
    return f"{words} emulates it, and its magic does not match the beginning of the file"


def _is_appimage(facts: ElfFacts | None) -> bool:
    return facts is not None and facts.header.ident[8:11] == _APPIMAGE


def _no_emulator(case: Case, arch: str) -> str:
    if case.handlers.entries or case.handlers.stated:
        held = listed([one.name for one in case.handlers.entries], 6)
        return f"no handler emulates {arch}: {case.target} has {held or 'no handlers'}"
    return ""


def _remedies(case: Case, step: Step, emulators: list[Handler]) -> Iterator[Remedy]:
    yield help_(f"build it for {case.machine}")
    if emulators and _is_appimage(case.facts):
        yield help_(f"start it by the emulator itself: `{emulators[0].interpreter} {case.needer(step.need)}`")
    if ":" in case.target and not case.target.startswith(("/", ".", "rootfs:")):
        name = case.target.partition("/")[0] if case.target.endswith(f"/{case.machine}") else case.target
        yield help_(f"check it on its own architecture: `--on {name}/{step.need.name}`")
