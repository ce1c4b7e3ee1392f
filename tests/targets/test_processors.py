"""What a distribution's own libraries ask of the processor: nothing of it starts on a lesser one."""

from __future__ import annotations

from pathlib import Path

import pytest

import runworthy
from tests.world import make

LEVELS = ("x86-64-v1", "x86-64-v2", "x86-64-v3", "x86-64-v4")


@pytest.mark.parametrize(
    ("target", "least"),
    [
        ("debian:13", 1),
        ("fedora:41", 1),
        ("rhel:8", 1),
        ("rhel:9", 2),
        ("rockylinux:9", 2),
        ("centos:stream10", 3),
        ("rhel:10", 3),
        ("almalinux:10", 2),  # there is a build for either
        ("amazonlinux:2023", 2),
        ("opensuse/leap:16.0", 2),
    ],
)
def test_a_lesser_processor_is_refused_and_no_other_is_assumed(tmp_path: Path, target: str, least: int) -> None:
    make(tmp_path)
    app = tmp_path / ("app-1.0" if target == "rhel:8" else "app")
    stated = {level: runworthy.check(app, target, cpu=level).results[0] for level in LEVELS}
    assert [level for level, result in stated.items() if result.verdict == "fails"] == list(LEVELS[: least - 1])
    assert {result.stage for result in stated.values() if result.verdict == "fails"} <= {"machine"}
    (result,) = runworthy.check(app, target).results
    assert result.verdict == "runs"
    assert result.hardware is not None
    assert (result.hardware.level, result.hardware.level_stated) == (least, False)
