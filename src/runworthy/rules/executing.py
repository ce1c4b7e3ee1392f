"""What rules on execve share: the handler that takes a file, what a file is, what callers make of a refusal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.binfmt import Handler
from runworthy.model.finding import Severity
from runworthy.model.program import FileFacts, PeFacts
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case
from runworthy.rules.words import listed, rows, unique

__all__ = [
    "LEFT_TO_CALLER",
    "NO_SHELL",
    "assumption_note",
    "caller_rows",
    "caller_steps",
    "ends_in",
    "errno_of",
    "handler_words",
    "interpreter_words",
    "interpreters_of",
    "origin_note",
    "passed_over",
    "reason_of",
    "seen",
    "severity_of",
    "taker",
    "what_it_is",
]

LEFT_TO_CALLER = "the kernel answers ENOEXEC, and it is left to the caller what becomes of the file"
"""What becomes of a file that nobody takes where a stated caller has a shell read it."""

NO_SHELL = "the kernel answers ENOEXEC, which callers tell as `Exec format error`"
"""What becomes of a file that nobody takes where no stated caller has a shell read it."""

_NOT_THERE = "the kernel answers ENOENT, and a shell says `{who}: not found` of a file that exists"
_SEEN = {
    "ENOENT": _NOT_THERE,
    "ENOTDIR": "the kernel answers ENOTDIR, which a shell prints as `Not a directory`",
    "EACCES": "the kernel answers EACCES, which a shell prints as `Permission denied`",
    "ENOEXEC": "the kernel answers ENOEXEC: a shell says `cannot execute binary file: Exec format error`",
    "ELIBBAD": "the kernel answers ELIBBAD, which a shell prints as `Accessing a corrupted shared library`",
    "ELOOP": "the kernel answers ELOOP, which a shell prints as `Too many levels of symbolic links`",
    "ETXTBSY": "the kernel answers ETXTBSY, which a shell prints as `Text file busy`",
}
_CALLERS = {"direct": "a direct exec", "shell": "a shell"}
_SUBSYSTEMS = {1: "a driver", 2: "with windows", 3: "for the console", 10: "for EFI", 11: "for EFI", 12: "for EFI"}
_MACHO = {2: "a program", 6: "a library", 8: "a bundle"}
_KINDS = {
    "ape": "an APE program",
    "script": "a script",
    "jar": "a Java archive",
    "zip": "a zip archive",
    "python-bytecode": "compiled Python",
    "wasm": "a WebAssembly module",
    "archive": "an archive",
    "text": "text without a `#!` line",
    "data": "of no format that is known to be executed",
    "empty": "empty",
}


def errno_of(step: Step) -> str:
    """Return the name of the errno with which an unmet step ends, empty where its detail begins with none."""
    name = step.detail.partition(":")[0]
    return name if name.isupper() and name.startswith("E") else ""


def reason_of(step: Step) -> str:
    """Return the detail of a step without the errno."""
    return step.detail.partition(": ")[2] if errno_of(step) else step.detail


def seen(step: Step, who: str) -> str:
    """Return what people see of an errno, empty for one of which nothing is to be said."""
    return _SEEN.get(errno_of(step), "").replace("{who}", who)


def severity_of(steps: Sequence[Step], usual: Severity = "error") -> Severity:
    """Return ``usual`` where any of the steps ends the program for certain, else a warning."""
    ends = any(
        step.assumption is None and (step.taken == "foreign" or (step.answer is Answer.UNMET and step.fatal))
        for step in steps
    )
    return usual if ends else "warning"


def assumption_note(steps: Sequence[Step]) -> str:
    """Return on what assumed facts of the machine the answers rest, empty where on none."""
    held = unique(step.assumption for step in steps if step.assumption)
    return f"this rests on what is assumed of the machine: {listed(held)}" if held else ""


# -- handlers -----------------------------------------------------------------------------------


def taker(case: Case, step: Step) -> Handler | None:
    """Return the handler that takes the file of an ``exec-format`` step, None where the kernel itself does."""
    name = next((probe.path for probe in step.searched if probe.outcome == "takes it"), None)
    if name is None and step.met_by and step.met_by.endswith(")"):
        name = step.met_by.rpartition(" (")[0]
    return next((one for one in case.handlers.entries if one.name == name), None)


def handler_words(handler: Handler) -> str:
    """Return ``DOSWin (/usr/bin/wine)``."""
    return f"{handler.name} ({handler.interpreter})"


def origin_note(case: Case, handler: Handler) -> str:
    """Return by which file a handler is registered, empty where that is not known."""
    if handler.origin:
        return f"{handler.name} is registered by {handler.origin}"
    files = (event.text for event in case.events("registered-by") if event.by == handler.name)
    return next((f"{handler.name} is there since the boot: {file} registers it at each" for file in files), "")


def passed_over(case: Case, path: str) -> Iterator[str]:
    """Yield why handlers that are made for the subject do not take it: they are disabled, or all of them are."""
    if path != case.path or case.file is None:
        return
    on = case.handlers.enabled
    made = [one for one in case.handlers.entries if not (on and one.enabled) and one.matches(case.file.head, path)]
    if made and not on:
        yield f"{listed([one.name for one in made])} would take it, and binfmt_misc is disabled as a whole"
    elif made:
        yield f"{listed([handler_words(one) for one in made])} would take it, and is disabled"


_OWN_LOADER = "its interpreter "


def interpreter_words(case: Case, step: Step) -> str:
    """Return in words that follow "which" why an interpreter cannot be started."""
    reason, errno = reason_of(step), errno_of(step)
    if reason.startswith(_OWN_LOADER):
        loader, _, why = reason.removeprefix(_OWN_LOADER).partition(": ")
        return f"cannot be started: its own loader `{loader}` is missing in {case.target}: {why}"
    if errno in ("ENOENT", "ENOTDIR"):
        return f"is not in {case.target}"
    if reason.startswith("it is made for "):
        return f"{reason.removeprefix('it ')}, and the machine is {case.machine}"
    if "the machine is" in reason:
        return f"is built for {step.need.name}: {reason}"
    return f"cannot be executed: {reason}"


def ends_in(case: Case, step: Step) -> list[Step]:
    """Return the steps by which execve as a whole ends for what ``step`` says."""
    ends = case.steps("permission", "exec-format")
    return [one for one in ends if one is not step and one.detail == step.detail and step.detail]


def interpreters_of(case: Case, kind: str) -> dict[str, Step]:
    """Return what handlers (``handler``) or `#!` lines (``script-interpreter``) start, by its real path."""
    return {step.met_by: step for step in case.causes.get(kind, ()) if step.answer is Answer.MET and step.met_by}


# -- callers ------------------------------------------------------------------------------------


def caller_steps(case: Case, path: str) -> list[Step]:
    """Return what each caller makes of the kernel's refusal to execute a file."""
    return [step for step in case.trace.needs if step.need.kind == "caller" and step.need.by == path]


def caller_rows(case: Case, steps: Sequence[Step]) -> tuple[str, ...]:
    """Return a table of callers and what each does."""
    return rows((_CALLERS.get(step.need.name, step.need.name), _does(case, step)) for step in steps)


def _does(case: Case, step: Step) -> str:
    if step.answer is Answer.MET:
        return step.met_by or "runs it"
    said = step.detail.replace(step.need.by, case.needer(step.need))
    return said or ("ends" if step.answer is Answer.UNMET else "is not known")


# -- files --------------------------------------------------------------------------------------


def what_it_is(file: FileFacts) -> str:
    """Return what a file is, in words that follow "is"."""
    if file.type == "pe" and file.pe is not None:
        return _windows(file.pe)
    if file.type == "mach-o" and file.machos:
        archs = listed(unique(part.arch for part in file.machos))
        return f"{_MACHO.get(file.machos[0].filetype, 'a file')} for macOS ({archs})"
    if file.type == "elf":
        return "an ELF file"
    words = _KINDS.get(file.type, "no program")
    if file.type == "jar" and file.main_class:
        return f"{words} with the main class `{file.main_class}`"
    return f"{words} ({file.detail})" if file.detail else words


def _windows(pe: PeFacts) -> str:
    arch = pe.arch or f"machine {pe.machine:#06x}"
    if pe.dll:
        return f"a library for Windows ({arch})"
    how = f", {_SUBSYSTEMS[pe.subsystem]}" if pe.subsystem in _SUBSYSTEMS else ""
    return f"a {'.NET ' if pe.clr else ''}program for Windows ({arch}{how})"
