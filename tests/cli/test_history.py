"""`runworthy undo`, `history` and `recover` as people meet them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runworthy.model.edit import EditText, SetMode
from runworthy.remedies.applying import Ground, apply
from runworthy.remedies.journal import Journal, journal_directory
from tests.cli.conftest import Run


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def changed(state: Path, tmp_path: Path) -> Path:
    """A file that two entries of the journal changed."""
    path = tmp_path / "changed"
    path.write_bytes(b"old\n")
    ground = Ground(root=None)
    for edit, title in (
        (EditText(path=f"/subject{path}", before=b"old\n", after=b"new\n", what="the word"), "say it anew"),
        (SetMode(path=f"/subject{path}", mode=0o755), "chmod +x"),
    ):
        apply([edit], ground, Journal(), subject="changed", target="debian:12", title=title)
    return path


def test_nothing_was_ever_changed(runworthy: Run, state: Path) -> None:
    assert runworthy("history")[:2] == (0, "nothing was changed\n")
    assert runworthy("recover")[:2] == (0, "nothing was cut off\n")
    ended = runworthy("undo")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"error: there is nothing to undo in {state}/runworthy/journal\n"
    assert not (state / "runworthy").exists() or os.listdir(state / "runworthy/journal") == [".lock"]


def test_history_and_undo(runworthy: Run, changed: Path) -> None:
    first, second = (entry.id for entry in Journal().entries())
    told = runworthy("history").out.splitlines()
    assert [line.split("  ")[0] for line in told if line.startswith("2")] == [first, second]
    assert told[0].endswith("UTC  changed on debian:12: say it anew")
    assert told[1] == f"  edit {changed}: the word"
    held = json.loads(runworthy("history", "--format", "json").out)
    assert held["schema"] == "runworthy.history/1"
    assert [entry["state"] for entry in held["entries"]] == ["applied", "applied"]

    ended = runworthy("undo", "--dry-run")
    assert (ended.code, ended.out.splitlines()[0]) == (0, f"{second}: changed on debian:12: chmod +x")
    assert changed.stat().st_mode & 0o777 == 0o755
    ended = runworthy("undo")
    assert (ended.code, ended.out) == (0, f"{second} undone: changed on debian:12: chmod +x\n")
    assert changed.stat().st_mode & 0o777 == 0o644

    changed.write_bytes(b"mine\n")
    ended = runworthy("undo", "--dry-run")
    assert ended.code == 1
    assert ended.out.endswith(f"  {changed} is no longer as it was left\n")
    ended = runworthy("undo")
    assert ended.code == 2
    assert ended.err == (
        f"error: {changed} is no longer as it was left; nothing was undone\n"
        "hint: `--force` takes it back all the same\n"
    )
    assert runworthy("undo", first, "--force").code == 0
    assert changed.read_bytes() == b"old\n"
    assert "has been taken back already" in runworthy("undo", first).err


def test_what_is_forgotten(runworthy: Run, changed: Path) -> None:
    first, second = (entry.id for entry in Journal().entries())
    ended = runworthy("history", "--forget", first)
    assert (ended.code, ended.out) == (0, f"{first} forgotten\n")
    assert runworthy("history", "--older-than", "1d").out == ""
    assert runworthy("history", "--older-than", "0h").code == 0
    assert [entry.id for entry in Journal().entries()] in ([second], [])
    assert runworthy("undo", first).code == 2
    ended = runworthy("history", "--older-than", "soon")
    assert (ended.code, ended.err.splitlines()[0]) == (2, "error: soon is no age")


def test_what_cannot_be_read_is_told(runworthy: Run, changed: Path) -> None:
    first, second = (entry.id for entry in Journal().entries())
    path = Path(journal_directory(), second, "entry.json")
    path.write_text("{")
    ended = runworthy("history")
    assert ended.code == 0
    assert f"{second}  unreadable  {path}: " in ended.out
    assert runworthy("undo").code == 2
    assert runworthy("undo", first, "--force").code == 0
    assert path.read_text() == "{"


def test_recover(runworthy: Run, changed: Path) -> None:
    entry = Journal().entries()[-1]
    path = Path(journal_directory(), entry.id, "entry.json")
    path.write_text(path.read_text().replace('"state": "applied"', '"state": "applying"'))
    ended = runworthy("undo", entry.id)
    assert ended.err.endswith("hint: `runworthy recover` takes it back\n")
    ended = runworthy("recover")
    assert (ended.code, ended.out) == (0, f"{entry.id} rolled back: changed on debian:12: chmod +x\n")
    assert changed.stat().st_mode & 0o777 == 0o644
    assert "because: it was cut off" in runworthy("history").out
