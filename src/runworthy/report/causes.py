"""Findings by cause: what many files and targets have in common is told once.

Two findings have one cause when their rule and its words for the cause are the same (``Finding.cause``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from runworthy.model.finding import Finding, Result, Severity
from runworthy.model.records import dataclass

__all__ = ["Cause", "causes", "ranked"]

_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing to mend. ``held`` are the findings that it gives, each with the cell in which it was found."""

    code: str
    name: str
    severity: Severity
    text: str
    held: tuple[tuple[Finding, Result], ...]

    @property
    def subjects(self) -> list[str]:
        """Every subject once, in the order judged."""
        return list(dict.fromkeys(result.subject for _, result in self.held))

    @property
    def items(self) -> list[tuple[str, int]]:
        """What is missing, with the number of subjects that want it; the most wanted first."""
        wanted = {(item, result.subject) for finding, result in self.held for item in finding.items}
        return sorted(Counter(item for item, _ in wanted).items(), key=lambda row: (-row[1], row[0]))


def causes(results: Iterable[Result], *, one_by_one: bool = False, waived: bool = False) -> list[Cause]:
    """Return the causes in the order in which they are met.

    ``one_by_one`` keeps apart what differs in its items, and what one cell has several times. ``waived``: those that
    are waived as well, apart from the others.
    """
    found: dict[tuple[object, ...], list[tuple[Finding, Result]]] = {}
    for result in results:
        own: Counter[tuple[object, ...]] = Counter()
        for finding in result.findings:
            if finding.waived and not waived:
                continue
            cause = finding.cause or finding.message
            key: tuple[object, ...] = (finding.code, finding.severity, cause, finding.waived)
            if one_by_one:
                key = (*key, finding.items)
                own[key] += 1
                key = (*key, own[key])
            found.setdefault(key, []).append((finding, result))
    return [_cause(held) for held in found.values()]


def ranked(found: Iterable[Cause]) -> list[Cause]:
    """Return the causes with the worst first, of these the one in most subjects."""
    return sorted(found, key=lambda cause: (_RANK[cause.severity], -len(cause.subjects), cause.code, cause.text))


def _cause(held: Sequence[tuple[Finding, Result]]) -> Cause:
    first = held[0][0]
    return Cause(
        code=first.code,
        name=first.name,
        severity=first.severity,
        text=first.cause or first.message,
        held=tuple(held),
    )
