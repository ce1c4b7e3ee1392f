"""Rules: patterns of steps that have one cause, told once in people's words.

A rule is a module ``rules/<family>/<slug>.py`` with ``CODE``, ``NAME``, ``SINCE``, ``SEVERITY``, ``READS``
(the kinds of needs, as ``symbol`` or ``symbol:host``, and of events it looks at), ``ORDER`` and ``check``;
``<slug>.md`` beside it is its page and its test. Rules are found by the index in ``rules/_index.py``, which a
test compares with the modules that are there.

A rule *covers* the steps that its finding explains; rules that come later do not see them, so that one
cause gives one finding. ``ORDER`` decides who comes first: broad causes (10) before narrow ones (50).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from runworthy.model.binfmt import Handlers
from runworthy.model.elf import BuildInfo, ElfFacts, ImportGroup
from runworthy.model.finding import Finding, Severity
from runworthy.model.libc import Libc
from runworthy.model.machine import Machine
from runworthy.model.program import FileFacts
from runworthy.model.records import dataclass, field, replace
from runworthy.model.trace import Answer, Event, Need, Step, Trace

if TYPE_CHECKING:  # most reports tell nothing of storage
    from runworthy.model.storage import Clash, Idle, Partial, Waste

__all__ = ["Case", "Catalogue", "Match", "Objects", "Rule", "apply_rules", "kinds_to_explain", "matches"]

_PLACED_UNDER = "/subject"


class Catalogue(Protocol):
    """The read-only index of the catalogue that rules may ask. An architecture is given by its name."""

    def first_with(self, node: str, arch: str) -> tuple[str, ...]:
        """Return the oldest release of each distribution family that defines the version node."""

    def first_libc(self, family: str, version: tuple[int, ...], arch: str) -> tuple[str, ...]:
        """Return the oldest release of each distribution family with this C library in this release or a later one."""

    def providers(self, symbol: bytes, arch: str) -> tuple[str, ...]:
        """Return which C libraries and compiler runtimes export the name, as in ``glibc:libc.so.6``."""


class Objects(Protocol):
    """What rules may ask about the objects of a trace, by path; empty answers for those that cannot be read."""

    def facts(self, path: str) -> ElfFacts | None:
        """Return the eager facts."""

    def imports(self, path: str) -> tuple[ImportGroup, ...]:
        """Return the undefined symbols, grouped by version record."""

    def build(self, path: str) -> BuildInfo:
        """Return what the compilers left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a rule is given: one subject on one target, judged, less what earlier rules have explained.

    ``subject`` and ``target`` are the names people wrote; ``path`` is where the subject lies in the root.
    ``facts`` are there of an ELF file, ``file`` of any other, neither of a subject that could not be read. ``libc`` is
    the C library that the subject met, or that of the root when it met none. ``machine`` names the target's
    architecture, ``hardware`` is the machine with what is assumed about it (None: no target was opened);
    ``handlers`` are those of its binfmt_misc. ``shown`` names what lies at a path, where that comes out of an archive.
    ``storage`` is what was found of files that are stored again; events name what they are of it by its number.
    """

    subject: str
    target: str
    path: str
    facts: ElfFacts | None
    libc: Libc | None
    machine: str
    hardware: Machine | None
    completeness: str
    trace: Trace
    catalogue: Catalogue
    objects: Objects
    file: FileFacts | None = None
    handlers: Handlers = Handlers()
    shown: Callable[[str], str | None] | None = None
    storage: tuple[Waste | Clash | Idle | Partial, ...] = ()
    covered: frozenset[int] = frozenset()
    causes: Mapping[str, Sequence[Step]] = field(default_factory=dict)
    """The needs of the trace that are so for no other's sake, by kind; weak ones are left out."""
    consequences: Mapping[str, Sequence[Step]] = field(default_factory=dict)
    """The others, by the key of what they are because of."""

    def steps(self, *kinds: str, answers: Container[Answer] = (Answer.UNMET,)) -> list[Step]:
        """Return the causes of these kinds with these answers that no earlier rule has explained."""
        return [
            step
            for kind in self.causes
            if kind in kinds
            for step in self.causes[kind]
            if step.answer in answers and id(step) not in self.covered
        ]

    def following(self, steps: Iterable[Step]) -> list[Step]:
        """Return the steps that are as they are because of one of ``steps``."""
        keys = dict.fromkeys(step.key for step in steps)
        return [step for key in keys for step in self.consequences.get(key, ())]

    def events(self, *kinds: str) -> list[Event]:
        """Return the events of these kinds."""
        return [event for event in self.trace.events if event.kind in kinds]

    def stored(self, kind: str) -> Iterator[Waste | Clash | Idle | Partial]:
        """Yield what was found of storage that events of this kind tell of."""
        for event in self.events(kind):
            yield self.storage[int(event.text)]

    def show(self, path: str) -> str:
        """Return a path of the root as people know it: the subject and its siblings by the name they gave."""
        if path == self.path:
            return self.subject
        named = self.shown(path) if self.shown else None
        if named is not None:
            return named
        if not path.startswith(f"{_PLACED_UNDER}/") or not self.path.startswith(f"{_PLACED_UNDER}/"):
            return path
        given = posixpath.normpath(self.subject)
        if not given.startswith("/") and self.path.endswith(f"/{given}"):
            return posixpath.relpath(path, self.path[: -len(given)])
        return path[len(_PLACED_UNDER) :]

    def needer(self, need: Need) -> str:
        """Return who requires a need, by the name people know."""
        return self.show(need.by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A finding and the steps that it explains."""

    finding: Finding
    covers: tuple[Step, ...] = ()


class Rule(Protocol):
    """What a rule module offers."""

    CODE: str
    NAME: str
    SINCE: str
    SEVERITY: Severity
    READS: tuple[str, ...]
    ORDER: int
    check: Callable[[Case], Iterator[Match]]


def kinds_to_explain(trace: Trace) -> frozenset[str]:
    """Return what rules are chosen by: the kinds of events, and of causes as ``symbol`` and as ``symbol:unmet``."""
    causes = {
        (step.need.kind, step.answer.value)
        for step in trace.needs
        if step.because is None and (step.answer is not Answer.MET or step.assumption or step.taken)
    }
    kinds = {kind for kind, _ in causes} | {f"{kind}:{answer}" for kind, answer in causes}
    return frozenset(kinds | {event.kind for event in trace.events})


def apply_rules(
    case: Case, rules: Iterable[Rule], kinds: frozenset[str]
) -> tuple[tuple[Finding, ...], tuple[Step, ...]]:
    """Return the findings of all rules that read one of ``kinds``, worst first, and the steps that no rule explains."""
    found, left = matches(case, rules, kinds)
    return tuple(match.finding for match in found), left


def matches(case: Case, rules: Iterable[Rule], kinds: frozenset[str]) -> tuple[tuple[Match, ...], tuple[Step, ...]]:
    """Return the same as :func:`apply_rules`, each finding with the steps that it explains."""
    causes, consequences = _sorted_out(case.trace)
    found: list[Match] = []
    covered: frozenset[int] = frozenset()
    case = replace(case, causes=causes, consequences=consequences)
    for rule in rules:
        if kinds.isdisjoint(rule.READS):
            continue
        for match in rule.check(case):
            found.append(match)
            covered |= {id(step) for step in match.covers}
        if covered != case.covered:
            case = replace(case, covered=covered)
    told = (Answer.UNMET, Answer.UNKNOWN)
    left = [step for steps in causes.values() for step in steps if step.answer in told and id(step) not in covered]
    ranked = sorted(found, key=lambda match: (_RANK[match.finding.severity], match.finding.code))
    return tuple(ranked), tuple(left)


def _sorted_out(trace: Trace) -> tuple[dict[str, list[Step]], dict[str, list[Step]]]:
    """Return the causes by kind, and the consequences by their cause."""
    causes: dict[str, list[Step]] = {}
    consequences: dict[str, list[Step]] = {}
    for step in trace.needs:
        if step.because is not None:
            consequences.setdefault(step.because, []).append(step)
        elif not step.need.weak:
            causes.setdefault(step.need.kind, []).append(step)
    return causes, consequences


_RANK: Mapping[str, int] = {"error": 0, "warning": 1, "note": 2}
