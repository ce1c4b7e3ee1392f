"""The floor: the oldest of everything that a release can run on, and what holds it there.

A *release* here is what is given together: files that find each other as the loader would. One floor is told for each
architecture among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from runworthy.model.finding import Verdict
from runworthy.model.records import dataclass, field

__all__ = ["Breach", "Floor", "FloorReport", "Kind", "Oldest", "PageSizes", "Reason", "Rung", "ShippedFloor", "State"]

Kind = Literal["glibc", "musl", "libstdc++", "libgcc", "kernel", "cpu"]
State = Literal["at", "any", "nowhere", "unmarked", "unknown"]
"""``at``: there is a floor; ``any``: nothing of the kind is asked for; ``nowhere``: it runs on none that is known;
``unmarked``: the files do not say, and nothing is promised; ``unknown``: it cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What one file asks for. ``need`` is a version, a library, a mark or a fact in words.

    ``library`` is the file that a version is asked of. ``symbols`` are the imports that carry the version, or the
    names without one that are missing below; ``weak`` tells that every one of them is weak, ``lazy`` that every one is
    bound at its first call.
    """

    file: str
    need: str
    library: str = ""
    symbols: tuple[str, ...] = ()
    weak: bool = False
    lazy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A release, and what is there from it on and not before. ``order`` sorts releases, ``words`` is another name."""

    release: str
    order: tuple[int, ...]
    reasons: tuple[Reason, ...]
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The oldest release of one thing on which everything given runs.

    ``rungs`` are all that holds it up, the highest first; when what the first names is gone, the next is the floor.
    ``oldest`` is the oldest release that could be judged; ``open_below``: it runs there too, and may on older ones.
    ``judged``: found by running the loader's model on releases, rather than read off version names and marks.
    ``starts`` is a lower release on which it starts, while something that it may use later is missing (``missing``).
    ``ceiling`` is the newest release on which it runs, if it does not on newer ones (``above`` says why).
    ``reasons`` say why it runs nowhere, or what is not known.
    """

    kind: Kind
    state: State
    release: str = ""
    order: tuple[int, ...] = ()
    words: str = ""
    oldest: str = ""
    open_below: bool = False
    judged: bool = False
    starts: str = ""
    missing: tuple[Reason, ...] = ()
    ceiling: str = ""
    above: tuple[Reason, ...] = ()
    rungs: tuple[Rung, ...] = ()
    reasons: tuple[Reason, ...] = ()

    def judged_to(self, order: tuple[int, ...]) -> bool:
        """Whether a release is no older than the oldest that could be judged."""
        return not self.oldest or order >= tuple(map(int, self.oldest.split(".")))

    @property
    def lower(self) -> Rung | None:
        """The rung that is the floor when what holds the first is gone, None where nothing known is left."""
        return self.rungs[1] if len(self.rungs) > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSizes:
    """Page sizes in bytes of which the architecture's kernels have any: those that fit, and who refuses the others."""

    fit: tuple[int, ...]
    refused: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oldest:
    """The oldest target of a family on which everything runs; ``target`` is empty where it does on none of them.

    ``verdict`` is ``runs`` or ``risky``, else that on the family's newest target.
    """

    family: str
    target: str
    libc: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedFloor:
    """The floors of the files of one architecture.

    ``asset`` is the archive, or the part of a release, that they come in, empty where they come in none. ``libc`` is
    set where there are files for both C libraries, which then have floors of their own: nobody loads both.
    ``files`` are the subjects, ``bundled`` other files of their tree that they load. ``presumed`` are libraries from
    outside: they are taken to be there, in a release that fits.
    """

    arch: str
    files: tuple[str, ...]
    asset: str = ""
    libc: str = ""
    bundled: tuple[str, ...] = ()
    presumed: tuple[str, ...] = ()
    floors: tuple[Floor, ...] = ()
    pages: PageSizes | None = None
    oldest: tuple[Oldest, ...] = ()

    def floor(self, kind: Kind) -> Floor:
        """Return the floor of one kind. Raises KeyError."""
        return {floor.kind: floor for floor in self.floors}[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A gate that is not kept. ``gate`` is the option, ``limit`` what it allows, ``has`` what was found instead.

    ``unknown``: it could not be told whether it is kept.
    """

    gate: str
    limit: str
    has: str
    arch: str
    rungs: tuple[Rung, ...] = ()
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorReport:
    """Everything that was asked for. ``problems`` are files that could not be judged, with the reason."""

    shipped: tuple[ShippedFloor, ...]
    problems: Mapping[str, str] = field(default_factory=dict)
    breaches: tuple[Breach, ...] = ()

    def exit_code(self) -> int:
        """Return 0, 1 or 4 by DESIGN section 5, 3 where there is no file to judge."""
        if any(not breach.unknown for breach in self.breaches) or any(map(_runs_nowhere, self.shipped)):
            return 1
        if self.problems or any(breach.unknown for breach in self.breaches) or any(map(_is_unknown, self.shipped)):
            return 4
        return 0 if self.shipped else 3


def _runs_nowhere(shipped: ShippedFloor) -> bool:
    return all(shipped.floor(kind).state == "nowhere" for kind in ("glibc", "musl"))


def _is_unknown(shipped: ShippedFloor) -> bool:
    return all(shipped.floor(kind).state in ("nowhere", "unknown") for kind in ("glibc", "musl"))
