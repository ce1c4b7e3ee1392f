"""gcompat as a remedy: proved only where its package has every symbol, and then the program really runs."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

import runworthy
from runworthy.engine import Wishes
from runworthy.library.asking import target_names
from runworthy.model.edit import InstallPackages, UnpackPackage
from runworthy.model.finding import Remedy
from runworthy.remedies.fixing import plans
from runworthy.remedies.gcompat_names import NAMES
from runworthy.remedies.situation import Means
from tests.differential.test_gcompat import CASES, archive, package, programs
from tests.judges import roots
from tests.judges.panel import Judge

__all__ = ["package", "programs"]

pytestmark = pytest.mark.judge

ROOT = "musl-1.2.5-x86_64"


@pytest.fixture(scope="module")
def alpine(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Path:
    """A root of Alpine's kind, with the programs."""
    made = tmp_path_factory.mktemp("alpine") / "root"
    shutil.copytree(roots.requires(ROOT).path, made, symlinks=True)
    shutil.copytree(programs / "opt", made / "opt")
    (made / "etc/os-release").write_text("ID=alpine\nVERSION_ID=3.20.0\n")
    return made


def _remedies(root: Path, name: str, *given: Path) -> list[Remedy]:
    """Return the remedies of a program that need nothing but gcompat."""
    targets = target_names([str(root)])
    subject = str(root / "opt/app" / name)
    report = runworthy.check(subject, on=str(root), trace=True)
    means = Means(scratch=str(root.parent), packages=tuple(map(str, given)))
    (planned,) = plans(report, targets, Wishes(), means)
    return [one for one in planned.plan.remedies if "gcompat" in one.title and len(one.edits) <= 1]


@pytest.mark.parametrize("name", CASES)
def test_it_is_proved_where_the_program_really_runs(
    alpine: Path,
    package: Path,
    tmp_path: Path,
    name: str,
) -> None:
    apk = archive(package, tmp_path / "gcompat-1.1.0-r4.apk")
    found = _remedies(alpine, name, tmp_path)
    with Judge(roots.root(ROOT), layers=(package, alpine)) as judge:
        runs = judge.run([f"/opt/app/{name}"]).rc == 7
    assert [one.proved for one in found] == ([True] if runs else [False] if found else [])
    for one in found:
        (edit,) = (edit for edit in one.edits if isinstance(edit, InstallPackages))
        assert (edit.manager, edit.names) == ("apk", ("gcompat",))
        digest = hashlib.sha256(apk.read_bytes()).hexdigest()
        held = UnpackPackage(archive=str(apk), package="gcompat", sha256=digest, vouched="given")
        assert edit.effects == (held,)
        assert one.unsafe
        assert bool(one.leaves) != one.proved or not runs


def test_without_its_package_nothing_is_proved_and_what_it_lacks_is_known(alpine: Path) -> None:
    (remedy,) = _remedies(alpine, "checked")
    assert not remedy.proved
    assert "give its package" in remedy.proof
    assert _remedies(alpine, "lacks") == []


def test_elsewhere_it_is_not_proposed(alpine: Path, tmp_path: Path) -> None:
    other = tmp_path / "root"
    shutil.copytree(alpine, other, symlinks=True)
    (other / "etc/os-release").write_text("ID=chimera\n")
    assert _remedies(other, "plain") == []


def test_the_names_are_gcompats() -> None:
    assert {"__printf_chk", "gnu_get_libc_version", "secure_getenv", "__strtol_internal"} <= NAMES
    assert not {"mallinfo2", "__isoc23_strtol", "printf"} & NAMES
