"""Findings: one cause in people's words, with what would turn it away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from runworthy.model.machine import Machine
from runworthy.model.records import dataclass, field
from runworthy.model.trace import Evidence, Stage, Step, Trace
from runworthy.model.waiver import Waiver

if TYPE_CHECKING:  # most reports propose no edits
    from runworthy.model.edit import Edit

__all__ = [
    "VERDICTS",
    "Approach",
    "Cost",
    "Finding",
    "Limits",
    "Remedy",
    "Report",
    "Result",
    "Severity",
    "Tree",
    "Verdict",
]

Severity = Literal["error", "warning", "note"]
Approach = Literal["configure", "patch", "install", "supply", "handler", "build", "target", "rebuild", ""]
"""What a remedy does: it changes a root's configuration; a copy of the subject; it has packages installed; it brings
files along; it changes who takes the file; takes another build, or another target; or has the subject built anew."""
Verdict = Literal["runs", "risky", "unknown", "fails"]
VERDICTS: tuple[Verdict, ...] = ("runs", "risky", "unknown", "fails")
"""The worst comes last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a remedy costs: packages to install, bytes that are added (None: not known), a build to be made."""

    packages: int = 0
    size: int | None = 0
    rebuild: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A proposal. ``edits`` are what it comes to, in their order; empty where only words can say it.

    ``safe``: nothing but what the person named is changed, and it can be taken back byte by byte; ``unsafe``: it
    changes how a machine treats other files too, or other programs carry it out; ``manual``: a person has to.
    ``proved``: judging again with the edits in place showed that the cause is gone, and that nothing else fails for
    it; ``proof`` says what was judged, or why that cannot be. ``stays``: so it is after the next boot as well.
    ``leaves`` are what it does not solve. ``recipe`` are lines for a person to follow, where edits cannot say it.
    ``path`` is the file that is to be run in the subject's place, ``elsewhere`` the target that takes the target's:
    both are empty where it is the same. ``unsafe`` says why somebody has to allow it, beyond what its edits say.
    """

    title: str
    applicability: Literal["safe", "unsafe", "manual"] = "manual"
    proved: bool = False
    edits: tuple[Edit, ...] = ()
    proof: str = ""
    stays: bool = False
    approach: Approach = ""
    cost: Cost = Cost()
    leaves: tuple[str, ...] = ()
    recipe: tuple[str, ...] = ()
    path: str = ""
    elsewhere: str = ""
    unsafe: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause. ``message`` states facts, both sides; ``notes`` add facts; only ``remedies`` propose.

    ``lines`` are a small table shown under the message (the paths searched, the symbols that need a version).
    ``cause`` is the same in words that name neither the subject nor the target: findings with one code and one cause
    are one thing to mend. ``items`` are what is missing, where that may differ between findings of one cause.
    ``weight`` is the verdict that what it explains would give alone. ``waived`` is what says that it does not count.
    """

    code: str
    name: str
    severity: Severity
    message: str
    stage: Stage
    cause: str = ""
    items: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    fingerprint: str = ""
    weight: Verdict = "runs"
    waived: Waiver | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One cell: a subject on a target. ``stage`` is where the verdict falls, None when it runs.

    ``target`` is empty where an archive is judged by itself: by what it says of itself, wherever it is taken;
    ``wanted`` is the target as it was asked for.
    ``machine``, ``libc`` and ``completeness`` say what was judged against; ``assumptions`` are printed
    wherever the verdict rests on them. ``path`` is where the subject lies in the root; ``hardware`` is the
    machine with what is assumed about it, ``arch_stated`` whether its architecture was the target's own
    rather than the subject's. ``unexplained`` are the steps that no rule has put into words; ``rest`` is the verdict
    that what no finding explains would give. ``target`` is empty of what is judged without one: a file of settings.
    """

    subject: str
    target: str
    verdict: Verdict
    stage: Stage | None
    findings: tuple[Finding, ...]
    trace: Trace
    machine: str = ""
    libc: str = ""
    completeness: str = "closed"
    assumptions: tuple[str, ...] = ()
    path: str = ""
    is_library: bool = False
    hardware: Machine | None = None
    arch_stated: bool = True
    as_of: str = ""
    notes: tuple[str, ...] = ()
    unexplained: tuple[Step, ...] = ()
    wanted: str = ""
    rest: Verdict = "runs"

    @property
    def counted(self) -> Verdict:
        """The verdict without what is waived. That of the trace stays as it is: a waiver mends nothing."""
        if not any(finding.waived for finding in self.findings):
            return self.verdict
        held = (self.rest, *(finding.weight for finding in self.findings if finding.waived is None))
        return max(held, key=VERDICTS.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A directory or archive that was given as subject, or lies in one.

    ``files`` is how many were looked at, ``subjects`` how many are judged. ``kind`` is what an archive is (``wheel``,
    ``zip``), empty for a directory; ``within`` the directory or archive that it was found in, empty for one that was
    named. ``links`` is the number of symbolic links, of which none was followed out of it; ``passed_over`` counts the
    ELF files that are no subjects by what they are; ``aliases`` are the other names of a subject in this tree, links
    and copies in one directory, which are not judged again.
    """

    name: str
    files: int
    subjects: int
    kind: str = ""
    within: str = ""
    links: int = 0
    passed_over: Mapping[str, int] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many cells may fail, be unknown or risky before the exit code says so. ``risky``: None for any number."""

    fails: int = 0
    unknown: int = 0
    risky: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report document: every cell in the order asked for. Reports in any format read nothing else.

    ``trees`` are the directories out of which subjects come.
    """

    results: tuple[Result, ...]
    trees: tuple[Tree, ...] = ()

    @property
    def waived(self) -> int:
        """The number of findings that are waived."""
        return sum(finding.waived is not None for result in self.results for finding in result.findings)

    def exit_code(self, *, fail_on_risky: bool = False, strict: bool = False, limits: Limits | None = None) -> int:
        """Return 0, 1 or 4 by DESIGN section 5; ``strict`` turns 4 into 1. What is waived does not count.

        ``limits`` are numbers of cells that may have a verdict all the same.
        """
        limits = limits or Limits()
        verdicts = [result.counted for result in self.results]
        most_risky = 0 if fail_on_risky and limits.risky is None else limits.risky
        if verdicts.count("fails") > limits.fails or (most_risky is not None and verdicts.count("risky") > most_risky):
            return 1
        return (1 if strict else 4) if verdicts.count("unknown") > limits.unknown else 0
