"""RW303: a library is asked for symbol versions and defines none."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, quoted, unique

CODE = "RW303"
NAME = "version-information"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("symbol-version:unmet", "no-version-information")
ORDER = 30

_NO_VERSIONS = "defines no versions at all"


def check(case: Case) -> Iterator[Match]:
    """Yield the assertion that ends the process through 2.40, and else the loader's warning."""
    found: dict[str, list[Step]] = {}
    for step in case.steps("symbol-version"):
        for probe in step.searched:
            if probe.outcome == _NO_VERSIONS:
                found.setdefault(probe.path, []).append(step)
    for path, steps in found.items():
        yield Match(finding=_assertion(case, path, steps), covers=tuple(steps))
    for event in case.events("no-version-information"):
        path = event.text.partition(": no version information")[0]
        if path not in found:
            message = (
                f"`{case.show(event.by)}` asks for symbol versions, `{case.show(path)}` of {case.target} defines none"
            )
            notes = ("the loader warns `no version information available` and takes the symbols",)
            found[path] = []
            yield Match(
                finding=finding(
                    case,
                    (CODE, NAME, "note"),
                    message,
                    cause=f"`{path.rpartition('/')[2]}` defines no versions",
                    steps=(),
                    stage="version",
                    notes=notes,
                )
            )


def _assertion(case: Case, path: str, steps: list[Step]) -> Finding:
    versions = quoted(unique(step.need.version or "" for step in steps))
    who = case.needer(steps[0].need)
    message = f"`{who}` asks for {versions} of `{case.show(path)}`, which defines no versions"
    notes = (
        f"{case.libc} of {case.target} ends with `Inconsistency detected by ld.so: dl-lookup.c: check_match`",
        "glibc takes such symbols since 2.41",
    )
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause=f"`{path.rpartition('/')[2]}` defines no versions",
        steps=steps,
        notes=notes,
    )
