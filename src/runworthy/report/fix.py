"""Plans as text: what does not run and why, then each proposal with what it costs, what it does and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.finding import Remedy, Result
from runworthy.model.plan import FixReport, Plan, Repair
from runworthy.report.changes import change_lines
from runworthy.report.words import PLAIN, Style, bytes_of, clean, count, listed

__all__ = ["fix_text"]

_CAUSES_SHOWN, _SUBJECTS_SHOWN, _LEFT_SHOWN, _OTHERS_SHOWN = 6, 4, 4, 8


def fix_text(report: FixReport, style: Style = PLAIN, *, level: int = 0) -> str:
    """Return the whole report. ``level`` is -1 for the titles alone, 0 usual, 1 with every change of every proposal."""
    blocks = [list(_cells(report, style))]
    for plan in report.plans:
        blocks += _plan(plan, report, style, level)
    blocks += [list(_repair(repair, style)) for repair in report.repairs]
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


# -- what does not run --------------------------------------------------------------------------------------------


def _cells(report: FixReport, style: Style) -> Iterator[str]:
    planned = {(name, plan.target) for plan in report.plans for name in plan.subjects}
    for result in report.report.results:
        if (result.subject, result.target) not in planned and (result.verdict != "runs" or not report.plans):
            yield _verdict(result, style)
            yield from (f"  {clean(finding.message)}" for finding in result.findings if result.verdict == "unknown")


def _verdict(result: Result, style: Style) -> str:
    at = f" at {result.stage}" if result.verdict == "fails" and result.stage else ""
    words = style.verdict(result.verdict, f"{style.mark(result.verdict)} {result.verdict}{at}")
    return f"{clean(result.subject)} on {clean(result.target)}: {words}"


def _plan(plan: Plan, report: FixReport, style: Style, level: int) -> Iterator[list[str]]:
    """Yield the blocks of a plan: the causes, then each proposal."""
    wanted = [one for one in report.report.results if one.target == plan.target and one.subject in plan.subjects]
    yield list(_causes(wanted, style, everything=level > 0))
    if not plan.remedies:
        yield ["nothing is known here that helps"]
        return
    shown = plan.remedies if level > 0 else plan.remedies[:_OTHERS_SHOWN]
    for number, remedy in enumerate(shown, 1):
        yield list(_proposal(number, remedy, style, level, live=plan.target == "host"))
    if len(shown) < len(plan.remedies):
        yield [f"{count(len(plan.remedies) - len(shown), 'more proposal')} with -v"]


def _causes(results: Sequence[Result], style: Style, *, everything: bool) -> Iterator[str]:
    shown = results if everything else results[:_SUBJECTS_SHOWN]
    for result in shown:
        yield _verdict(result, style)
    if len(shown) < len(results):
        yield f"and {count(len(results) - len(shown), 'more subject')}"
    causes = dict.fromkeys((one.severity, one.code, one.message) for result in results for one in result.findings)
    told = list(causes) if everything else list(causes)[:_CAUSES_SHOWN]
    for severity, code, message in told:
        yield f"  {style.severity(severity, f'{severity}[{code}]')}: {clean(message)}"
    if len(told) < len(causes):
        yield f"  and {count(len(causes) - len(told), 'more cause')}"


# -- what helps ---------------------------------------------------------------------------------------------------


def _proposal(number: int, remedy: Remedy, style: Style, level: int, *, live: bool) -> Iterator[str]:
    proof = "proved" if remedy.proved else "unproved"
    head = f"{number}. {style.paint(clean(remedy.title), 'bold')}"
    yield f"{head}  ({remedy.applicability}, {style.paint(proof, 'green' if remedy.proved else 'yellow')})"
    if level < 0:
        return
    facts = [*_cost(remedy), *_reservations(remedy)]
    yield from (f"   {fact}" for fact in facts)
    if level > 0 or number == 1:
        yield from (f"   {line}" for line in change_lines(remedy, style, everything=level > 0, live=live))


def _cost(remedy: Remedy) -> Iterator[str]:
    cost = remedy.cost
    words = []
    if cost.packages:
        words.append(count(cost.packages, "package"))
    if cost.size is None:
        words.append("how much it brings is not known")
    elif cost.size:
        words.append(bytes_of(cost.size) if cost.size > 0 else f"{bytes_of(-cost.size)} less")
    if cost.rebuild:
        words.append("a new build")
    if words:
        yield f"costs: {', '.join(words)}"


def _reservations(remedy: Remedy) -> Iterator[str]:
    if remedy.unsafe:
        yield f"unsafe: {clean(remedy.unsafe)}"
    if remedy.leaves:
        yield f"leaves: {clean(listed(remedy.leaves, _LEFT_SHOWN))}"
    if not remedy.proved and remedy.proof:
        yield f"unproved: {clean(remedy.proof)}"


# -- what was done ------------------------------------------------------------------------------------------------


def _repair(repair: Repair, style: Style) -> Iterator[str]:
    entry = f"; `runworthy undo {repair.entry}` takes it back" if repair.kept and repair.entry else ""
    if repair.kept:
        outcome = "it runs now" if repair.runs else "nothing here can tell whether it runs now"
        yield f"{style.paint('done', 'bold', 'green')}: {clean(repair.remedy.title)}: {outcome}{entry}"
    else:
        yield f"{style.paint('not done', 'bold', 'red')}: {clean(repair.remedy.title)}: {clean(repair.why)}"
    yield from (f"  {clean(line)}" for line in repair.told)
