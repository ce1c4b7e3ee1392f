"""Releases as a registry has them, against the same files unpacked: pairs, changes, verdicts and floors are equal.

The unpackers are the judges: that of Python's own ``zipfile`` for wheels, dpkg-deb for a package that is made
of one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runworthy
from runworthy.report.diff_json import diff_json
from runworthy.report.floor_document import floor_json
from tests.judges.roots import lacking, requires_tool

pytestmark = [pytest.mark.judge, pytest.mark.slow]

PLATFORMS = ("manylinux2014_x86_64", "manylinux2014_aarch64", "musllinux_1_1_x86_64")
RELEASES = {"old": ("markupsafe==2.1.3", "pyzmq==25.1.1"), "new": ("markupsafe==2.1.5", "pyzmq==26.2.0")}
ON = ("debian:11", "debian:12", "alpine:3.20", "ubuntu:22.04")


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetch the wheels of two projects in two releases each."""
    top = tmp_path_factory.mktemp("releases")
    for name, wanted in RELEASES.items():
        for platform in PLATFORMS:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
            command += ["--python-version", "3.11", "--platform", platform, "-d", str(top / name), *wanted]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                lacking(f"no {platform} of {' and '.join(wanted)}: {done.stderr.strip()[-200:]}")
    return top


def unpack(wheel: Path, directory: Path) -> Path:
    """Unpack a wheel, with the modes that it states."""
    with zipfile.ZipFile(wheel) as archive:
        for row in archive.infolist():
            path = Path(archive.extract(row, directory))
            if not row.is_dir():
                path.chmod((row.external_attr >> 16) & 0o777 or 0o644)
    return directory


def wheels(releases: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the old and the new wheel of each project and platform."""
    for pair in runworthy.diff(releases / "old", releases / "new", on="debian:12").assets:
        assert pair.old
        assert pair.new
        yield Path(pair.old), Path(pair.new)


def told(text: str) -> Any:  # noqa: ANN401 - JSON
    """Return a document without the names that builds were given by."""
    document = json.loads(text)
    for key in ("old", "new"):
        document.pop(key)
    for one in document["pairs"]:
        one.pop("old"), one.pop("new")
    for one in document["floors"]:
        one["file"] = one["file"] and one["file"].rpartition("/")[2]
    return document


def test_a_wheel_compares_as_what_is_unpacked(releases: Path, tmp_path: Path) -> None:
    number = 0
    for old, new in wheels(releases):
        loose = [unpack(one, tmp_path / one.parent.name / one.stem) for one in (old, new)]
        wanted = told(diff_json(runworthy.diff(loose[0], loose[1], on=ON)))
        for before, after in ((old, new), (old, loose[1]), (loose[0], new)):
            assert told(diff_json(runworthy.diff(before, after, on=ON))) == wanted, (before, after)
        assert all(one.identical for one in runworthy.diff(new, loose[1], on=ON).pairs)
        number += len(wanted["pairs"])
    assert number > 6 * len(RELEASES)


def test_the_floors_of_a_wheel_are_those_of_what_is_unpacked(releases: Path, tmp_path: Path) -> None:
    for wheel in sorted((releases / "new").iterdir()):
        directory = unpack(wheel, tmp_path / wheel.stem)
        shipped = []
        for name in (str(wheel), str(directory)):
            text = floor_json(runworthy.floor(name)).replace(f"{name}!", "").replace(f"{name}/", "")
            shipped.append(json.loads(text)["shipped"])
            for one in shipped[-1]:
                one.pop("asset")
        assert shipped[0] == shipped[1], wheel.name


def test_a_debian_package_compares_as_what_is_unpacked(releases: Path, tmp_path: Path) -> None:
    """Of a wheel's files, laid where no loader looks by itself: dpkg-deb packs and unpacks them."""
    dpkg = requires_tool("dpkg-deb", package="dpkg")
    for name in RELEASES:
        wheel = next(one for one in (releases / name).iterdir() if "pyzmq" in one.name and "x86_64" in one.name)
        unpack(wheel, tmp_path / f"{name}-made/opt/zmq")
        made, package = tmp_path / f"{name}-made", tmp_path / f"{name}.deb"
        control = made / "DEBIAN/control"
        control.parent.mkdir()
        control.write_text("Package: zmq\nVersion: 1\nArchitecture: amd64\nMaintainer: a <a@b>\nDescription: zmq\n")
        subprocess.run([dpkg, "-b", made, package], check=True, capture_output=True)
        subprocess.run([dpkg, "-x", package, tmp_path / name], check=True)
    wanted = told(diff_json(runworthy.diff(tmp_path / "old", tmp_path / "new", on=ON)))
    assert wanted["pairs"]
    assert told(diff_json(runworthy.diff(tmp_path / "old.deb", tmp_path / "new.deb", on=ON))) == wanted
