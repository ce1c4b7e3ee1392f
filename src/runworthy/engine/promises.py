"""What is judged of an archive as a whole: what it says of itself, and what its ecosystem takes of it on a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from runworthy.engine.containers import Holder
from runworthy.engine.results import Cell
from runworthy.model.arch import Architecture
from runworthy.model.archive import ContainerKind
from runworthy.model.errors import ArchitectureError
from runworthy.model.layout import Choice, Platform
from runworthy.model.records import replace
from runworthy.model.trace import Event, Stage, Step, Stretch, Trace
from runworthy.targets.libc import libc_of_root
from runworthy.targets.names import TargetName

__all__ = ["choice_on", "chosen_on", "platform_of", "promise_of"]

_PROMISES: Mapping[ContainerKind, Callable[[Holder], tuple[Step | Event, ...]]] = {}
"""By kind: what an archive says of itself, on no target."""

_FAMILIES: Mapping[str, Literal["glibc", "musl"]] = {"glibc": "glibc", "musl": "musl"}

_CHOICES: Mapping[ContainerKind, Callable[[Holder, Platform], Choice]] = {}
"""By kind: what is taken of an archive on a platform."""


def promise_of(holder: Holder, until: Stage) -> Trace | None:
    """Return what is true of an archive wherever it is taken, None where there is nothing to say."""
    promise = _PROMISES.get(holder.container.kind)
    steps = promise(holder) if promise else ()
    return _trace(holder.name, "", steps, until) if steps else None


def platform_of(name: TargetName, arch: Architecture | None) -> Platform | None:
    """Return what an installer looks at on a target, None where there is none such for this architecture."""
    try:
        target = name.open(arch)
    except ArchitectureError:
        return None
    libc = libc_of_root(target)
    return Platform(
        target=target.name,
        arch=target.arch,
        libc=_FAMILIES.get(libc.family, "") if libc else "",
        release=(libc.version or ()) if libc else (),
    )


def choice_on(holder: Holder, platform: Platform) -> Choice | None:
    """Return what is taken of an archive on a platform, None where its kind has no rule."""
    choose = _CHOICES.get(holder.container.kind)
    return replace(choose(holder, platform), target=platform.target) if choose else None


def chosen_on(subject: str, choice: Choice, until: Stage, wanted: str) -> Cell:
    """Return the cell that tells what was taken on the target that was asked for as ``wanted``."""
    trace = _trace(subject, choice.target, choice.steps, until)
    return Cell(subject=subject, target=choice.target, path=subject, trace=trace, wanted=wanted)


def _trace(name: str, root: str, steps: tuple[Step | Event, ...], until: Stage) -> Trace:
    return Trace(stretches=(Stretch(object=name, machine="", loader="", root=root, steps=steps),), until=until)
