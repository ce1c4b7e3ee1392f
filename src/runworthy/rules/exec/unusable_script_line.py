"""RW118: a script's `#!` line names nothing, or is longer than what the kernel reads."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.executing import caller_rows, caller_steps, ends_in, errno_of, reason_of, seen, severity_of
from runworthy.rules.words import finding, help_

CODE = "RW118"
NAME = "unusable-script-line"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("exec-format:unmet", "script-interpreter:unmet")
ORDER = 45

_READ = 256
_BLANKS = b" \t"
_NONE = "begin it with the interpreter that it is for, as `#!/bin/sh`"
_LONG = "name the interpreter by a shorter path: a link to it, or `#!/usr/bin/env NAME` where PATH leads to it"


def check(case: Case) -> Iterator[Match]:
    """Yield the script of which the kernel cannot tell the interpreter."""
    for step in case.steps("exec-format"):
        if step.need.name == "script":
            yield _match(case, step)
    for step in case.steps("script-interpreter"):
        if not step.need.name:
            yield _match(case, step)


def _match(case: Case, step: Step) -> Match:
    callers = caller_steps(case, step.need.by)
    return Match(finding=_finding(case, step, callers), covers=(step, *callers, *ends_in(case, step)))


def _finding(case: Case, step: Step, callers: list[Step]) -> Finding:
    who = case.needer(step.need)
    reason = _reason(case, step)
    says = seen(step, who) if errno_of(step) != "ENOEXEC" else "the kernel answers ENOEXEC"
    return finding(
        case,
        (CODE, NAME, severity_of((step, *callers))),
        f"`{who}` begins with a `#!` line that {reason}",
        cause="a `#!` line that names no interpreter",
        steps=(step,),
        lines=caller_rows(case, callers),
        notes=(says,),
        remedies=(help_(_LONG if "within the first" in reason else _NONE),),
    )


def _reason(case: Case, step: Step) -> str:
    """Return what is wrong with the line, by the first bytes of the subject; another script's is told by the step."""
    if step.need.by != case.path or case.file is None:
        return f"the kernel refuses: {reason_of(step)}"
    line, newline, _ = case.file.head[2:].partition(b"\n")
    if not line.strip(_BLANKS + b"\0"):
        return "names no interpreter"
    if not newline:
        return f"names an interpreter whose path does not end within the first {_READ} bytes, which the kernel reads"
    return f"the kernel refuses: {reason_of(step)}"
