"""What stands in the journal is read back as it was written, whatever made the change."""

from __future__ import annotations

from pathlib import Path

import pytest

from runworthy.remedies.journal import (
    ABSENT,
    Change,
    Entry,
    FileChange,
    Held,
    Journal,
    KernelChange,
    ProgramChange,
    TouchedDirectory,
)

CHANGES: tuple[Change, ...] = (
    FileChange(words="write", base="/", path="/a", before=ABSENT, after=Held(kind="file", mode=0o644, mtime=-1)),
    KernelChange(words="register", point="/proc/x", writes=(("a", "b"),), back=(), before=(), after=(("a", "b"),)),
    ProgramChange(words="install", root="/", argv=("apt",), before=(("a", "1"),), after=(("a", "2"),)),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: one.kind)
def test_what_is_written_is_read(tmp_path: Path, change: Change) -> None:
    journal = Journal(str(tmp_path / "journal"))
    touched = TouchedDirectory(base="/", path="/", mtime=5, names="", after=7)
    with journal.locked():
        entry = journal.begin(Entry(id="", token="0" * 16, changes=(change,), directories=(touched,)))
    assert journal.entries() == [entry]
