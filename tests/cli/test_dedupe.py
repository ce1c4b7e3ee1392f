"""`runworthy dedupe` as people meet it: reports, exit codes, sharing and what takes it back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from runworthy.cli import main
from runworthy.library import dedupe, storage
from runworthy.model.records import replace
from tests.cli.conftest import Ended, Run
from tests.report.test_document import validate

LIBRARY = b"a library" * 20_000
SCHEMA = "runworthy.dedupe-1.json"


@pytest.fixture
def runworthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process, in a directory with three trees, with a journal and an index of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("RUNWORTHY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, data in (("a/data.bin", LIBRARY), ("b/data.bin", LIBRARY), ("b/other.bin", LIBRARY[:-1] + b"!")):
        path = tmp_path / "envs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for directory in ("state", "cache", "home"):
        (tmp_path / directory).mkdir()

    def run(*arguments: str) -> Ended:
        code = main(arguments)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run


def _inodes(tmp_path: Path) -> Mapping[str, int]:
    files = sorted((tmp_path / "envs").rglob("*.bin"))
    return {str(path.relative_to(tmp_path / "envs")): path.stat().st_ino for path in files}


def test_equal_files_are_told_and_nothing_is_changed(runworthy: Run, tmp_path: Path) -> None:
    before = _inodes(tmp_path)
    ended = runworthy("dedupe", "envs", "--how", "hardlink")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("176.0 KiB of 528.0 KiB is stored again")
    assert "note[RW815]" in ended.out
    assert _inodes(tmp_path) == before
    assert not list((tmp_path / "state").iterdir())


def test_sharing_and_back(runworthy: Run, tmp_path: Path) -> None:
    before = _inodes(tmp_path)
    assert runworthy("dedupe", "envs", "--how", "hardlink", "--dry-run", "-q").code == 0
    assert _inodes(tmp_path) == before
    ended = runworthy("dedupe", "envs", "--how", "hardlink", "--apply")
    assert ended.code == 0
    held = _inodes(tmp_path)
    assert held["a/data.bin"] == held["b/data.bin"] != held["b/other.bin"]
    assert "nothing is stored again" in runworthy("dedupe", "envs", "--how", "hardlink").out
    assert "share the bytes of 1 file, 175.8 KiB, by hard links" in runworthy("history").out
    assert runworthy("undo").code == 0
    again = _inodes(tmp_path)
    assert len(set(again.values())) == 3
    assert (tmp_path / "envs" / "b" / "data.bin").read_bytes() == LIBRARY


def test_a_bound_in_ci(runworthy: Run) -> None:
    assert runworthy("dedupe", "envs", "--how", "hardlink", "--fail-over", "100k").code == 1
    assert runworthy("dedupe", "envs", "--how", "hardlink", "--fail-over", "0.5MiB").code == 0
    assert runworthy("dedupe", "envs", "--how", "hardlink", "--fail-over", "100k", "--apply").code == 0


def test_only_what_is_new(runworthy: Run, tmp_path: Path) -> None:
    bound = ("dedupe", "envs", "--how", "hardlink", "--new", "--fail-over", "1")
    assert runworthy(*bound).code == 1
    told = runworthy(*bound)
    assert (told.code, told.out.splitlines()[0].partition(" in ")[0]) == (0, "nothing is newly stored again")
    (tmp_path / "envs" / "c.bin").write_bytes(LIBRARY)
    told = runworthy(*bound, "--format", "json", "-v")
    assert told.code == 1
    validate(told.out, SCHEMA)
    held = json.loads(told.out)
    assert [one["path"] for one in held["spares"]] == [str(tmp_path / "envs" / "c.bin")]


def test_sets_without_reasons(runworthy: Run) -> None:
    ended = runworthy("dedupe", "envs", "--no-reasons", "--min-size", "1")
    assert ended.out.splitlines()[0] == "176.0 KiB of 528.0 KiB is stored again; what of it can be freed was not asked"
    assert "  2 files of 175.8 KiB\n    a/data.bin\n    b/data.bin\n" in ended.out
    told = runworthy("dedupe", "envs", "--no-reasons", "--format", "json").out
    validate(told, SCHEMA)
    held = json.loads(told)
    names = [file["names"] for file in held["copies"][0]["files"]]
    assert names == [[str(Path("envs", name).resolve())] for name in ("a/data.bin", "b/data.bin")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--apply", "--dry-run"), "--apply and --dry-run exclude each other"),
        (("--min-size", "many"), "many is no size"),
        (("--unused", "1y"), "1y is no age"),
        (("--no-reasons", "--fail-over", "1k"), "without reasons nothing is planned"),
        (("--no-reasons", "--apply"), "nothing can be shared without reasons"),
        (("--recorded", "--apply"), "what is only recorded is not acted on"),
        (("--new", "--no-index"), "--new remembers what was told in the index"),
    ],
)
def test_what_is_refused(runworthy: Run, arguments: tuple[str, ...], message: str) -> None:
    ended = runworthy("dedupe", "envs", *arguments)
    assert ended.code == 2
    assert message in ended.err


def test_a_path_where_nothing_is(runworthy: Run) -> None:
    assert runworthy("dedupe", "nowhere").code == 3


@pytest.mark.parametrize("form", ["text", "markdown", "json", "html"])
def test_every_format(runworthy: Run, tmp_path: Path, form: str) -> None:
    ended = runworthy("dedupe", "envs", "--how", "hardlink", "--format", form, "-o", str(tmp_path / "report"))
    assert (ended.code, ended.out) == (0, "")
    assert "data.bin" in (tmp_path / "report").read_text("utf-8")


def test_nothing_is_shared_that_was_not_searched(runworthy: Run, tmp_path: Path) -> None:
    """Whatever stands in the plan. Files and caches that were searched may be named."""
    del runworthy
    report = dedupe("envs", how="hardlink", caches=False, dry_run=True)
    (waste,) = report.wastes
    (share,) = waste.shares
    outside = tmp_path / "outside.bin"
    outside.write_bytes(LIBRARY)
    for astray in (replace(share, paths=(str(outside),)), replace(share, kept=str(outside))):
        done = storage.carried_out(replace(report, wastes=(replace(waste, shares=(astray,)),)), None).reclaimed
        assert done is not None
        assert [why for _, why in done.left] == ["it lies outside of what may be changed"]
    before = _inodes(tmp_path)
    done = dedupe(["envs/a/data.bin", "envs/b/data.bin"], how="hardlink", caches=False, apply=True).reclaimed
    assert done is not None
    assert not done.left
    assert _inodes(tmp_path) != before


@pytest.mark.parametrize("what", ["envs", "envs/a", "envs/b"])
def test_what_becomes_a_link_meanwhile_leads_nowhere(runworthy: Run, tmp_path: Path, what: str) -> None:
    """Between the search and the act: a directory of the plan, or the one that was asked for, is another's now."""
    del runworthy
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "envs", other)
    before = {path: path.lstat().st_ino for path in other.rglob("*")}

    def meddle(stage: str, _done: int, _total: int) -> None:
        if stage == "share" and not (tmp_path / what).is_symlink():
            (tmp_path / what).rename(tmp_path / "moved")
            (tmp_path / what).symlink_to(tmp_path / what.replace("envs", "other"))

    done = dedupe("envs", how="hardlink", caches=False, apply=True, watch=meddle).reclaimed
    assert done is not None
    assert not done.shared
    assert len(done.left) == 1
    assert {path: path.lstat().st_ino for path in other.rglob("*")} == before
