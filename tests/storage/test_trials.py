"""Links between two directories, tried for real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runworthy.targets.storage.trials import trial
from tests.storage import ground


def _two(below: Path) -> tuple[Path, Path]:
    for name in ("cache", "env"):
        (below / name).mkdir(exist_ok=True)
        (below / name / "file").write_bytes(b"x")
        os.utime(below / name, ns=(1_000_000_000, 2_000_000_000))
    return below / "cache", below / "env"


def _as_it_was(*directories: Path) -> None:
    for one in directories:
        assert sorted(os.listdir(one)) == ["file"]
        assert (one.stat().st_mtime_ns, (one / "file").read_bytes()) == (2_000_000_000, b"x")


def test_a_link_is_tried_and_nothing_is_left(tmp_path: Path) -> None:
    cache, env = _two(tmp_path)
    found = trial(str(cache), str(env))
    assert (found.source, found.target, found.hard) == (str(cache), str(env), "")
    _as_it_was(cache, env)


def test_a_directory_that_is_not_there_stands_for_the_next(tmp_path: Path) -> None:
    """It is not made."""
    cache, env = _two(tmp_path)
    found = trial(str(cache / "not" / "there"), str(env))
    assert (found.source, found.hard) == (str(cache / "not" / "there"), "")
    _as_it_was(cache, env)


def test_one_directory_is_two_places_as_well(tmp_path: Path) -> None:
    cache, _ = _two(tmp_path)
    assert trial(str(cache), str(cache)).hard == ""
    _as_it_was(cache)


@pytest.mark.parametrize("kind", ["link", "copy"])
def test_what_is_no_hard_link_is_not_called_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """BeeGFS made symbolic links, OrbStack copies: what is looked at is what was made."""

    def link(source: str, target: str, **_: object) -> None:
        if kind == "link":
            os.symlink(source, target)
        else:
            Path(target).write_bytes(Path(source).read_bytes())

    monkeypatch.setattr(os, "link", link)
    cache, env = _two(tmp_path)
    assert trial(str(cache), str(env)).hard == f"link(2) made {'something else' if kind == 'link' else 'a copy'}"
    _as_it_was(cache, env)


@pytest.mark.judge
def test_file_systems_answer_for_themselves(tmp_path: Path) -> None:
    with ground.made("ext4", tmp_path) as one, ground.made("xfs", tmp_path) as other:
        cache, _ = _two(one.path)
        xfs_cache, env = _two(other.path)
        assert _tried(cache, env) == ("EXDEV", "EXDEV")
        assert _tried(cache, one.path / "env") == ("", "EOPNOTSUPP")
        assert _tried(xfs_cache, env) == ("", "")
        _as_it_was(cache, env, xfs_cache)


@pytest.mark.judge
def test_mounts_and_subvolumes_answer_for_themselves(btrfs: ground.Ground) -> None:
    """Reflinks cross both (since Linux 5.18), hard links neither."""
    cache, env = _two(btrfs.path)
    other = btrfs.subvolume("other")
    assert _tried(cache, env) == ("", "")
    assert _tried(cache, other) == ("EXDEV", "")
    with ground.bound(cache, btrfs.path / "seen") as seen:
        assert _tried(seen, env) == ("EXDEV", "")
    _as_it_was(cache, env)


@pytest.mark.judge
def test_what_cannot_be_written_says_so(ext4: ground.Ground) -> None:
    cache, env = _two(ext4.path)
    ext4.read_only()
    assert _tried(cache, env) == ("EROFS", "EROFS")
    ext4.writable()
    _as_it_was(cache, env)


def _tried(source: Path, target: Path) -> tuple[str, str]:
    found = trial(str(source), str(target))
    return found.hard, found.clone
