"""The steps of a needed library that was not found, was refused or cannot be judged: the same under every loader."""

from __future__ import annotations

from collections.abc import Iterable

from runworthy.model.trace import Answer, Evidence, Need, Probe, Step
from runworthy.targets.target import Target

__all__ = ["library_need", "missing_step", "refused_step", "unjudged_step"]


def library_need(name: str, by: str) -> Need:
    """Return the need of the object at the path ``by`` for a library."""
    return Need(kind="library", name=name, by=by, evidence=Evidence(file=by, section=".dynamic"))


def missing_step(target: Target, need: Need, probes: Iterable[Probe]) -> Step:
    """Return the answer for a library that no path led to: stated, absent for certain, or outside what is known."""
    searched = tuple(probes)
    if target.assumes(need.name):
        return Step(stage="load", need=need, answer=Answer.MET, met_by="stated to be present", searched=searched)
    if target.absent(need.name) or "/" in need.name:
        return Step(stage="load", need=need, answer=Answer.UNMET, searched=searched)
    return Step(stage="load", need=need, answer=Answer.UNKNOWN, why="outside-core", searched=searched)


def refused_step(need: Need, probes: Iterable[Probe], detail: str) -> Step:
    """Return the answer for a file that the loader gives up on, in its own words."""
    return Step(stage="load", need=need, answer=Answer.UNMET, searched=tuple(probes), detail=detail)


def unjudged_step(need: Need, probes: Iterable[Probe], detail: str) -> Step:
    """Return the answer for a file that cannot be understood."""
    return Step(stage="load", need=need, answer=Answer.UNKNOWN, why="unreadable", searched=tuple(probes), detail=detail)
