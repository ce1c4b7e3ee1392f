"""Which planner is asked about which need: each is imported when it is first asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import cast

from runworthy.model.trace import Kind, Step
from runworthy.remedies.planning import exec_planner
from runworthy.remedies.situation import Proposal, Situation

__all__ = ["of_the_whole", "proposals_for"]

# Modules of this package that have a function ``proposals(situation, step)``; each knows what it has no answer to.
_BY_KIND: Mapping[Kind, tuple[str, ...]] = {
    "library": ("patching", "configuring", "packages", "bundling"),
    "dlopen": ("packages",),
    "interpreter": ("patching", "configuring", "packages", "gcompat"),
    "script-interpreter": ("packages",),
    "symbol-version": ("packages", "bundling"),
    "symbol": ("shim",),
    "exec-stack": ("patching",),
}
# Modules that have a function ``whole(situation)``: what is proposed whatever the cause.
_WHOLE: tuple[str, ...] = ("builds", "targets", "rebuilding")


def proposals_for(situation: Situation, cause: Step) -> Iterator[Proposal]:
    """Yield what may turn one cause away."""
    planner = exec_planner(situation, cause)
    if planner is not None:
        yield from planner(situation, cause)
    for module in _BY_KIND.get(cause.need.kind, ()):
        yield from _function(module, "proposals")(situation, cause)


def of_the_whole(situation: Situation) -> Iterator[Proposal]:
    """Yield what takes the place of the subject or of the target: another build, another target, a new build."""
    for module in _WHOLE:
        yield from _function(module, "whole")(situation)


def _function(module: str, name: str) -> Callable[..., Iterator[Proposal]]:
    return cast("Callable[..., Iterator[Proposal]]", getattr(import_module(f"runworthy.remedies.{module}"), name))
