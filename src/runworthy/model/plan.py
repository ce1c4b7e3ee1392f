"""Plans: what would make subjects run on a target, and what became of carrying one of them out."""

from __future__ import annotations

from runworthy.model.finding import Remedy, Report
from runworthy.model.records import dataclass

__all__ = ["FixReport", "Plan", "Repair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is proposed for the subjects that do not run on one target, the best first.

    ``subjects`` are their names. Remedies that are proved leave nothing unmet for any of them.
    """

    target: str
    subjects: tuple[str, ...]
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A remedy that was carried out. ``entry`` is the journal's name for it, which takes it back.

    ``kept``: it is in place; otherwise it was taken back at once, or not done, and ``why`` tells what was wrong.
    ``runs``: the subjects run now, judged on the real thing, or will once the proved edit of a Dockerfile is built.
    ``told`` are lines to read: what programs said, what the smoke test ended with.
    """

    target: str
    remedy: Remedy
    entry: str = ""
    kept: bool = False
    runs: bool = False
    why: str = ""
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FixReport:
    """What was judged, what is proposed for what does not run, and what was carried out."""

    report: Report
    plans: tuple[Plan, ...] = ()
    repairs: tuple[Repair, ...] = ()

    def exit_code(self) -> int:
        """Return 0 where everything that was asked for runs now, else 1 or 4 (DESIGN section 5)."""
        mended = {repair.target for repair in self.repairs if repair.runs}
        left = [one for one in self.report.results if one.target not in mended and one.verdict in ("fails", "unknown")]
        if any(one.verdict == "fails" for one in left) or any(not repair.kept for repair in self.repairs):
            return 1
        return 4 if left else 0
