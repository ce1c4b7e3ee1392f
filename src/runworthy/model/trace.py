"""What the real kernel and loaders would do, in order: needs with their answers, and events.

See DESIGN section 1 for the words. Everything here is frozen data made by the simulators and read by
rules and reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Literal

from runworthy.model.records import dataclass

__all__ = [
    "STAGES",
    "Answer",
    "Event",
    "Evidence",
    "Kind",
    "Need",
    "Probe",
    "Stage",
    "Step",
    "Stretch",
    "Taken",
    "Trace",
    "Why",
]

Stage = Literal["exec", "load", "version", "bind", "machine", "environment"]
STAGES: tuple[Stage, ...] = ("exec", "load", "version", "bind", "machine", "environment")

Kind = Literal[
    "permission",
    "exec-format",
    "segments",
    "interpreter",
    "loader",
    "library",
    "dlopen",
    "symbol-version",
    "symbol",
    "relocation",
    "isa",
    "page-size",
    "kernel",
    "system",
    "exec-stack",
    "static-tls",
    "run-time-file",
    "handler",
    "script-interpreter",
    "rewrites",
    "caller",
    "tool",
    "scratch-directory",
    "payload",
    "archive-member",
    "tag",
    "record",
    "metadata",
    "layout",
    "waiver",
]

Taken = Literal["", "foreign", "emulated"]

Why = Literal["outside-core", "machine-unstated", "unreadable", "not-modelled"]
"""The closed set of reasons for which an answer can be unknown."""


class Answer(Enum):
    """How a need stands on a target (DESIGN section 1)."""

    MET = "met"
    UNMET = "unmet"
    HOST = "host"
    IGNORED = "ignored"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where in which file a need is written. ``offset`` is in bytes, None when it has no single place."""

    file: str
    section: str = ""
    offset: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing required of a target.

    ``by`` is the path of the object that requires it. ``file`` is, for versions and versioned symbols,
    the library that the version record names. ``lazy``: bound at its first call only; ``weak``: may
    stay unresolved.
    """

    kind: Kind
    name: str
    by: str
    version: str | None = None
    file: str | None = None
    lazy: bool = False
    weak: bool = False
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One path that was tried. ``origin`` says which rule led there; ``outcome`` what was found."""

    path: str
    origin: str
    outcome: str = "not found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A need with its answer.

    ``fatal`` tells what an unmet answer means: the program ends here (True) or may go on (False: a lazy
    symbol, a check that this loader does not make). ``assumption`` names the assumed machine fact that
    the answer rests on. ``because`` is the :attr:`key` of the step whose failure explains this one.
    ``detail`` holds the loader's own words or numbers for the message. ``taken`` tells of a need that is met, but not
    as the file is meant: by a handler that makes another program of it, or by an emulator.
    """

    stage: Stage
    need: Need
    answer: Answer
    met_by: str | None = None
    searched: tuple[Probe, ...] = ()
    why: Why | None = None
    because: str | None = None
    assumption: str | None = None
    fatal: bool = True
    detail: str = ""
    taken: Taken = ""

    @property
    def key(self) -> str:
        """A name for this step, unique within a stretch for one cause."""
        return f"{self.need.kind}:{self.need.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens without being a need: a search path dropped, a file skipped, a limit reached."""

    stage: Stage
    kind: str
    text: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What one loaded image goes through: ``object`` runs on ``machine`` under ``loader`` in ``root``.

    ``loader`` is the loader's path or "kernel" for a static program; ``libc`` names the loader's
    family and release in words. ``loaded`` lists (name asked for, path) of every object in load order.
    """

    object: str
    machine: str
    loader: str
    root: str
    libc: str = ""
    loaded: tuple[tuple[str, str], ...] = ()
    steps: tuple[Step | Event, ...] = ()

    @property
    def needs(self) -> Iterator[Step]:
        """The steps that are needs, in order."""
        return (step for step in self.steps if isinstance(step, Step))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """All stretches of one subject on one target, up to ``until``."""

    stretches: tuple[Stretch, ...]
    until: Stage = "environment"

    @property
    def needs(self) -> Iterator[Step]:
        """Every need of every stretch, in order."""
        return (step for stretch in self.stretches for step in stretch.needs)

    @property
    def events(self) -> Iterator[Event]:
        """Every event of every stretch, in order."""
        return (step for stretch in self.stretches for step in stretch.steps if isinstance(step, Event))
