"""RW131: a file with a part for Windows is larger than what Windows starts."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Severity
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_

CODE = "RW131"
NAME = "too-large-for-windows"
SINCE = "0.2.0"
SEVERITY: Severity = "note"
READS = ("exec-format", "rewritten", "taken-by")
ORDER = 80

_LARGEST = 1 << 32  # bytes: offsets in a PE file are 32 bits wide


def check(case: Case) -> Iterator[Match]:
    """Yield the file that runs everywhere but on Windows."""
    file = case.file
    if file is None or file.size <= _LARGEST:
        return
    if file.pe is None and (file.ape is None or file.ape.pe is None):
        return
    yield Match(
        finding=finding(
            case,
            (CODE, NAME, SEVERITY),
            f"`{case.subject}` has {file.size / (1 << 30):.1f} GiB, and Windows starts no program larger than 4 GiB",
            cause="too large to start on Windows",
            steps=(),
            stage="exec",
            notes=("Windows says `This app can't run on your PC`; Linux and macOS have no such limit",),
            remedies=(help_("for Windows, keep the data (weights) in a file beside the program"),),
        )
    )
