"""File systems for a test, as those of storage have them, and memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.conftest import btrfs, everywhere, ext4, reflinking, tmpfs, xfs

__all__ = ["btrfs", "everywhere", "ext4", "reflinking", "tmpfs", "xfs"]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory, where waiting for the disk takes no time."""
    made = Path(tempfile.mkdtemp(prefix="runworthy-", dir="/dev/shm"))
    yield made
    shutil.rmtree(made)
