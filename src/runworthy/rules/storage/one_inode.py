"""RW822: modules that are hard links of one file, which a loader opens once."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.storage import Clash
from runworthy.rules import Case, Match
from runworthy.rules.words import count, finding, help_

CODE = "RW822"
NAME = "one-inode"
SINCE = "0.3.0"
SEVERITY: Severity = "warning"
READS = ("one-inode",)
ORDER = 50


def check(case: Case) -> Iterator[Match]:
    """Yield each file that is several modules."""
    for clash in case.stored("one-inode"):
        if isinstance(clash, Clash):
            yield Match(finding=_finding(case, clash))


def _finding(case: Case, clash: Clash) -> Finding:
    paths = [build.path.removeprefix(f"{clash.environment}/") for build in clash.builds]
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        f"{clash.process} has one library for {count(len(paths), 'path')}: they are hard links of one file",
        cause="modules are hard links of one file",
        steps=(),
        stage="environment",
        lines=paths,
        notes=tuple(_notes(clash)),
        remedies=(help_(f"make `{paths[1]}` a file of its own again: copy it, and move the copy over it"),),
    )


def _notes(clash: Clash) -> Iterator[str]:
    yield "they share their static variables, and constructors run once, where each copy would have its own"
    if clash.builds[0].path.endswith(".node"):
        yield "an addon that registers itself by a constructor fails at its second path: `Module did not self-register`"
