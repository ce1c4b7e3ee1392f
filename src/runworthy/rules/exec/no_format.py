"""RW122: the file is nothing that the kernel executes, and no handler takes it."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.program import FileFacts
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import (
    LEFT_TO_CALLER,
    NO_SHELL,
    assumption_note,
    caller_rows,
    caller_steps,
    passed_over,
    severity_of,
    what_it_is,
)
from runworthy.rules.words import finding, help_

CODE = "RW122"
NAME = "no-format"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("exec-format:unmet", "caller:unmet")
ORDER = 58

_HELP = {
    "jar": "start it by `java -jar {who}`",
    "python-bytecode": "start it by the Python that compiled it: `python3 {who}`",
    "wasm": "start it by a WebAssembly runtime, as `wasmtime {who}`",
    "zip": "unpack it; an application for Python begins with a `#!` line (`python3 -m zipapp -p`)",
    "archive": "unpack it",
    "text": "begin a script with the interpreter that it is for, as `#!/bin/sh`",
    "empty": "fetch or build it again: nothing is in it",
}
_LFS = "Git LFS"


def check(case: Case) -> Iterator[Match]:
    """Yield the file that nobody but a shell would take, and what becomes of it."""
    file = case.file
    for step in case.steps("exec-format"):
        if file is not None and step.need.by == case.path:
            callers = caller_steps(case, case.path)
            yield Match(finding=_finding(case, file, step, callers), covers=(step, *callers))


def _finding(case: Case, file: FileFacts, step: Step, callers: list[Step]) -> Finding:
    what = what_it_is(file)
    reads = any(one.answer is Answer.MET for one in callers)
    return finding(
        case,
        (CODE, NAME, severity_of((step, *callers))),
        f"`{case.subject}` is {what}: the kernel executes no such file, and no handler of {case.target} takes it",
        cause=f"it is {what}",
        steps=(step,),
        lines=caller_rows(case, callers),
        notes=(
            *passed_over(case, case.path),
            LEFT_TO_CALLER if reads else NO_SHELL,
            f"it is damaged: {file.problem}" if file.problem else "",
            "a byte order mark (EF BB BF) is its beginning" if file.bom else "",
            assumption_note((step, *callers)),
        ),
        remedies=tuple(_remedies(case, file)),
    )


def _remedies(case: Case, file: FileFacts) -> Iterator[Remedy]:
    if _LFS in file.detail:
        yield help_("fetch what the pointer stands for: `git lfs pull`")
    elif file.type in _HELP:
        yield help_(_HELP[file.type].replace("{who}", case.subject))
