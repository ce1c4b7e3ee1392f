"""RW117: a byte order mark stands before the `#!` of a script, so that the kernel does not see it."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Answer
from runworthy.rules import Case, Match
from runworthy.rules.executing import NO_SHELL, caller_rows, caller_steps, severity_of
from runworthy.rules.words import finding

CODE = "RW117"
NAME = "byte-order-mark"
SINCE = "0.2.0"
SEVERITY: Severity = "error"
READS = ("exec-format:unmet",)
ORDER = 40

_SHELL = "the kernel answers ENOEXEC; a shell that reads the file says `#!...: not found` of the line"
_BOM = 3  # bytes: EF BB BF


def check(case: Case) -> Iterator[Match]:
    """Yield the script whose first bytes are not `#!`."""
    file = case.file
    if file is None or not file.bom or not file.head.startswith(b"#!", _BOM):
        return
    for step in case.steps("exec-format"):
        if step.need.by != case.path:
            continue
        callers = caller_steps(case, case.path)
        line = file.head[_BOM:].partition(b"\n")[0].decode("utf-8", "backslashreplace").strip()
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, severity_of((step, *callers))),
                f"`{case.subject}` begins with a byte order mark (EF BB BF), and the kernel does not see its `{line}`",
                cause="a byte order mark before the `#!` line",
                steps=(step,),
                lines=caller_rows(case, callers),
                notes=(_SHELL if any(one.answer is Answer.MET for one in callers) else NO_SHELL,),
            ),
            covers=(step, *callers),
        )
