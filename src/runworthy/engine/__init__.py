"""Subjects x targets: facts read once, judged on every target, told by the rules, assembled into the report."""

from __future__ import annotations

from runworthy.engine.check import Engine, Wishes
from runworthy.engine.subjects import missing_subjects
from runworthy.engine.verdict import verdict_of

__all__ = ["Engine", "Wishes", "missing_subjects", "verdict_of"]
