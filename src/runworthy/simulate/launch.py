"""How a subject is started: the environment and what the user has stated about the process."""

from __future__ import annotations

from collections.abc import Mapping

from runworthy.model.records import dataclass, field
from runworthy.model.trace import Stage

__all__ = ["CALLERS", "SURROUNDINGS", "Launch"]

SURROUNDINGS = ("HOME", "PATH", "QEMU_LD_PREFIX", "TMPDIR")
"""The variables that scripts and emulators go by: on this machine as they are here, where nothing else is stated."""

CALLERS = ("shell", "direct")
"""Who is taken to start a program where nobody says it: a shell, and a program that calls execve itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """``env`` holds only what the user gave; ``secure`` is AT_SECURE (set-user-ID, capabilities).

    ``cwd`` is where relative paths start; not ``cwd_stated``: nobody has said where that is. ``loaded_by`` is the path,
    in the target's root, of the program that will dlopen the subject. ``until`` is the last stage to judge; ``trace``
    asks for met needs to be recorded as well; ``proc`` tells whether /proc is mounted. ``callers`` are who executes a
    program: what a refusal by the kernel comes to is theirs to say, and the worst of it counts.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    secure: bool = False
    cwd: str = "/"
    cwd_stated: bool = False
    loaded_by: str | None = None
    until: Stage = "environment"
    trace: bool = False
    proc: bool = True
    callers: tuple[str, ...] = CALLERS
