"""RW304: a version record names a library that is not among the needed ones."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_, quoted, unique

CODE = "RW304"
NAME = "stray-version"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("symbol-version:unmet",)
ORDER = 30


def check(case: Case) -> Iterator[Match]:
    """Yield each library that versions are asked of and that nothing loads."""
    found: dict[tuple[str, str], list[Step]] = {}
    for step in case.steps("symbol-version"):
        if step.detail == "not among the needed libraries":
            found.setdefault((step.need.by, step.need.file or ""), []).append(step)
    for (by, file), steps in found.items():
        asked = {(step.need.file, step.need.version) for step in steps}
        symbols = [s for s in case.steps("symbol") if s.need.by == by and (s.need.file, s.need.version) in asked]
        versions = quoted(unique(step.need.version or "" for step in steps))
        message = f"`{case.show(by)}` asks for {versions} of `{file}`, which nothing that {case.target} loads needs"
        notes = (
            "the loader ends with an assertion of dl-version.c (`needed != NULL`)",
            "tools that take a library out of DT_NEEDED leave its version records behind",
        )
        remedies = (help_(f"put it back: `patchelf --add-needed {file} {case.show(by)}`"),)
        yield Match(
            finding=finding(
                case,
                (CODE, NAME, SEVERITY),
                message,
                cause=f"versions are asked of `{file}`, which is not needed",
                steps=steps,
                notes=notes,
                remedies=remedies,
            ),
            covers=(*steps, *symbols),
        )
