"""Environments and caches that nothing has used for some time: a further way to get room, never taken here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from runworthy.model.storage import Environment, EnvironmentKind, Idle

__all__ = ["idle_of"]

_PLAIN: Final[frozenset[EnvironmentKind]] = frozenset(("root", "tree"))
# What each installer's own manual gives for it; environments are removed as the directories that they are.
_COMMANDS: Final[Mapping[EnvironmentKind, str]] = {
    "uv-cache": "uv cache prune",
    "pip-cache": "pip cache purge",
    "conda-cache": "conda clean --packages --tarballs",
    "rattler-cache": "pixi clean cache",
    "pnpm-store": "pnpm store prune",
    "npm-cache": "npm cache clean --force",
}
_EMPTIED: Final[frozenset[EnvironmentKind]] = frozenset(("pip-cache", "rattler-cache", "npm-cache"))
"""Kinds of caches of which these commands leave nothing."""


def idle_of(environments: Iterable[Environment], before: int) -> tuple[Idle, ...]:
    """Return those whose last use can be told, and lies before a time (ns): the largest first.

    Trees and roots are nobody's environment, and what is in them may be used without a trace.
    """
    found = [
        Idle(
            environment=one,
            used=one.used,
            used_by=one.used_by,
            allocated=one.allocated,
            command=_COMMANDS.get(one.kind, ""),
            empties=one.kind in _EMPTIED,
        )
        for one in environments
        if one.kind not in _PLAIN and 0 < one.used < before
    ]
    return tuple(sorted(found, key=lambda one: (-one.allocated, one.environment.path)))
