"""Which file is the project's: the nearest one, never beyond the repository, and never one that does harm to read."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from runworthy.configuration.finding import LIMIT, find
from runworthy.configuration.reading import load
from runworthy.model.errors import UsageError

OURS = '[tool.runworthy]\nsubjects = "app"\n'
OTHERS = '[tool.other]\nname = "runworthy"\n'


def write(path: Path, text: str | bytes = 'subjects = "app"\n') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def found(directory: Path) -> str | None:
    directory.mkdir(parents=True, exist_ok=True)
    held = find(str(directory))
    return held.path if held else None


def test_the_nearest_wins(tmp_path: Path) -> None:
    top = write(tmp_path / "runworthy.toml")
    inner = write(tmp_path / "a" / "runworthy.toml")
    assert found(tmp_path) == found(tmp_path / "b" / "c") == str(top)
    assert found(tmp_path / "a" / "d" / "e") == str(inner)


def test_pyproject_counts_where_it_has_our_table(tmp_path: Path) -> None:
    top = write(tmp_path / "runworthy.toml")
    write(tmp_path / "a" / "pyproject.toml", OTHERS)
    ours = write(tmp_path / "a" / "b" / "pyproject.toml", OURS)
    write(tmp_path / "c" / "pyproject.toml", '[project]\nname = "runworthy"\n[tool]\n')
    assert found(tmp_path / "a") == found(tmp_path / "c") == str(top)
    assert found(tmp_path / "a" / "b" / "d") == str(ours)


@pytest.mark.parametrize("spelled", ["[tool.runworthy]\n", '[tool."runworthy"]\n', "[tool]\nrunworthy = {}\n"])
def test_spellings_of_the_table(tmp_path: Path, spelled: str) -> None:
    assert found(write(tmp_path / "pyproject.toml", spelled).parent) == str(tmp_path / "pyproject.toml")


def test_of_two_in_one_directory_ours_is_read_and_the_other_told(tmp_path: Path) -> None:
    write(tmp_path / "runworthy.toml", 'subjects = "own"\n')
    write(tmp_path / "pyproject.toml", OURS)
    held = load(directory=str(tmp_path))
    assert held is not None
    assert held.checks[0].subjects == ("own",)
    assert [note.rpartition("/")[2] for note in held.notes] == [
        "pyproject.toml is not read: runworthy.toml beside it is"
    ]
    write(tmp_path / "pyproject.toml", OTHERS)
    held = load(directory=str(tmp_path))
    assert held is not None
    assert held.notes == ()


@pytest.mark.parametrize("mark", [".git", ".hg", ".jj"])
def test_it_ends_at_the_top_of_a_repository(tmp_path: Path, mark: str) -> None:
    write(tmp_path / "runworthy.toml")
    (tmp_path / "repository" / mark).mkdir(parents=True)
    assert found(tmp_path / "repository" / "src") is None
    own = write(tmp_path / "repository" / "runworthy.toml")
    assert found(tmp_path / "repository" / "src") == str(own)


def test_a_worktree_has_a_file_for_its_mark(tmp_path: Path) -> None:
    write(tmp_path / "runworthy.toml")
    write(tmp_path / "worktree" / ".git", "gitdir: elsewhere\n")
    assert found(tmp_path / "worktree" / "src") is None


def test_a_linked_file_is_read_where_it_is_linked(tmp_path: Path) -> None:
    write(tmp_path / "shared" / "strict.toml", 'subjects = "app"\n')
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "runworthy.toml").symlink_to("../shared/strict.toml")
    held = load(directory=str(tmp_path / "a"))
    assert held is not None
    assert held.directory == str(tmp_path / "a")


def test_the_working_directory_may_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load() is None


def nested(depth: int) -> bytes:
    return b"subjects = " + b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"subjects = \n", "Invalid value (at line 1, column 12)"),
        (b"subjects = ['a'\n", "Unclosed array"),
        (b"subjects = 'a'\nsubjects = 'b'\n", "Cannot overwrite a value"),
        (b"\xef\xbb\xbfsubjects = 'a'\n", "Invalid statement (at line 1, column 1)"),
        (b"a = 1\n# \xff\n", "line 2 is no UTF-8"),
        (b"a = '\0'\n", "Found invalid character"),
        (nested(100_000), "values are nested too deeply"),
        (b"a." * 400_000 + b"a = 1\n", "a key has more than 64 parts"),
        (b"[" + b"'a' . " * 100_000 + b"a]\n", "a key has more than 64 parts"),
        (b"x = {" + b'"a".' * 100_000 + b"a = 1}\n", "a key has more than 64 parts"),
        (b"a = " + b"1" * 10_000, "Exceeds the limit"),
        (b"#" * (LIMIT + 1), "has more than 1 MiB"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_what_cannot_be_read_is_refused_at_once(tmp_path: Path, data: bytes, told: str) -> None:
    path = write(tmp_path / "runworthy.toml", data)
    begun = time.monotonic()
    with pytest.raises(UsageError) as refused:
        load(str(path))
    assert time.monotonic() - begun < 5
    assert told in str(refused.value)
    assert str(refused.value).partition(":")[0].partition(" has")[0].endswith("runworthy.toml")


@pytest.mark.parametrize(
    "data",
    [b"a" * 900_000, b'"' * 900_000, b"'a'" * 300_000, b"a-" * 450_000, b" " * 900_000, b"\n" * 900_000, b"[" * 9],
)
def test_what_is_no_toml_takes_no_time(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path / "runworthy.toml", data)
    begun = time.monotonic()
    if data.strip():
        with pytest.raises(UsageError):
            load(str(path))
    else:
        assert load(str(path)) is not None
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("kind", ["pipe", "directory", "nothing", "loop"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "runworthy.toml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(path if kind == "loop" else "nowhere")
    with pytest.raises(UsageError) as refused:
        find(str(tmp_path))
    assert "runworthy.toml" in str(refused.value)


def test_a_pyproject_that_others_must_mend_is_passed_over(tmp_path: Path) -> None:
    top = write(tmp_path / "runworthy.toml")
    write(tmp_path / "a" / "pyproject.toml", "[project]\nname = runworthy\n")
    assert found(tmp_path / "a") == str(top)
    write(tmp_path / "a" / "pyproject.toml", "[tool.runworthy]\nsubjects = app\n")
    with pytest.raises(UsageError, match="Invalid value"):
        found(tmp_path / "a")
