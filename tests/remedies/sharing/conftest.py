"""File systems for a test, as those of storage have them."""

from __future__ import annotations

from tests.storage.conftest import btrfs, everywhere, ext4, reflinking, tmpfs, xfs

__all__ = ["btrfs", "everywhere", "ext4", "reflinking", "tmpfs", "xfs"]
