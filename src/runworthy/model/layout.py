"""Packages that hold several builds, of which the ecosystem's own rule takes one on each platform."""

from __future__ import annotations

from typing import Literal

from runworthy.model.arch import Architecture
from runworthy.model.records import dataclass
from runworthy.model.trace import Event, Step

__all__ = ["Choice", "Platform", "System"]

System = Literal["linux", "windows", "macos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What an installer or a run time looks at on a target. ``target`` is the target's name.

    ``libc`` is the family of the root's C library (empty: it has none, or none that is known), ``release`` its version.
    """

    target: str
    arch: Architecture
    system: System = "linux"
    libc: Literal["glibc", "musl", ""] = ""
    release: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is taken on the platform of a target.

    ``among`` are the paths that the rule chooses among, ``taken`` those that it takes. What is in neither is there on
    every platform. ``steps`` tell how it came to that: needs of the stage ``environment`` (kind ``layout`` or ``tag``),
    unmet where nothing fits or the wrong thing is taken, and events.
    """

    target: str = ""
    among: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()
    steps: tuple[Step | Event, ...] = ()
