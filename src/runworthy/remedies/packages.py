"""Remedies by packages: those of the target's distribution that bring a library or an interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from runworthy.model.arch import Architecture, architecture
from runworthy.model.finding import Cost
from runworthy.model.records import replace
from runworthy.model.trace import Step
from runworthy.remedies import known
from runworthy.remedies.known import before, install
from runworthy.remedies.situation import Proposal, Situation
from runworthy.targets.packages import Choice, Packages, Wanted
from runworthy.targets.packages.installed import base_view
from runworthy.targets.target import Target

__all__ = ["proposals"]

_MOST: Final = 4


def proposals(situation: Situation, step: Step) -> Iterator[Proposal]:
    """Yield the packages that bring what a step lacks, cheapest first; of a library's version, a later package.

    What is known by heart is told where nothing else tells what packages bring.
    """
    wanted, means = _wanted(situation, step), situation.means
    choices: tuple[Choice, ...] = ()
    if wanted is not None and means is not None:
        target = replace(situation.target, view=base_view(situation.target.view))
        source = _packages(_Key(target), means.packages, means.scratch, means.network)
        choices = source.providers(wanted)[:_MOST]
        yield from (_proposal(situation.target, wanted, choice) for choice in choices)
    if not any(one.known for one in choices):
        yield from known.proposals(situation, step)


def _wanted(situation: Situation, step: Step) -> Wanted | None:
    """Return what a package is to bring so that a step is met, None where none can."""
    need = step.need
    arch = _architecture(situation, step)
    if need.kind in ("library", "dlopen"):
        return Wanted(kind="path" if need.name.startswith("/") else "library", name=need.name, arch=arch)
    if need.kind in ("interpreter", "script-interpreter"):
        # A name with a carriage return at its end is a slip, and no package's file.
        absent = need.name.startswith("/") and need.name.isprintable() and step.detail[:6] in ("", "ENOENT")
        return Wanted(kind="path", name=need.name, arch=arch) if absent else None
    if need.kind == "symbol-version" and need.file:
        return Wanted(kind="library", name=need.file, arch=arch)
    return None


def _architecture(situation: Situation, step: Step) -> Architecture:
    """Return for what machine the image is that has the need."""
    for stretch in situation.result.trace.stretches:
        if any(one is step for one in stretch.steps):
            return architecture(stretch.machine) or situation.target.arch
    return situation.target.arch


def _proposal(target: Target, wanted: Wanted, choice: Choice) -> Proposal:
    foreign = wanted if any(":" in name for name in choice.names) else None
    return Proposal(
        title=f"install {', '.join(choice.names)}",
        edits=(*(before(target, foreign) if foreign else ()), install(choice)),
        stays=True,
        approach="install",
        cost=Cost(packages=len(choice.names) + len(choice.with_them), size=choice.size),
        unprovable="" if choice.known else choice.why,
        recipe=choice.notes,
    )


class _Key:
    """A target by its root: who asks about the same root again gets the same indexes, which are slow to read."""

    __slots__ = ("target",)

    def __init__(self, target: Target) -> None:
        self.target = target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other._view == self._view and other.target.name == self.target.name

    def __hash__(self) -> int:
        return hash((id(self._view), self.target.name))

    @property
    def _view(self) -> object:
        return self.target.view


@lru_cache(maxsize=2)
def _packages(key: _Key, given: tuple[str, ...], scratch: str, network: bool) -> Packages:  # noqa: FBT001 - a key
    return Packages(key.target, given, scratch=scratch, network=network)
