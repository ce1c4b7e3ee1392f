"""Causes by what the files themselves are: permissions, numbers of links; and what is left where nothing tells."""

from __future__ import annotations

from runworthy.storage.causes.facts import Facts, links, rights
from runworthy.storage.causes.side import Side, is_full, is_plain, same_rights

__all__ = ["nobody_tells", "permissions", "too_many_links"]


def permissions(side: Side, beside: Side) -> Facts | None:
    """A file has one owner and one mode; links to those of others are refused (proc_sys_fs(5), protected_hardlinks)."""
    if not side.one_entry or same_rights(side, beside) or not (is_plain(side) and is_plain(beside)):
        return None
    return (("file", rights(side.file)), ("the other", rights(beside.file)))


def too_many_links(side: Side, beside: Side) -> Facts | None:
    """link(2): EMLINK. uv begins a new file then (link.rs, since 0.10.9), others copy."""
    if not is_full(side, beside):
        return None
    most = max(side.file.links, beside.file.links)
    return (("links", str(most)), ("file system", side.by.type or beside.by.type))


def nobody_tells(side: Side, beside: Side) -> Facts:
    """What is left: nobody's records name one of them, or nobody knows where its installer's cache was."""
    unknown = [one.file.names[0] for one in (side, beside) if not one.owner.package and not one.by.is_cache]
    if unknown:
        return (("in no record", unknown[0]),)
    if not side.by.links or side.by.cache_known:
        return (links(side),)
    several = f"one of {len(side.by.caches)}" if side.by.caches else "not found"
    return (("cache", f"{side.cache.path}, which was not looked at" if side.cache else several), links(side))
