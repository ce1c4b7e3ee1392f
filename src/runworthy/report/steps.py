"""The trace as text: stretches, and in each the steps in the order in which they happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from runworthy.model.finding import Result
from runworthy.model.trace import Answer, Event, Need, Step, Stretch
from runworthy.report.words import Style, clean, count, listed

__all__ = ["step_lines", "trace_lines"]

_KINDS = {
    "permission": "permission",
    "exec-format": "executable format",
    "interpreter": "interpreter",
    "loader": "loader",
    "library": "library",
    "dlopen": "library opened at run time",
    "symbol-version": "version",
    "symbol": "symbol",
    "relocation": "relocation",
    "isa": "instruction set",
    "page-size": "page size",
    "segments": "segments",
    "static-tls": "static TLS",
    "kernel": "kernel",
    "system": "operating system",
    "exec-stack": "executable stack",
    "run-time-file": "file used at run time",
}
_WHY = {
    "outside-core": "outside what is known of this target",
    "machine-unstated": "the machine is not stated",
    "unreadable": "cannot be read",
    "not-modelled": "not modelled",
}
_VERDICT_OF = {"met": "runs", "ignored": "runs", "host": "runs", "unknown": "unknown", "unmet": "fails"}

_FOUND = "found"

Show = Callable[[str], str]


def trace_lines(result: Result, style: Style, *, everything: bool = False) -> Iterator[str]:
    """Yield what happens to the subject, step by step. Without ``everything`` met symbols are only counted."""
    show = _names(result)
    for stretch in result.trace.stretches:
        loader = clean(stretch.loader)
        by = f"started by the {loader}" if loader == "kernel" else f"loaded by {loader}"
        libc = f" ({clean(stretch.libc)})" if stretch.libc else ""
        on = f" on {clean(stretch.root)}" if stretch.root else ""
        head = style.paint(f"trace: {show(stretch.object)}{on}", "bold")
        yield f"{head}, {stretch.machine or 'machine not told'}, {by}{libc}" if loader else head
        for stage, steps in groupby(stretch.steps, key=lambda step: step.stage):
            yield f"  {style.paint(stage, 'bold')}"
            for line in _stage_lines(list(steps), show, style, everything=everything):
                yield f"    {line}"
        yield from _load_order(stretch, show, style)
    for assumption in assumptions(result):
        yield f"  {style.paint('=', 'blue')} assumed: {assumption}"


def assumptions(result: Result) -> list[str]:
    """Return what the answers of a result rest on without having been looked at."""
    held = [clean(text) for text in result.assumptions]
    if result.target != "host":
        held.append("a target's own libraries are consistent with each other")
    return held


def step_lines(result: Result, steps: Sequence[Step], style: Style) -> Iterator[str]:
    """Yield steps that no rule has put into words."""
    yield from _stage_lines(steps, _names(result), style, everything=False)


def _names(result: Result) -> Show:
    def show(path: str) -> str:
        return clean(result.subject if path == result.path else path)

    return show


def _stage_lines(steps: Sequence[Step | Event], show: Show, style: Style, *, everything: bool) -> Iterator[str]:
    for bulk, group in groupby(steps, key=lambda step: "" if everything else _bulk(step)):
        held = list(group)
        if bulk:
            told = _counted if bulk == "symbol" else _versions
            yield from told([step for step in held if isinstance(step, Step)], show, style)
            continue
        for step in held:
            yield from _step(step, show, style) if isinstance(step, Step) else _event(step, show, style)


def _bulk(step: Step | Event) -> str:
    """Return the kind of a step that is one of many alike: a symbol that is bound or left, a version that is there."""
    if not isinstance(step, Step):
        return ""
    alike = (Answer.MET, Answer.HOST) if step.need.kind == "symbol" else (Answer.MET,)
    return step.need.kind if step.need.kind in ("symbol", "symbol-version") and step.answer in alike else ""


def _versions(steps: Sequence[Step], show: Show, style: Style) -> Iterator[str]:
    held: dict[tuple[str, str, str | None], list[str]] = {}
    for step in steps:
        held.setdefault((step.need.by, step.need.name, step.met_by), []).append(clean(step.need.version or ""))
    for (by, name, met_by), versions in held.items():
        word = "version" if len(versions) == 1 else "versions"
        met = f": {show(met_by)}" if met_by else ""
        mark = style.verdict("runs", style.mark("runs"))
        yield f"{mark} {word} {listed(versions)} of {clean(name)}, needed by {show(by)}{met}"


def _counted(steps: Sequence[Step], show: Show, style: Style) -> Iterator[str]:
    numbers = Counter((step.need.by, step.met_by) for step in steps)
    for (by, met_by), number in numbers.items():
        where = "left to the program that loads this library" if met_by is None else f"defined by {show(met_by)}"
        yield f"{style.verdict('runs', style.mark('runs'))} {count(number, 'symbol')} of {show(by)}: {where}"


def _step(step: Step, show: Show, style: Style) -> Iterator[str]:
    verdict = _VERDICT_OF[step.answer.value]
    if verdict == "fails" and (not step.fatal or step.assumption or step.need.weak):
        verdict = "risky"
    mark = style.verdict(verdict, style.mark(verdict))
    yield f"{mark} {_what(step.need, show)}: {_answer(step, show)}"
    met = step.answer is Answer.MET
    probes = [probe for probe in step.searched if not (met and probe.outcome == _FOUND)]
    if probes:
        yield f"    paths considered {'before it, ' if met else ''}in this order:"
        for number, probe in enumerate(probes, start=1):
            origin = f"  [{_origin(probe.origin, show)}]" if probe.origin else ""
            yield f"    {number:2}. {show(probe.path)}  {clean(probe.outcome)}{origin}"


def _origin(rule: str, show: Show) -> str:
    """Return the rule that led to a path, with the subject by the name that people know: ``RPATH of app``."""
    kind, of, path = rule.partition(" of ")
    return f"{clean(kind)}{of}{show(path)}"


def _what(need: Need, show: Show) -> str:
    """Return a need in words."""
    name = clean(need.name)
    if need.kind == "symbol-version" and need.version:
        name = f"{clean(need.version)} of {name}"
    elif need.version:
        name = f"{name}, version {clean(need.version)}"
    manner = "".join([", weak" if need.weak else "", ", lazy" if need.lazy else ""])
    return f"{_KINDS.get(need.kind, need.kind)} {name}{manner}, needed by {show(need.by)}"


def _answer(step: Step, show: Show) -> str:
    found = {
        Answer.MET: "met",
        Answer.UNMET: "not found" if step.need.kind in ("library", "interpreter", "loader") else "not met",
        Answer.HOST: "left to the program that loads this library",
        Answer.IGNORED: "this loader does not look",
        Answer.UNKNOWN: "unknown",
    }[step.answer]
    if step.answer is Answer.MET and step.met_by:
        found = show(step.met_by)
    if step.why:
        found += f" ({_WHY[step.why]})"
    if step.detail:
        found += f"  [{clean(step.detail)}]" if step.answer is Answer.MET else f": {clean(step.detail)}"
    if step.assumption:
        found += f", assumed: {clean(step.assumption)}"
    if step.because:
        found += f", because of {clean(step.because.partition(':')[2])}"
    return found


def _event(event: Event, show: Show, style: Style) -> Iterator[str]:
    by = f" ({show(event.by)})" if event.by else ""
    yield f"{style.paint('-', 'cyan')} {clean(event.text)}{by}"


def _load_order(stretch: Stretch, show: Show, style: Style) -> Iterator[str]:
    if stretch.loaded:
        yield f"  {style.paint('loaded, in order', 'bold')}"
        for _, path in stretch.loaded:
            yield f"    {show(path)}"
