"""Causes by which packages two files are of: several bring the same, or one brings it several times."""

from __future__ import annotations

from runworthy.storage.causes.facts import Facts, entries, package
from runworthy.storage.causes.side import Side, is_full, is_plain, one_package, one_path, same_rights

__all__ = ["separate_cache_entries", "vendored", "version_chain"]


def separate_cache_entries(side: Side, beside: Side) -> Facts | None:
    """No cache of theirs knows that two packages ship the same bytes.

    Rattler and conda unpack each package into a directory of its own, uv each wheel (`archive-v0`).
    """
    if not (is_plain(side) and is_plain(beside)) or not side.by.ecosystem or not beside.by.ecosystem:
        return None
    if one_package(side, beside) or is_full(side, beside):
        return None
    if side.one_entry:
        both = side.cached and beside.cached and one_path(side, beside) and same_rights(side, beside)
        return entries(side, beside) if both else None
    mine, theirs = side.owner, beside.owner
    if not mine.package or not theirs.package:
        return None
    conda = side.by.ecosystem == beside.by.ecosystem == "conda"
    if mine.package == theirs.package or conda or side.by.ecosystem != beside.by.ecosystem:
        return entries(side, beside)
    return None


def vendored(side: Side, beside: Side) -> Facts | None:
    """Each brings it along: auditwheel and delocate put libraries into wheels, under names with a hash of them."""
    mine, theirs = side.owner, beside.owner
    if not (is_plain(side) and is_plain(beside)) or side.one_entry:
        return None
    if side.by.ecosystem != beside.by.ecosystem or side.by.ecosystem not in ("wheel", "npm"):
        return None
    if not mine.package or not theirs.package or mine.package == theirs.package:
        return None
    return (("packages", f"{package(mine)}, {package(theirs)}"),)


def version_chain(side: Side, beside: Side) -> Facts | None:
    """A wheel is a zip archive in which pip and uv know no links: pyarrow ships libarrow.so.1 and libarrow.so whole."""
    other_name = side.one_entry and side.linked and beside.linked and not one_path(side, beside)
    if not (one_package(side, beside) or (other_name and side.owner.package)) or not is_plain(side):
        return None
    return (("package", package(side.owner)),)
