"""File systems for a test: a fresh one each time. See ground.py for what can be done with one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage import ground


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[ground.Ground]:
    with ground.made("ext4", tmp_path) as disk:
        yield disk


@pytest.fixture
def xfs(tmp_path: Path) -> Iterator[ground.Ground]:
    with ground.made("xfs", tmp_path) as disk:
        yield disk


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[ground.Ground]:
    with ground.made("btrfs", tmp_path) as disk:
        yield disk


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[ground.Ground]:
    with ground.made("tmpfs", tmp_path) as disk:
        yield disk


@pytest.fixture(params=ground.KINDS)
def everywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ground.Ground]:
    """On each file system."""
    with ground.made(request.param, tmp_path) as disk:
        yield disk


@pytest.fixture(params=("xfs", "btrfs"))
def reflinking(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ground.Ground]:
    """On each file system whose files can share blocks."""
    with ground.made(request.param, tmp_path) as disk:
        yield disk
