"""Rules: patterns of steps that have one cause, told once in people's words.

A rule is a module ``rules/<family>/<slug>.py`` with ``CODE``, ``NAME``, ``SINCE``, ``SEVERITY``, ``READS``
(the kinds of need it looks at) and ``check``; ``<slug>.md`` beside it is its page and its test. Rules are
found by the index in ``rules/_index.py``, which a test compares with the modules that are there.

A rule *covers* the steps that its finding explains; rules that come later do not see them, so that one
cause gives one finding. ``ORDER`` (default 50) decides who comes first: broad causes before narrow ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from runworthy.model.elf import ElfFacts
from runworthy.model.finding import Finding
from runworthy.model.libc import Libc
from runworthy.model.trace import Answer, Event, Need, Step, Trace

__all__ = ["Case", "Catalogue", "Match", "Rule", "apply_rules"]


class Catalogue(Protocol):
    """The read-only index of the catalogue that rules may ask."""

    def first_with(self, node: str, arch: str) -> tuple[str, ...]:
        """Return the oldest release of each distribution family that defines the version node."""

    def providers(self, symbol: bytes, arch: str) -> tuple[str, ...]:
        """Return which C libraries and compiler runtimes export the name, as in ``glibc:libc.so.6``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a rule is given: one subject on one target, judged, less what earlier rules have explained.

    ``subject`` and ``target`` are the names people wrote; ``path`` is where the subject lies in the root.
    ``facts`` is None for a subject that could not be read. ``libc`` is the C library that the subject met,
    or that of the root when it met none. ``machine`` names the target's architecture.
    """

    subject: str
    target: str
    path: str
    facts: ElfFacts | None
    libc: Libc | None
    machine: str
    completeness: str
    trace: Trace
    catalogue: Catalogue
    covered: frozenset[int] = field(default_factory=frozenset)

    def steps(self, *kinds: str, answers: Iterable[Answer] = (Answer.UNMET,)) -> list[Step]:
        """Return the steps of these kinds with these answers that no earlier rule has explained."""
        wanted = frozenset(answers)
        return [
            step
            for step in self.trace.needs
            if step.need.kind in kinds and step.answer in wanted and id(step) not in self.covered
        ]

    def events(self, kind: str) -> list[Event]:
        """Return the events of one kind."""
        return [event for event in self.trace.events if event.kind == kind]

    def show(self, path: str) -> str:
        """Return a path of the root as people know it: the subject by the name they gave."""
        return self.subject if path == self.path else path

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
    SEVERITY: str
    READS: tuple[str, ...]
    check: Callable[[Case], Iterator[Match]]


def apply_rules(case: Case, rules: Iterable[Rule]) -> tuple[tuple[Finding, ...], tuple[Step, ...]]:
    """Return the findings of all rules, worst first, and the steps that no rule explains."""
    from dataclasses import replace

    kinds = {step.need.kind for step in case.trace.needs if step.answer is not Answer.MET or step.assumption}
    findings: list[Finding] = []
    covered: set[int] = set()
    for rule in rules:
        if kinds.isdisjoint(rule.READS):
            continue
        for match in rule.check(replace(case, covered=frozenset(covered))):
            findings.append(match.finding)
            covered.update(id(step) for step in match.covers)
    told = (Answer.UNMET, Answer.UNKNOWN)
    left = tuple(
        step
        for step in case.trace.needs
        if step.answer in told and step.because is None and not step.need.weak and id(step) not in covered
    )
    ranked = sorted(findings, key=lambda finding: (_RANK[finding.severity], finding.code))
    return tuple(ranked), left


_RANK: Mapping[str, int] = {"error": 0, "warning": 1, "note": 2}
