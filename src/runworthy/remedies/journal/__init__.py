"""The journal of what was changed: for each remedy that was carried out one directory that a person can read.

``entry.json`` says what was done, when, for what, and how each operation stands; ``before/`` holds what was there. It
is written anew and put in place by a rename each time, so that it is whole at any moment; an operation stands in it,
with what takes it back, before it is begun. What cannot be read is told and left alone.

Files are shared by the thousand, and to write all of them anew for each would take the square of their number. They
stand in ``shares.jsonl`` beside it, to which one line is added for each thing that comes to be known. It is on the
device before what it tells of is begun, so that a last line that is torn tells of nothing that was.

The records are in ``records``, the directory in ``store``, what is added to in ``share_log``, and what keeps others
from having this program do what they like in ``checking``.
"""

from runworthy.remedies.journal.records import (
    ABSENT,
    UNFINISHED,
    Change,
    Entry,
    FileChange,
    Held,
    KernelChange,
    ProgramChange,
    ShareChange,
    State,
    TouchedDirectory,
    as_json,
)
from runworthy.remedies.journal.share_log import ShareLog
from runworthy.remedies.journal.store import BEFORE, Journal, journal_directory

__all__ = [
    "ABSENT",
    "BEFORE",
    "UNFINISHED",
    "Change",
    "Entry",
    "FileChange",
    "Held",
    "Journal",
    "KernelChange",
    "ProgramChange",
    "ShareChange",
    "ShareLog",
    "State",
    "TouchedDirectory",
    "as_json",
    "journal_directory",
]
