"""What ``import runworthy`` offers: the commands as functions, and the objects that they return.

``docs/library.md`` tells it with examples. What stands in ``__all__`` is kept stable, as the command line is; every
function takes what the command of its name takes, under the same names (``--page-size`` is ``page_size``, ``--with`` is
``with_``), and the command line is made of these functions. They print nothing, and no variable of the environment
stands for an argument.

``judging`` has ``check``, around which everything else is; what their arguments mean stands in ``asking``. Each name is
imported when it is first used: a start is not to wait for what it has no use for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runworthy.configuration.model import Configuration
    from runworthy.library.asking import Path
    from runworthy.library.comparing import diff, diff_targets
    from runworthy.library.judging import check, check_project, load_configuration
    from runworthy.library.measuring import measure
    from runworthy.library.reading import explain, inspect, list_rules, list_targets, snapshot
    from runworthy.library.releases import floor, matrix
    from runworthy.library.repairing import fix, forget, history, recover, undo
    from runworthy.library.storage import dedupe
    from runworthy.library.writing import export, render
    from runworthy.model.arch import Architecture
    from runworthy.model.archive import ArchiveFacts, Container, MemberFacts, Oddity
    from runworthy.model.difference import AssetPair, Cell, Change, Difference, FloorChange, Outcome, Pair, SymbolChange
    from runworthy.model.elf import ElfFacts, ElfFile
    from runworthy.model.errors import FormatError, RemedyError, RunworthyError, SubjectError, TargetError, UsageError
    from runworthy.model.finding import Finding, Limits, Remedy, Report, Result, Severity, Tree, Verdict
    from runworthy.model.floor import Breach, Floor, FloorReport, Reason, Rung, ShippedFloor
    from runworthy.model.machine import Machine
    from runworthy.model.matrix import Asset, Claims, Column, Job, Matrix, Misnaming, Redundancy, Served
    from runworthy.model.measurement import Comparison, Measured, Measurement, Ratio, Run, Spread, Way
    from runworthy.model.plan import FixReport, Plan, Repair
    from runworthy.model.program import ApeElf, ApeFacts, ApeLoader, FileFacts, MachoFacts, PeFacts, ScriptLine
    from runworthy.model.storage import (
        Advice,
        Build,
        Clash,
        Copies,
        Environment,
        Idle,
        Owner,
        Partial,
        Place,
        Reclaimed,
        Spare,
        StorageReport,
        StoredFile,
        Waste,
    )
    from runworthy.model.target_difference import TargetDifference
    from runworthy.model.trace import STAGES, Answer, Event, Evidence, Need, Probe, Stage, Step, Stretch, Trace
    from runworthy.model.waiver import Waiver
    from runworthy.remedies.applying.backwards import Undone
    from runworthy.remedies.journal import Entry
    from runworthy.report.page import Explanation
    from runworthy.targets.catalogue import Summary
    from runworthy.targets.snapshot.capture import Captured

__all__ = [
    "STAGES",
    "Advice",
    "Answer",
    "ApeElf",
    "ApeFacts",
    "ApeLoader",
    "Architecture",
    "ArchiveFacts",
    "Asset",
    "AssetPair",
    "Breach",
    "Build",
    "Captured",
    "Cell",
    "Change",
    "Claims",
    "Clash",
    "Column",
    "Comparison",
    "Configuration",
    "Container",
    "Copies",
    "Difference",
    "ElfFacts",
    "ElfFile",
    "Entry",
    "Environment",
    "Event",
    "Evidence",
    "Explanation",
    "FileFacts",
    "Finding",
    "FixReport",
    "Floor",
    "FloorChange",
    "FloorReport",
    "FormatError",
    "Idle",
    "Job",
    "Limits",
    "Machine",
    "MachoFacts",
    "Matrix",
    "Measured",
    "Measurement",
    "MemberFacts",
    "Misnaming",
    "Need",
    "Oddity",
    "Outcome",
    "Owner",
    "Pair",
    "Partial",
    "Path",
    "PeFacts",
    "Place",
    "Plan",
    "Probe",
    "Ratio",
    "Reason",
    "Reclaimed",
    "Redundancy",
    "Remedy",
    "RemedyError",
    "Repair",
    "Report",
    "Result",
    "Run",
    "Rung",
    "RunworthyError",
    "ScriptLine",
    "Served",
    "Severity",
    "ShippedFloor",
    "Spare",
    "Spread",
    "Stage",
    "Step",
    "StorageReport",
    "StoredFile",
    "Stretch",
    "SubjectError",
    "Summary",
    "SymbolChange",
    "TargetDifference",
    "TargetError",
    "Trace",
    "Tree",
    "Undone",
    "UsageError",
    "Verdict",
    "Waiver",
    "Waste",
    "Way",
    "check",
    "check_project",
    "dedupe",
    "diff",
    "diff_targets",
    "explain",
    "export",
    "fix",
    "floor",
    "forget",
    "history",
    "inspect",
    "list_rules",
    "list_targets",
    "load_configuration",
    "matrix",
    "measure",
    "recover",
    "render",
    "snapshot",
    "undo",
]

_PLACES = {
    "library.asking": ("Path",),
    "library.judging": ("check", "check_project", "load_configuration"),
    "library.writing": ("export", "render"),
    "library.comparing": ("diff", "diff_targets"),
    "library.releases": ("floor", "matrix"),
    "library.repairing": ("fix", "forget", "history", "recover", "undo"),
    "library.storage": ("dedupe",),
    "library.measuring": ("measure",),
    "library.reading": ("explain", "inspect", "list_rules", "list_targets", "snapshot"),
    "configuration.model": ("Configuration",),
    "model.arch": ("Architecture",),
    "model.archive": ("ArchiveFacts", "Container", "MemberFacts", "Oddity"),
    "model.difference": ("AssetPair", "Cell", "Change", "Difference", "FloorChange", "Outcome", "Pair", "SymbolChange"),
    "model.elf": ("ElfFacts", "ElfFile"),
    "model.errors": ("FormatError", "RemedyError", "RunworthyError", "SubjectError", "TargetError", "UsageError"),
    "model.finding": ("Finding", "Limits", "Remedy", "Report", "Result", "Severity", "Tree", "Verdict"),
    "model.floor": ("Breach", "Floor", "FloorReport", "Reason", "Rung", "ShippedFloor"),
    "model.machine": ("Machine",),
    "model.matrix": ("Asset", "Claims", "Column", "Job", "Matrix", "Misnaming", "Redundancy", "Served"),
    "model.measurement": ("Comparison", "Measured", "Measurement", "Ratio", "Run", "Spread", "Way"),
    "model.plan": ("FixReport", "Plan", "Repair"),
    "model.program": ("ApeElf", "ApeFacts", "ApeLoader", "FileFacts", "MachoFacts", "PeFacts", "ScriptLine"),
    "model.storage": (
        *("Advice", "Build", "Clash", "Copies", "Environment", "Idle", "Owner", "Partial", "Place", "Reclaimed"),
        *("Spare", "StorageReport", "StoredFile", "Waste"),
    ),
    "model.target_difference": ("TargetDifference",),
    "model.trace": ("STAGES", "Answer", "Event", "Evidence", "Need", "Probe", "Stage", "Step", "Stretch", "Trace"),
    "model.waiver": ("Waiver",),
    "remedies.applying.backwards": ("Undone",),
    "remedies.journal": ("Entry",),
    "report.page": ("Explanation",),
    "targets.catalogue": ("Summary",),
    "targets.snapshot.capture": ("Captured",),
}
"""The modules that define the public names."""


def __getattr__(name: str) -> object:
    """Import a public name."""
    for place, names in _PLACES.items():
        if name in names:
            from importlib import import_module

            found = globals()[name] = getattr(import_module(f"runworthy.{place}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
