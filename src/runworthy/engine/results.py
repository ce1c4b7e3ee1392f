"""One cell of a report: what a trace comes to, and what rules make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from runworthy.engine.context import Index, Objects
from runworthy.engine.verdict import all_met, verdict_of, weights_of
from runworthy.model.binfmt import Handlers
from runworthy.model.elf import ElfFacts
from runworthy.model.finding import Finding, Result, Verdict
from runworthy.model.libc import Libc
from runworthy.model.program import FileFacts
from runworthy.model.records import dataclass, replace
from runworthy.model.trace import Step, Trace
from runworthy.targets.target import Target

if TYPE_CHECKING:  # most reports tell nothing of storage
    from runworthy.model.storage import Clash, Idle, Partial, Waste

__all__ = ["Cell", "result_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One subject on one target, judged. ``root`` is None where no target was opened.

    ``facts`` are there of an ELF file, ``file`` of any other, neither of what could not be read. ``shown`` names a path
    of the root as people know it, where it has another name than its own; ``wanted`` is the target as it was asked for.
    ``storage`` is what was found of files that are stored again.
    """

    subject: str
    target: str
    path: str
    trace: Trace
    facts: ElfFacts | None = None
    file: FileFacts | None = None
    libc: Libc | None = None
    root: Target | None = None
    shown: Callable[[str], str | None] | None = None
    wanted: str = ""
    storage: tuple[Waste | Clash | Idle | Partial, ...] = ()


def result_of(cell: Cell) -> Result:
    """Return the cell's result: verdict by the trace, findings by the rules."""
    verdict, stage = verdict_of(cell.trace)
    findings, unexplained, rest = _explain(cell)
    root, facts = cell.root, cell.facts
    return Result(
        subject=cell.subject,
        target=cell.target,
        machine=root.arch.name if root else "",
        libc=str(cell.libc) if cell.libc else "",
        completeness=root.completeness if root else "closed",
        verdict=verdict,
        stage=stage,
        findings=findings,
        trace=cell.trace,
        assumptions=_assumptions(root) if root else (),
        path=cell.path,
        is_library=facts is not None and not facts.is_program,
        hardware=root.machine if root else None,
        arch_stated=root is None or root.arch_stated,
        as_of=root.as_of if root else "",
        notes=root.notes if root else (),
        unexplained=unexplained,
        wanted=cell.wanted,
        rest=rest,
    )


def _explain(cell: Cell) -> tuple[tuple[Finding, ...], tuple[Step, ...], Verdict]:
    """Return what the rules find, what they leave unexplained, and the verdict of what no finding explains.

    Where all is met no rule is even imported.
    """
    if all_met(cell.trace):
        return (), (), "runs"
    from runworthy.rules import Case, kinds_to_explain, matches
    from runworthy.rules._index import load_rules

    root = cell.root
    case = Case(
        subject=cell.subject,
        target=cell.target,
        path=cell.path,
        facts=cell.facts,
        libc=cell.libc,
        machine=root.arch.name if root else "",
        completeness=root.completeness if root else "closed",
        trace=cell.trace,
        storage=cell.storage,
        hardware=root.machine if root else None,
        catalogue=Index(),
        objects=Objects(root.view if root else None),
        file=cell.file,
        handlers=root.handlers if root else Handlers(),
        shown=cell.shown,
    )
    kinds = kinds_to_explain(cell.trace)
    found, left = matches(case, load_rules(kinds), kinds)
    weights, rest = weights_of(cell.trace, [match.covers for match in found])
    findings = (replace(match.finding, weight=weight) for match, weight in zip(found, weights, strict=True))
    return tuple(findings), left, rest


def _assumptions(target: Target) -> tuple[str, ...]:
    """Return what the user has stated to be there, and that a root's own libraries fit each other."""
    stated = [f"{name} is stated to be present" for name in sorted(target.present)]
    if target.assume_all:
        stated.append("every library outside the known core is stated to be present")
    return tuple(stated)
