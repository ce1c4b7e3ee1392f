"""`runworthy undo`, `history` and `recover` as people meet them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runworthy.model.edit import EditText, SetMode, ShareFile
from runworthy.model.storage import How
from runworthy.remedies.applying import Ground, apply
from runworthy.remedies.journal import Journal, journal_directory
from runworthy.remedies.sharing import share
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


def test_files_that_share_are_counted(runworthy: Run, state: Path, tmp_path: Path) -> None:
    """They may be thousands: -v names them, and so does JSON."""
    shares = []
    for number in range(30):
        kept, path = tmp_path / f"kept{number}", tmp_path / f"path{number}"
        for one in (kept, path):
            one.write_bytes(b"x" * (1024 * (number + 1)))
        names: tuple[str, ...] = (str(path),)
        if number == 3:
            os.link(path, tmp_path / "second")
            names = (str(path), str(tmp_path / "second"))
        how: How = "symlink" if number < 2 else "hardlink"
        shares.append(ShareFile(paths=names, kept=str(kept), how=how, size=1024))
    assert not share(shares, Journal(), title="share what is stored again", subject="here").left
    told = runworthy("history").out.splitlines()
    assert told[0].endswith("here: share what is stored again")
    assert told[1:] == [
        "  share the bytes of 2 files, 3.0 KiB, by symbolic links",
        "  share the bytes of 28 files (29 names), 462.0 KiB, by hard links",
        "  -v names them",
    ]
    told = runworthy("history", "-v").out.splitlines()
    assert len(told) == 32
    assert told[-1].endswith(f"path29 to {tmp_path}/kept29")
    assert len(json.loads(runworthy("history", "--format", "json").out)["entries"][0]["changes"]) == 31
    told = runworthy("undo", "--dry-run").out.splitlines()
    assert told[1:] == [
        "  give 30 files (31 names) bytes of their own again, 465.0 KiB, for which there has to be room",
        f"    465.0 KiB  30 files (31 names)  {tmp_path}",
        "  -v names them",
    ]
    assert len(runworthy("undo", "--dry-run", "-v").out.splitlines()) == 33
    assert runworthy("undo").code == 0
    assert runworthy("history").out.splitlines()[1].endswith("by symbolic links; 2 of them not, or no longer")


def test_what_undoing_thousands_would_do_is_told_by_directories(runworthy: Run, state: Path, tmp_path: Path) -> None:
    """As deep as they can be and be few. What was changed since is told in part, too; -v names all."""
    shares = []
    for number in range(120):
        kept = tmp_path / f"kept/{number}"
        path = tmp_path / f"envs/{'ab'[number % 2]}/lib/{number % 40}/{number}"
        for one in (kept, path):
            one.parent.mkdir(parents=True, exist_ok=True)
            one.write_bytes(b"x" * 2048)
        shares.append(ShareFile(paths=(str(path),), kept=str(kept), how="hardlink", size=2048))
    assert not share(shares, Journal(), title="share", subject="envs").left
    ended = runworthy("undo", "--dry-run")
    assert ended.code == 0
    assert ended.out.splitlines()[1:] == [
        "  give 120 files bytes of their own again, 240.0 KiB, for which there has to be room",
        f"    120.0 KiB  60 files  {tmp_path}/envs/a/lib",
        f"    120.0 KiB  60 files  {tmp_path}/envs/b/lib",
        "  -v names them",
    ]
    for edit in shares[:50]:
        Path(edit.paths[0]).unlink()
    ended = runworthy("undo", "--dry-run")
    assert ended.code == 1
    told = ended.out.splitlines()
    assert told[-1] == "  and 34 more such (-v)"
    assert sum(line.endswith("is no longer as it was left") for line in told) == 16
    told = runworthy("undo", "--dry-run", "-v").out.splitlines()
    assert sum(line.endswith("is no longer as it was left") for line in told) == 50
    assert sum(line.startswith("  take back: ") for line in told) == 120


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
