"""What the kernel would refuse is not planned, and not counted as what can be freed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from runworthy.engine.dedupe import Search, dedupe_of
from runworthy.targets.storage.ioctls import APPEND, IMMUTABLE, flags, set_flags

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files are shared on Linux"),
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="makes files immutable, and becomes others"),
]

_NOBODY = 65534


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal files in two directories."""
    names = tmp_path / "a/x.so", tmp_path / "b/x.so"
    for name in names:
        name.parent.mkdir()
        name.write_bytes(b"equal" * 20_000)
    return names


def _told(top: Path) -> tuple[str, bool]:
    """Return what keeps the second from being shared, and whether something can be freed."""
    report = dedupe_of(Search(paths=(str(top),), caches=False, index=False))
    (spare,) = report.spares
    return spare.bar, report.frees > 0


@pytest.mark.parametrize("flag", [IMMUTABLE, APPEND])
@pytest.mark.parametrize("number", [0, 1])
def test_what_is_unchangeable_is_not_planned(tmp_path: Path, pair: tuple[Path, Path], flag: int, number: int) -> None:
    assert _told(tmp_path) == ("", True)
    fd = os.open(pair[number], os.O_RDONLY)
    try:
        before = flags(fd)
        set_flags(fd, before | flag)
        assert _told(tmp_path) == ("unchangeable", False)
        set_flags(fd, before)
    finally:
        os.close(fd)


def test_what_belongs_to_somebody_else_is_not_planned(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    owned: dict[str, tuple[Path, ...]] = {"nothing": (), "files": pair, "all": (*pair, *(one.parent for one in pair))}
    found = {}
    for what, paths in owned.items():
        for path in paths:
            os.chown(path, _NOBODY, _NOBODY)
        found[what] = _as_nobody(tmp_path)
    assert found == {"nothing": ("not-permitted", False), "files": ("not-permitted", False), "all": ("", True)}


def _as_nobody(top: Path) -> tuple[str, bool]:
    """Return what nobody is told; root takes its rights back by its saved user."""
    for directory in (top, *top.parents):
        if directory.stat().st_mode & 0o055 == 0o055:
            break
        directory.chmod(directory.stat().st_mode | 0o055)
    os.seteuid(_NOBODY)
    try:
        return _told(top)
    finally:
        os.seteuid(0)
