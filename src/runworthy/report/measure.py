"""What the runs of a program came to, as text and as data in the layout of ``schema/runworthy.measure-1.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from runworthy import __version__
from runworthy.model.measurement import Comparison, Measured, Measurement, Ratio, Run, Spread
from runworthy.report.words import PLAIN, Style, clean, count, encodable, listed, table

__all__ = ["SCHEMA", "measure_json", "measure_text"]

SCHEMA = "runworthy.measure/1"

Data = dict[str, object]


def measure_text(measurement: Measurement, style: Style = PLAIN) -> str:
    """Return the whole report."""
    runs = f"{count(measurement.rounds, 'run')} of each way{' in turn' if len(measurement.ways) > 1 else ''}"
    head = f"{clean(measurement.program)}: {measurement.kind}, {runs}, after one to warm up"
    ran = [measured for measured in measurement.ways if measured.runs]
    blocks = [
        [style.paint(head, "bold")],
        _figures(ran, style, first_output=measurement.until_output),
        list(_ways(measurement)),
        list(_conclusions(measurement)),
        list(_errors(measurement, style)),
    ]
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


def _figures(ran: list[Measured], style: Style, *, first_output: bool) -> list[str]:
    if not ran:
        return []
    heads = ["", "time", *(["first output"] if first_output else []), "CPU time", "peak memory"]
    rows = [[style.paint(head, "bold") for head in heads]]
    for measured in ran:
        middle = [_told(measured.first_output, _seconds)] if first_output else []
        memory = _told(measured.memory, _memory)
        rows.append(
            [
                measured.way.label,
                _told(measured.time, _seconds),
                *middle,
                _told(measured.cpu, _seconds),
                f"at most {memory}" if measured.memory_is_bound else memory,
            ]
        )
    return [f"  {line}" for line in table(rows)]


_BOUND = "at most: the process that starts it takes as much, and the kernel counts that into the peak of the program"


def _told(spread: Spread | None, words: Callable[[Spread], tuple[float, int, str]]) -> str:
    """Return the median, and the least and the most in its unit and with its digits."""
    if spread is None:
        return "none"
    by, digits, unit = words(spread)
    median, least, most = (f"{value / by:.{digits}f}" for value in (spread.median, spread.least, spread.most))
    return f"{median} {unit}" + (f" ({least} to {most})" if spread.n > 1 else "")


def _seconds(spread: Spread) -> tuple[float, int, str]:
    """Return what to divide by, how many digits to show, and the unit."""
    steps = ((0.01, 4), (1, 3), (100, 2))
    return 1, next((digits for limit, digits in steps if spread.median < limit), 1), "s"


def _memory(spread: Spread) -> tuple[float, int, str]:
    """Return the same of bytes."""
    return (1 << 20, 1, "MiB") if spread.median < 1 << 30 else (1 << 30, 2, "GiB")


def _ways(measurement: Measurement) -> Iterator[str]:
    rows = [(measured.way.label, " ".join(clean(word) for word in measured.way.argv)) for measured in measurement.ways]
    for line, measured in zip(table(rows), measurement.ways, strict=True):
        yield f"  {line}"
        yield f"    = {clean(measured.way.why)}"
        if left := max((run.left for run in measured.runs), default=0):
            yield f"    = it leaves {count(left, 'process', 'processes')} behind, ended here after each run"
    yield from (f"  = note: {clean(note)}" for note in measurement.notes)
    if any(measured.memory_is_bound for measured in measurement.ways):
        yield f"  = note: {_BOUND}"


def _conclusions(measurement: Measurement) -> Iterator[str]:
    held = {measured.way.label: measured for measured in measurement.ways}
    for comparison in measurement.compared:
        way, by = held[comparison.way], held[comparison.by]
        rows = [
            ("time", comparison.time, ("", "")),
            ("time to the first output", comparison.first_output, ("", "")),
            ("CPU time", comparison.cpu, ("", "")),
        ]
        if not (way.memory_is_bound and by.memory_is_bound):
            rows.append(("memory", comparison.memory, (_bound(way, by), _bound(by, way))))
        known = [(name, ratio, bound) for name, ratio, bound in rows if ratio]
        more = [f"{bound[0]}{_times(ratio.value)} x the {name}" for name, ratio, bound in known if _more(ratio)]
        less = [f"{bound[1]}{_times(1 / ratio.value)} x the {name}" for name, ratio, bound in known if _less(ratio)]
        same = [name for name, ratio, _ in known if not ratio.clear]
        if more:
            yield f"`{comparison.way}` takes {listed(more)} of `{comparison.by}`"
        if less:
            yield f"`{comparison.by}` takes {listed(less)} of `{comparison.way}`"
        if same:
            differ = "differs" if len(same) == 1 else "differ"
            between = f"between `{comparison.way}` and `{comparison.by}`"
            yield f"{listed(same)} {differ} no more {between} than among the runs of one of them"


def _times(value: float) -> str:
    return f"{value:.3g}" if value < 999 else f"{value:.0f}"


def _more(ratio: Ratio) -> bool:
    return ratio.clear and ratio.value >= 1


def _less(ratio: Ratio) -> bool:
    return ratio.clear and 0 < ratio.value < 1


def _bound(way: Measured, by: Measured) -> str:
    """Return what a ratio of memories is, where one of them is only known to be no more than it says."""
    return "at most " if way.memory_is_bound else "at least " if by.memory_is_bound else ""


def _errors(measurement: Measurement, style: Style) -> Iterator[str]:
    error = style.severity("error", "error")
    for measured in measurement.ways:
        if measured.problem:
            yield f"{error}: `{measured.way.label}` does not start: {clean(measured.problem)}"
        elif any(run.status is None and run.first_output is None for run in measured.runs):
            yield f"{error}: `{measured.way.label}` was ended after {measurement.timeout:g} s"
    endings = {measured.way.label: measured.endings for measured in measurement.ways if measured.runs}
    if len({status for held in endings.values() for status in held}) > 1:
        told = [f"`{label}` {_endings(held)}" for label, held in endings.items()]
        yield f"{error}: not all runs end the same: {listed(told)}"


def _endings(held: tuple[int | None, ...]) -> str:
    return " or ".join(map(_ending, held))


def _ending(status: int | None) -> str:
    if status is None:
        return "is ended for taking too long"
    if status >= 0:
        return f"ends with {status}"
    import signal

    try:
        return f"is killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"is killed by signal {-status}"


# -- data ------------------------------------------------------------------------------------


def measure_json(measurement: Measurement) -> str:
    """Return the document as JSON text, the same bytes for the same measurement."""
    data: Data = {
        "schema": SCHEMA,
        "runworthy": __version__,
        "command": [encodable(word) for word in measurement.command],
        "program": encodable(measurement.program),
        "kind": measurement.kind,
        "rounds": measurement.rounds,
        "timeout": measurement.timeout,
        "until_output": measurement.until_output,
        "ends_alike": measurement.ends_alike,
        "ways": [_way_data(measured) for measured in measurement.ways],
        "compared": [_comparison_data(comparison) for comparison in measurement.compared],
        "notes": [encodable(note) for note in measurement.notes],
    }
    return json.dumps(data, indent=2, ensure_ascii=True) + "\n"


def _way_data(measured: Measured) -> Data:
    return {
        "label": measured.way.label,
        "argv": [encodable(word) for word in measured.way.argv],
        "why": encodable(measured.way.why),
        "handler": encodable(measured.way.handler) or None,
        "problem": encodable(measured.problem) or None,
        "time": _spread_data(measured.time),
        "first_output": _spread_data(measured.first_output),
        "cpu": _spread_data(measured.cpu),
        "memory": _spread_data(measured.memory),
        "memory_is_bound": measured.memory_is_bound,
        "endings": [_ending(status) for status in measured.endings],
        "runs": [_run_data(run) for run in measured.runs],
    }


def _run_data(run: Run) -> Data:
    return {
        "time": run.time,
        "first_output": run.first_output,
        "user": run.user,
        "system": run.system,
        "memory": run.memory,
        "memory_is_bound": run.memory_is_bound,
        "status": run.status,
        "left": run.left,
    }


def _spread_data(spread: Spread | None) -> Data | None:
    if spread is None:
        return None
    return {"median": spread.median, "least": spread.least, "most": spread.most, "n": spread.n}


def _comparison_data(comparison: Comparison) -> Data:
    return {
        "way": comparison.way,
        "by": comparison.by,
        "time": _ratio_data(comparison.time),
        "first_output": _ratio_data(comparison.first_output),
        "cpu": _ratio_data(comparison.cpu),
        "memory": _ratio_data(comparison.memory),
    }


def _ratio_data(ratio: Ratio | None) -> Data | None:
    return None if ratio is None else {"ratio": ratio.value, "clear": ratio.clear}
