"""RW534: for want of a build for musl, one for glibc is taken."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Event
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, quoted

CODE = "RW534"
NAME = "glibc-build-on-musl"
SINCE = "0.2.0"
SEVERITY: Severity = "warning"
READS = ("glibc-build", "perhaps-glibc-build")
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield the builds that were taken though they are not for this C library, those that are known to be so first."""
    for kind in READS:
        if events := case.events(kind):
            yield Match(finding=_finding(case, events, certain=kind == "glibc-build"))


def _finding(case: Case, events: list[Event], *, certain: bool) -> Finding:
    taken = [event.text.rpartition(": ")[::2] for event in events]
    tags = quoted(tag for _, tag in taken)
    files = quoted(case.show(path) for path, _ in taken)
    what = "is linked with glibc" if certain else "does not say for which C library it is"
    several = "are taken, which" if len(events) > 1 else "is taken, which"
    severity: Severity = SEVERITY if certain else "note"
    return finding(
        case,
        (CODE, NAME, severity),
        f"on {case.target} {files} {several} {what}",
        cause=f"{tags} is taken on musl and {what}",
        items=(tag for _, tag in taken),
        steps=(),
        stage="environment",
        notes=("there is no build for musl among those that are chosen from",),
    )
