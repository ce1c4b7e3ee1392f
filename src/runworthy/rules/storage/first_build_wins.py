"""RW821: of two builds of a library with one name, the first that a process loads is taken by all."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.storage import Clash
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_, listed, quoted, rows, unique

CODE = "RW821"
NAME = "first-build-wins"
SINCE = "0.3.0"
SEVERITY: Severity = "warning"
READS = ("first-build-wins", "symbol-version:unmet")
ORDER = 40


def check(case: Case) -> Iterator[Match]:
    """Yield each pair of builds of which a process takes the first."""
    for clash in case.stored("first-build-wins"):
        if isinstance(clash, Clash):
            steps = [step for step in case.steps("symbol-version") if _is_of(step, clash)]
            yield Match(finding=_finding(case, clash, steps), covers=tuple(steps))


def _is_of(step: Step, clash: Clash) -> bool:
    return (
        step.need.name == clash.library
        and step.met_by == clash.builds[0].path
        and (step.need.by, step.need.version) in clash.breaks
    )


def _finding(case: Case, clash: Clash, steps: list[Step]) -> Finding:
    first, other = clash.builds[:2]
    taken, left = _below(clash, first.path), _below(clash, other.path)
    severity: Severity = SEVERITY if clash.breaks else "note"
    return finding(
        case,
        (CODE, NAME, severity),
        f"{clash.process} has one build of {clash.library}, the first that it loads:"
        f" `{taken}` or `{left}`{_lacks(clash)}",
        cause=f"the order of imports decides which build of {clash.library} a process has",
        items=(version for _, version in clash.breaks),
        steps=tuple(steps),
        stage="environment",
        lines=rows((_below(clash, path), version, f"not in {taken}") for path, version in clash.breaks),
        notes=tuple(_notes(clash, taken, left)),
        remedies=tuple(
            help_(text)
            for text in (
                f"import what needs `{left}` first" if clash.breaks else "",
                "take the packages in releases that bring the same build",
            )
            if text
        ),
    )


def _below(clash: Clash, path: str) -> str:
    return path.removeprefix(f"{clash.environment}/")


def _lacks(clash: Clash) -> str:
    if not clash.breaks:
        return ""
    versions = listed(unique(version for _, version in clash.breaks), 3)
    return f"; the first lacks {versions}"


def _notes(clash: Clash, taken: str, left: str) -> Iterator[str]:
    soname = clash.builds[1].soname or clash.library
    yield f"both are called {soname}, and a loader that has mapped one takes it for that name"
    if clash.breaks:
        needers = quoted(_below(clash, path) for path, _ in clash.breaks)
        yield f"where `{taken}` comes first, {needers} fails to load: `version not found`"
    else:
        yield f"nothing that needs `{left}` requires a symbol version that `{taken}` lacks"
