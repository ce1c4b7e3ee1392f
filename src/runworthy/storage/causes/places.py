"""Causes by where files and caches lie: links lead from some places to others, and not from all."""

from __future__ import annotations

from runworthy.storage.causes.facts import Facts, links, mounted, where
from runworthy.storage.causes.side import Side, should_be_linked

__all__ = ["bind_mount", "other_filesystem", "subvolume"]


def other_filesystem(side: Side, beside: Side) -> Facts | None:
    """link(2) and FICLONE: EXDEV. uv, rattler, conda and pnpm then copy: link.rs of both, core/link.py, linkOrCopy."""
    del beside
    cache, place = side.cache, side.by.place
    if cache is None or place is None or cache.filesystem == place.filesystem or not should_be_linked(side):
        return None
    return (("cache", where(cache)), ("environment", where(place)), links(side))


def bind_mount(side: Side, beside: Side) -> Facts | None:
    """link(2): EXDEV where oldpath and newpath are on two mounts, "even if the same filesystem is mounted on both"."""
    del beside
    cache, place = side.cache, side.by.place
    if cache is None or place is None or not should_be_linked(side):
        return None
    if cache.filesystem != place.filesystem or cache.device != place.device or cache.mount == place.mount:
        return None
    return (("cache", mounted(cache)), ("environment", mounted(place)), links(side))


def subvolume(side: Side, beside: Side) -> Facts | None:
    """fs/btrfs/inode.c, btrfs_link: EXDEV where the roots differ. Reflinks work; not all installers try them."""
    del beside
    cache, place = side.cache, side.by.place
    if cache is None or place is None or not should_be_linked(side):
        return None
    if place.type != "btrfs" or cache.filesystem != place.filesystem or cache.device == place.device:
        return None
    return (("cache", mounted(cache)), ("environment", mounted(place)), links(side))
