"""The report as text: a table when there is more than one cell, then what was found, then what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.finding import Finding, Report, Result
from runworthy.model.machine import format_kernel
from runworthy.model.records import replace
from runworthy.report.causes import causes, ranked
from runworthy.report.finding import finding_lines
from runworthy.report.steps import step_lines, trace_lines
from runworthy.report.words import MANY, PLAIN, Style, but, clean, count, listed, size, table, visible

__all__ = ["finding_lines", "report_text"]

_MATRIX_TARGETS = 6
_TURNED_SUBJECTS = 3
_WIDTH = 100
_CODES_SHOWN = 3
_OTHERS_SHOWN = 8
_TRACES_OF_TREES = 3


def report_text(
    report: Report, style: Style = PLAIN, *, level: int = 0, trace: bool = False, waived: bool = False
) -> str:
    """Return the whole report.

    ``level`` is -1 for the verdicts alone, 0 usual, 1 everything that is known; ``trace`` adds the steps. ``waived``
    tells the findings that are waived too, as everything does.
    """
    everything = level > 0
    waived = waived or everything
    results = [result for result in report.results if result.target]
    others = [result for result in report.results if not result.target]
    if level < 0:
        lines = [_cell_line(result, style) for result in report.results]
        return "".join(f"{line}\n" for line in lines)
    told = _in_focus(report, everything=everything)
    traces = [list(trace_lines(result, style, everything=everything)) for result in told] if trace else []
    if report.trees:
        from runworthy.report.summary import summary

        on_targets = replace(report, results=tuple(results))
        numbers, *found = summary(on_targets, others, style, everything=everything, waived=waived)
        own = _findings(others, style, everything=everything, waived=waived)
        blocks = [*traces, numbers, *own, *found]
    else:
        blocks = [_table(results, style)] if len(results) > 1 else []
        blocks += [*traces, *_findings((*results, *others), style, everything=everything, waived=waived)]
    blocks += [_unexplained(result, style) for result in (*others, *told)]
    blocks.append(_conclusion(report, style, everything=everything, waived=waived))
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


def _in_focus(report: Report, *, everything: bool) -> Sequence[Result]:
    """Return the cells that are told step by step: of directories the first that do not run, the others on demand."""
    on_targets = [result for result in report.results if result.target]
    if not report.trees:
        return on_targets
    found = [result for result in on_targets if result.verdict != "runs"]
    return found if everything else found[:_TRACES_OF_TREES]


# -- the table -------------------------------------------------------------------------------


def _table(results: Sequence[Result], style: Style) -> list[str]:
    """Return subjects x targets: as a matrix, turned where that is too wide, as a list where that is too wide too."""
    rows: dict[str, list[Result]] = {}
    for result in results:
        rows.setdefault(result.subject, []).append(result)
    columns = list(zip(*rows.values(), strict=False))
    if len(rows) == 1:
        return _one_subject(results, style)
    if not _is_full(list(rows.values())):
        return [line for row in rows.values() for line in _one_subject(row, style)]
    if len(columns) <= _MATRIX_TARGETS:
        head = ["", *(_target(column) for column in columns)]
        matrix = table([head, *([clean(name), *(_cell(cell, style) for cell in row)] for name, row in rows.items())])
        if _fits(matrix, style):
            return matrix
    if len(rows) <= _TURNED_SUBJECTS:
        head = ["", *(clean(name) for name in rows)]
        turned = table([head, *([_target(column), *(_cell(cell, style) for cell in column)] for column in columns)])
        if _fits(turned, style):
            return turned
    return [line for row in rows.values() for line in _one_subject(row, style)]


def _is_full(rows: Sequence[Sequence[Result]]) -> bool:
    """Whether every subject was judged on the same targets: a project's file can name others for each."""
    if len({len(row) for row in rows}) > 1:
        return False
    columns = zip(*rows, strict=True)
    return all(len({result.target for result in column if result.hardware}) <= 1 for column in columns)


def _one_subject(row: Sequence[Result], style: Style) -> list[str]:
    """Return a subject's line and one for each target."""
    cells = ([clean(result.target), _cell(result, style), clean(result.libc)] for result in row)
    return [style.paint(clean(row[0].subject), "bold"), *(f"  {line}" for line in table(cells))]


def _cell(result: Result, style: Style) -> str:
    at = f" at {result.stage}" if result.verdict == "fails" and result.stage else ""
    waived = ", waived" if result.counted != result.verdict else ""
    return style.verdict(result.verdict, f"{style.mark(result.verdict)} {result.verdict}{at}{waived}")


def _target(column: Sequence[Result]) -> str:
    """Return a target's name: its own where any subject could be judged on it, else as it was written."""
    return clean(next((result.target for result in column if result.hardware), column[0].target))


def _fits(lines: Sequence[str], style: Style) -> bool:
    return max(map(visible, lines)) <= (style.width or _WIDTH)


# -- the findings ----------------------------------------------------------------------------


def _findings(results: Sequence[Result], style: Style, *, everything: bool, waived: bool) -> Iterator[list[str]]:
    """Yield each cause once, told for the first cell that has it."""
    for cause in causes(results, one_by_one=True, waived=waived):
        every = [remedy for finding, _ in cause.held for remedy in finding.remedies]
        remedies = {remedy.title: remedy for remedy in reversed(every)}  # of one title, that of the first cell
        kept = tuple(remedy for remedy in every if remedies[remedy.title] is remedy)
        finding = replace(cause.held[0][0], remedies=tuple(dict.fromkeys(kept)))
        also = list(_others([result for _, result in cause.held], 0 if everything else _OTHERS_SHOWN))
        yield finding_lines(finding, style, also=also, everything=everything)


def _others(results: Sequence[Result], limit: int) -> Iterator[str]:
    """Yield where else a finding holds: other targets, other subjects, or the cells where that is not all of them."""
    first = results[0]
    subjects = list(dict.fromkeys(result.subject for result in results))
    targets = {result.target: result.libc for result in results}
    if len({(result.subject, result.target) for result in results}) < len(subjects) * len(targets):
        cells = dict.fromkeys(f"{result.subject} on {result.target}" for result in results)
        yield f"the same: {listed(list(cells)[1:], limit)}"
        return
    if len(targets) > 1:
        named = [name if libc == first.libc else f"{name} ({libc})" for name, libc in targets.items()]
        yield f"the same on: {listed(named[1:], limit)}"
    if len(subjects) > 1:
        yield f"the same for: {listed(subjects[1:], limit)}"


def _unexplained(result: Result, style: Style) -> list[str]:
    """Return steps for which there is no rule yet, so that nothing found is left untold."""
    if not result.unexplained:
        return []
    lines = step_lines(result, result.unexplained, style)
    on = f" on {clean(result.target)}" if result.target else ""
    return [f"{clean(result.subject)}{on}:", *(f"  {line}" for line in lines)]


# -- the end ---------------------------------------------------------------------------------


def _conclusion(report: Report, style: Style, *, everything: bool, waived: bool) -> list[str]:
    """Return the verdict of a single cell, or the numbers of many, and what to run next."""
    results = [result for result in report.results if result.target]
    if not results:
        lines = [_sentence(result, style) for result in report.results]
    elif len(results) == 1:
        lines = [_sentence(results[0], style), *_against(results[0], everything=everything)]
    else:
        lines = [_numbers(results, report.results)]
    lines += _architectures(results)
    if report.waived:
        lines.append(f"{count(report.waived, 'finding')} waived" + ("" if waived else "; --show-waived tells them"))
    found = causes(report.results)
    codes = list(dict.fromkeys(cause.code for cause in (ranked(found) if report.trees else found)))
    if codes:
        lines.append(f"explain with `runworthy explain {' '.join(codes[:_CODES_SHOWN])}`")
    return lines


def _cell_line(result: Result, style: Style) -> str:
    where = f" on {clean(result.target)}" if result.target else ""
    return f"{clean(result.subject)}{where}: {_cell(result, style)}"


def _sentence(result: Result, style: Style) -> str:
    """Return the verdict of one cell in words, with the number of findings."""
    subject, target = clean(result.subject), clean(result.target)
    if not target:
        return _sentence_by_itself(result, style)
    verb = "loads" if result.is_library else "runs"
    told = {
        "runs": f"{verb} on {target}",
        "risky": f"may fail on {target}",
        "unknown": f"cannot be judged to the end on {target}",
        "fails": f"does not {verb[:-1]} on {target}: it fails at {result.stage}",
    }[result.verdict]
    told += ", and that is waived" if result.counted != result.verdict else ""
    found = _counts(result.findings)
    mark = style.verdict(result.verdict, style.mark(result.verdict))
    return f"{mark} {style.paint(subject, 'bold')} {told}" + (f" ({found})" if found else "")


def _sentence_by_itself(result: Result, style: Style) -> str:
    told = {
        "runs": "is what it says",
        "risky": "may not be what it says",
        "unknown": "cannot be judged to its end",
        "fails": "is not what it says",
    }[result.verdict]
    found = _counts(result.findings)
    mark = style.verdict(result.verdict, style.mark(result.verdict))
    return f"{mark} {style.paint(clean(result.subject), 'bold')} {told}" + (f" ({found})" if found else "")


def _counts(findings: Sequence[Finding]) -> str:
    severities = [finding.severity for finding in findings if not finding.waived]
    return ", ".join(
        count(severities.count(severity), severity)
        for severity in ("error", "warning", "note")
        if severity in severities
    )


def _against(result: Result, *, everything: bool) -> Iterator[str]:
    """Yield what was judged against: the root, and the machine with what is only assumed about it."""
    machine = result.hardware
    if machine is None:
        return
    root = ", ".join(filter(None, [clean(result.libc), machine.arch.name, _knowledge(result)]))
    yield f"  judged against {root}"
    stated: list[str] = []
    assumed: list[str] = []
    if machine.level:
        (stated if machine.level_stated else assumed).append(machine.cpu)
    if not machine.arch.fixed_page_size:
        (stated if machine.page_size_stated else assumed).append(f"{size(machine.page_size)} pages")
    if machine.kernel:
        stated.append(f"kernel {format_kernel(machine.kernel)}")
    words = [", ".join(stated)] if stated else []
    words += [f"{listed(assumed)} assumed"] if assumed else []
    words += ["kernel not stated"] if machine.kernel is None else []
    yield f"  on a machine with {'; '.join(words)}"
    for assumption in result.assumptions:
        yield f"  assumed: {clean(assumption)}"
    for note in result.notes if everything else ():
        yield f"  note: {clean(note)}"


def _knowledge(result: Result) -> str:
    known = "only libc, the compiler runtime and zlib are known" if result.completeness == "core" else ""
    return ", ".join(filter(None, [known, f"as of {result.as_of}" if result.as_of else ""]))


def _numbers(results: Sequence[Result], every: Sequence[Result]) -> str:
    """Return how many cells have which verdict, and how many findings there are, those without a target too."""
    verdicts = [result.verdict for result in results]
    waived = [result.verdict for result in results if result.counted != result.verdict]
    subjects = count(len({result.subject for result in results}), "subject")
    targets = count(len({result.target for result in results}), "target")
    told = ", ".join(
        f"{verdicts.count(verdict)} {word}{but(waived.count(verdict))}"
        for verdict, word in MANY.items()
        if verdict in verdicts
    )
    found = _counts([finding for result in every for finding in result.findings])
    return f"checked {subjects} on {targets}: {told}" + (f"; {found}" if found else "")


def _architectures(results: Sequence[Result]) -> Iterator[str]:
    """Yield that a target's architecture was taken from the subject."""
    taken: dict[str, list[str]] = {}
    for result in results:
        if not result.arch_stated:
            targets = taken.setdefault(result.machine, [])
            if result.target not in targets:
                targets.append(result.target)
    whose = "the subject" if len({result.subject for result in results}) == 1 else "the subjects"
    for arch, targets in taken.items():
        names = listed([clean(name) for name in targets], 4)
        yield f"{names} taken as {arch}, like {whose}; NAME/ARCH or --platform says otherwise"
