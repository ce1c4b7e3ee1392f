"""The objects of one process in load order: what both loaders build before they bind symbols."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from runworthy.model.elf import ElfFacts, ElfFile
from runworthy.model.records import dataclass, field
from runworthy.model.trace import Event, Probe, Step
from runworthy.simulate.launch import Launch

__all__ = ["LinkMap", "Loaded", "Place", "Request", "start_origin"]


@dataclass(frozen=True, slots=True)
class Place:
    """A list of directories with the rule that it comes from."""

    origin: str
    directories: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Loaded:
    """One mapped object.

    ``loader`` is the object that first asked for it (l_loader, needed_by), by the name ``asked``. ``places`` is where
    a search on its behalf begins, once that has been worked out.
    """

    path: str
    elf: ElfFile
    facts: ElfFacts
    name: str
    loader: Loaded | None = None
    origin: str = ""
    is_main: bool = False
    is_ldso: bool = False
    local: bool = False
    asked: str = ""
    places: tuple[Place, ...] | None = None

    def chain(self) -> Iterator[Loaded]:
        """Yield this object and those that led to it, up to the program."""
        at: Loaded | None = self
        while at is not None:
            yield at
            at = at.loader


def start_origin(path: str, called: str | None, launch: Launch) -> str:
    """Return $ORIGIN of a program at the real path ``path``, empty when it cannot be told for want of /proc."""
    if called is not None:
        return posixpath.dirname(posixpath.join(launch.cwd, called))
    return posixpath.dirname(path) if launch.proc else ""


@dataclass(frozen=True, slots=True)
class Request:
    """``by`` asked for ``name`` and got ``found`` by the rule ``origin``, after ``probes`` where they are recorded."""

    by: Loaded
    name: str
    found: Loaded
    origin: str
    probes: tuple[Probe, ...] = ()


@dataclass(slots=True)
class LinkMap:
    """Objects in load order; ``steps`` are the library needs that are not met, and events.

    ``requests`` are the needs that are met, written down only when a trace is asked for.
    """

    objects: list[Loaded] = field(default_factory=list)
    by_name: dict[str, Loaded] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    missing: dict[str, Step] = field(default_factory=dict)
    steps: list[Step | Event] = field(default_factory=list)

    @property
    def main(self) -> Loaded:
        """The program, or the library that stands in its place."""
        return self.objects[0]

    def miss(self, step: Step) -> None:
        """Write down a library need that is not met; the first answer for a name is the cause of what follows."""
        self.missing.setdefault(step.need.name, step)
        self.steps.append(step)

    def loaded(self) -> tuple[tuple[str, str], ...]:
        """Return (name by which it was first asked for, path) of every object in load order."""
        return tuple((loaded.asked or loaded.name, loaded.path) for loaded in self.objects)
