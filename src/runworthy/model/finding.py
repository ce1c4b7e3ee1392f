"""Findings: one cause in people's words, with what would turn it away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from runworthy.model.trace import Evidence, Stage, Trace

__all__ = ["Finding", "Remedy", "Result", "Severity", "Verdict"]

Severity = Literal["error", "warning", "note"]
Verdict = Literal["runs", "risky", "unknown", "fails"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A proposal in words. Typed edits and their proof hang on it once there is a planner for them."""

    title: str
    applicability: Literal["safe", "unsafe", "manual"] = "manual"
    proved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause. ``message`` states facts, both sides; ``notes`` add facts; only ``remedies`` propose.

    ``subject_path`` is the object in which the cause lies, ``lines`` a small table shown under the message
    (the paths searched, the symbols that need a version).
    """

    code: str
    name: str
    severity: Severity
    message: str
    stage: Stage
    evidence: tuple[Evidence, ...] = ()
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One cell: a subject on a target. ``assumptions`` are printed wherever the verdict rests on them."""

    subject: str
    target: str
    verdict: Verdict
    stage: Stage | None
    findings: tuple[Finding, ...]
    trace: Trace
    summary: str = ""
    assumptions: tuple[str, ...] = field(default=())
