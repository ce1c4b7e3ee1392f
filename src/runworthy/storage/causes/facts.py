"""What causes rest on, in words: (what, how it is)."""

from __future__ import annotations

from runworthy.model.storage import Owner, Place, StoredFile
from runworthy.storage.causes.side import Side

__all__ = ["Facts", "entries", "links", "mounted", "package", "rights", "where"]

Facts = tuple[tuple[str, str], ...]


def where(place: Place) -> str:
    return f"{place.path} ({place.type or 'file system'} at {place.point})"


def mounted(place: Place) -> str:
    shown = f", which shows {place.subvolume}" if place.subvolume not in ("", "/") else ""
    return f"{place.path} (device {place.device}, {place.type or 'mounted'} at {place.point}{shown})"


def links(side: Side) -> tuple[str, str]:
    return ("links", str(side.file.links))


def entries(side: Side, beside: Side) -> Facts:
    return (("comes from", package(side.owner)), ("the other", package(beside.owner)))


def package(owner: Owner) -> str:
    return " ".join(filter(None, (owner.package, owner.version, owner.build))) or owner.environment


def rights(file: StoredFile) -> str:
    return f"mode {file.mode & 0o7777:04o}, owner {file.uid}:{file.gid}"
