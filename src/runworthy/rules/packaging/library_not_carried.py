"""RW516: a wheel relies on a library that it does not carry, and that its tag does not let it leave to the system."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Answer, Step
from runworthy.rules import Case, Match
from runworthy.rules.wheels import by_tag, table, tag_steps, words
from runworthy.rules.words import finding, help_, quoted, unique

CODE = "RW516"
NAME = "library-not-carried"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("tag:unmet", "tag:unknown")
ORDER = 40


def check(case: Case) -> Iterator[Match]:
    """Yield each tag with the libraries, those that another distribution may bring apart."""
    for answer in (Answer.UNMET, Answer.UNKNOWN):
        for tag, steps in by_tag(tag_steps(case, "library", answers=(answer,))).items():
            yield Match(finding=_finding(case, tag, steps, known=answer is Answer.UNMET), covers=tuple(steps))


def _finding(case: Case, tag: str, steps: list[Step], *, known: bool) -> Finding:
    libraries = unique(step.need.file or "" for step in steps)
    python = [name for name in libraries if name.startswith("libpython")]
    message = (
        f"`{case.subject}` relies on {quoted(libraries)}, which it does not carry and {tag} does not promise"
        if known
        else f"`{case.subject}` relies on {quoted(libraries)}, which a distribution that it requires may bring"
    )
    helps = (
        [help_("`auditwheel repair` copies libraries into the wheel")] if known and len(python) < len(libraries) else []
    )
    if python:
        helps.append(help_("do not link extension modules with libpython: the interpreter has its symbols (PEP 513)"))
    return finding(
        case,
        (CODE, NAME, SEVERITY if known else "warning"),
        message,
        cause="a library is neither carried nor promised",
        items=libraries,
        steps=steps,
        lines=table((case.needer(step.need), step.need.file or "", words(step)) for step in steps),
        remedies=helps,
    )
