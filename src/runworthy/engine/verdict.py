"""One verdict from a trace: the worst that any step alone would give (DESIGN section 1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from runworthy.model.finding import VERDICTS, Verdict
from runworthy.model.trace import STAGES, Answer, Stage, Step, Trace

__all__ = ["all_met", "known_host_in", "verdict_of", "weight_of", "weights_of"]

# Needs that a program meets or misses after its start: they are told, and change no verdict.
_AFTER_START = frozenset(("run-time-file", "dlopen"))


def verdict_of(trace: Trace) -> tuple[Verdict, Stage | None]:
    """Return the verdict and the stage at which it falls (DESIGN section 1)."""
    worst: dict[Verdict, Stage] = {}
    known_host = known_host_in(trace)
    for step in trace.needs:
        verdict = weight_of(step, known_host=known_host)
        if verdict != "runs" and (verdict not in worst or STAGES.index(step.stage) < STAGES.index(worst[verdict])):
            worst[verdict] = step.stage
    for verdict in ("fails", "unknown", "risky"):
        if verdict in worst:
            return verdict, worst[verdict]
    return "runs", None


def known_host_in(trace: Trace) -> bool:
    """Whether the subject leaves symbols to a program whose interface is known."""
    return any(step.answer is Answer.HOST and _has_known_host(step.need.name) for step in trace.needs)


def weight_of(step: Step, *, known_host: bool) -> Verdict:
    """Return the verdict that one step alone would give.

    A name of the root's own C library that is left to the host is there in every dynamic process when libc itself
    defines it; a known host brings libc's companions as well.
    """
    if step.need.weak or step.need.kind in _AFTER_START:
        return "runs"
    if step.answer is Answer.UNKNOWN:
        return "unknown"
    if step.answer is Answer.UNMET:
        return "fails" if step.fatal and step.assumption is None else "risky"
    if step.answer is Answer.HOST and not _is_brought(step, known_host=known_host):
        return "risky"
    if step.taken == "foreign" and step.assumption is None:
        return "fails"
    return "risky" if step.assumption or step.taken else "runs"


def weights_of(trace: Trace, explained: Sequence[Collection[Step]]) -> tuple[list[Verdict], Verdict]:
    """Return the verdict that each group of steps would give alone, and that of what is in none of them.

    What is so only for another's sake goes with that one.
    """
    owners: dict[int, list[int]] = {}
    for number, steps in enumerate(explained):
        for step in steps:
            owners.setdefault(id(step), []).append(number)
    weights: list[Verdict] = ["runs"] * len(explained)
    rest: Verdict = "runs"
    known_host = known_host_in(trace)
    for stretch in trace.stretches:
        causes: dict[str, list[Step]] = {}
        for step in stretch.needs:
            if step.answer is not Answer.MET:
                causes.setdefault(step.key, []).append(step)
        for step in stretch.needs:
            weight = "runs" if _is_simply_met(step) else weight_of(step, known_host=known_host)
            if weight == "runs":
                continue
            whose = {number for one in _with_causes(step, causes) for number in owners.get(id(one), ())}
            for number in whose:
                weights[number] = max(weights[number], weight, key=VERDICTS.index)
            if not whose:
                rest = max(rest, weight, key=VERDICTS.index)
    return weights, rest


def _with_causes(step: Step, causes: dict[str, list[Step]]) -> list[Step]:
    """Return a step and all that it is so because of."""
    found, keys = [step], [step.because]
    for key in keys:
        for cause in causes.get(key, ()) if key is not None else ():
            found.append(cause)
            if cause.because not in keys:
                keys.append(cause.because)
    return found


def _is_simply_met(step: Step) -> bool:
    return step.answer is Answer.MET and step.assumption is None and not step.taken


def all_met(trace: Trace) -> bool:
    """Whether every step is a need that is simply met, so that there is nothing to explain."""
    steps = (step for stretch in trace.stretches for step in stretch.steps)
    return all(isinstance(step, Step) and _is_simply_met(step) for step in steps)


def _is_brought(step: Step, *, known_host: bool) -> bool:
    if step.met_by is None:
        return _has_known_host(step.need.name)
    from runworthy.simulate.hosts import in_every_process

    return known_host or in_every_process(step.met_by)


def _has_known_host(symbol: str) -> bool:
    from runworthy.simulate.hosts import host_api  # its patterns are wanted for plug-ins alone

    return host_api(symbol) is not None
