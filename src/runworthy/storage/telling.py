"""What was found of storage as a trace: events, for rules to put into words."""

from __future__ import annotations

from collections.abc import Sequence

from runworthy.model.storage import Clash, Idle, Partial, Waste
from runworthy.model.trace import Answer, Event, Need, Step, Stretch, Trace

__all__ = ["told"]

_CLASHES = {"both": "two-builds", "first": "first-build-wins", "one": "one-inode"}


def told(environment: str, found: Sequence[Waste | Clash | Idle | Partial]) -> Trace:
    """Return the trace of one environment. Each event's text is the number of what it tells of in ``found``.

    What another build of a library lacks is a need that is not met in the process that loads both.
    """
    steps: list[Step | Event] = []
    for number, one in enumerate(found):
        steps.append(Event(stage="environment", kind=_kind(one), text=str(number), by=environment))
        if isinstance(one, Clash):
            steps += [_lacking(one, by, version) for by, version in one.breaks]
    return Trace(stretches=(Stretch(object=environment, machine="", loader="", root="", steps=tuple(steps)),))


def _kind(one: Waste | Clash | Idle | Partial) -> str:
    if isinstance(one, Waste):
        return one.cause
    if isinstance(one, Clash):
        return _CLASHES[one.outcome]
    return "idle" if isinstance(one, Idle) else "partial"


def _lacking(clash: Clash, by: str, version: str) -> Step:
    need = Need(kind="symbol-version", name=clash.library, version=version, by=by)
    return Step(stage="environment", need=need, answer=Answer.UNMET, met_by=clash.builds[0].path, fatal=False)
