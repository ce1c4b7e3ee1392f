"""Two files with the same bytes: what is known of how each came to be, and what both have in common."""

from __future__ import annotations

from typing import Final

from runworthy.model.storage import Owner, StoredFile
from runworthy.storage.causes.situation import Situation, end_of
from runworthy.storage.planning import MOST_LINKS

__all__ = [
    "Side",
    "is_full",
    "is_plain",
    "links_work",
    "one_entry_of",
    "one_package",
    "one_path",
    "same_rights",
    "should_be_linked",
]

_NEARLY: Final = 64
"""A file has too many names where less than one in so many is left: some have been removed since, maybe."""


class Side:
    """One of two files with the same bytes, with what is known of how it came to be.

    ``by`` is what holds of all that its installer brought there. ``cached`` are the places of the caches in which it
    has names; ``cache`` is the first of them, else the one that its installer links from. ``linked``: it has names, or
    storage, in common with what lies elsewhere. ``one_entry``: see :func:`one_entry_of`.
    """

    __slots__ = ("by", "cache", "cached", "file", "linked", "one_entry", "owner", "patched")

    def __init__(self, file: StoredFile, owner: Owner, situation: Situation) -> None:
        self.by = by = situation.installed(owner)
        self.file = file
        self.owner = owner
        self.one_entry = False
        self.patched = owner.patched and not by.is_cache  # in a cache it is as the package has it
        self.cached = cached = situation.caches_with(file.names)
        self.cache = cached[0] if cached else by.cache
        self.linked = (
            bool(cached)
            or file.outside > 0
            or (file.device, file.inode) in situation.cloned
            or not all(name.startswith(by.inside) for name in file.names)
        )


def one_entry_of(side: Side, beside: Side) -> bool:
    """Whether both come from what one cache would hold once, so that links from there would have made them one file.

    Caches hold packages by name, version and build (uv: by the wheel; rattler, conda: by the archive). pnpm's store
    holds files by their content: whatever the package, they are one.
    """
    if "pnpm" in (side.by.named, beside.by.named) and side.by.ecosystem == beside.by.ecosystem:
        return True
    if side.by.ecosystem != beside.by.ecosystem or not side.by.ecosystem or one_package(side, beside):
        return False
    mine, theirs = side.owner, beside.owner
    if not mine.package or not theirs.package:
        return side.by.is_cache or beside.by.is_cache  # of caches it is often not known what is whose
    builds = mine.build == theirs.build or not mine.build or not theirs.build
    return (mine.package, mine.version) == (theirs.package, theirs.version) and builds


def one_package(side: Side, beside: Side) -> bool:
    """Whether they are two files of one package that is installed once."""
    mine, theirs = side.owner, beside.owner
    same = (mine.environment, mine.package, mine.version, mine.manifest)
    return bool(mine.package) and same == (theirs.environment, theirs.package, theirs.version, theirs.manifest)


def is_plain(side: Side) -> bool:
    """Whether it is as its package has it."""
    return not side.patched and not side.owner.editable


def one_path(side: Side, beside: Side) -> bool:
    """Whether they are the same file of a package, as far as the ends of their names tell."""
    return not set(map(end_of, side.file.names)).isdisjoint(map(end_of, beside.file.names))


def same_rights(side: Side, beside: Side) -> bool:
    """Whether owner, group and permissions are the same."""
    one, other = side.file, beside.file
    return (one.mode, one.uid, one.gid) == (other.mode, other.uid, other.gid)


def should_be_linked(side: Side) -> bool:
    """Whether its installer links, and it is linked to nothing, though both come from one entry of a cache."""
    return side.one_entry and side.by.links and not side.linked and is_plain(side)


def links_work(side: Side) -> bool:
    """Whether hard links from the cache of its installer are possible as far as places say."""
    cache, place = side.cache, side.by.place
    return cache is not None and place is not None and (cache.device, cache.mount) == (place.device, place.mount)


def is_full(side: Side, beside: Side) -> bool:
    """Whether one of them has as many names as its file system allows, or nearly."""
    most = MOST_LINKS.get(side.by.type or beside.by.type)
    return most is not None and max(side.file.links, beside.file.links) >= most - most // _NEARLY
