"""Causes by what an installer does, or did: it copies, was told to, changed the file, or its cache has another one."""

from __future__ import annotations

from typing import Final

from runworthy.storage.causes.facts import Facts, links, package, where
from runworthy.storage.causes.side import Side, is_full, is_plain, links_work, one_path, same_rights, should_be_linked

__all__ = ["copy_setting", "copying_installer", "editable", "not_in_cache", "prefix_patched"]

_WITHOUT_REFLINKS: Final = ("ext2", "ext3", "ext4", "tmpfs")
"""Where reflinks alone are asked for there, files are copied."""


def copying_installer(side: Side, beside: Side) -> Facts | None:
    """Every file is written anew: pip `operations/install/wheel.py` (ZipBackedFile.save), npm's pacote."""
    del beside
    if side.by.installer is None or side.by.installer.links or side.by.is_cache or not is_plain(side):
        return None
    if not side.one_entry:
        return None
    return (("installer", " ".join(filter(None, (side.by.named, side.by.version)))),)


def copy_setting(side: Side, beside: Side) -> Facts | None:
    """So it was told: uv `link-mode`, conda `always_copy`, pixi `allow-hard-links`, pnpm `packageImportMethod`."""
    if not should_be_linked(side) or is_full(side, beside):
        return None
    told = side.by.setting
    if told and (told.links == "copy" or (told.links == "clone" and side.by.type in _WITHOUT_REFLINKS)):
        return (("told by", told.said), links(side))
    if side.by.type == "overlay" or side.by.in_linking or not links_work(side) or not same_rights(side, beside):
        return None
    return (*((("cache", where(side.cache)),) if side.cache else ()), links(side))


def not_in_cache(side: Side, beside: Side) -> Facts | None:
    """What is fetched again after `uv cache clean` is new; so is what `cp -a` made, and what another cache had.

    Nothing that is there tells one from the other: copies have the times of what they were made of, and rattler gives
    all that it unpacks those of the archive.
    """
    if not side.by.links or not is_plain(side):
        return None
    if side.cached or not side.one_entry or not same_rights(side, beside) or is_full(side, beside):
        return None
    if side.linked and beside.linked and side.by.cache_known and one_path(side, beside):
        return (("links", f"{side.file.links}, none of them in the cache"),)
    if not side.linked and side.by.in_linking and links_work(side):
        return (links(side), ("environment", "other files of it are links"))
    return None


def prefix_patched(side: Side, beside: Side) -> Facts | None:
    """`prefix_placeholder` of paths.json: rattler link.rs (copy_and_replace_placeholders), conda path_actions.py."""
    del beside
    return (("file", "the path of the environment was written into it"),) if side.patched else None


def editable(side: Side, beside: Side) -> Facts | None:
    """PEP 660: what is installed in place belongs to a source tree, and to whoever works in it."""
    del beside
    if not side.owner.editable:
        return None
    return (("package", package(side.owner)), *((("said by", side.owner.manifest),) if side.owner.manifest else ()))
