"""What archives lay down, by this package and by real unpackers, in one form that can be compared."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from runworthy.formats.archive import Archive, archive_kind, open_archive
from runworthy.formats.content import BytesContent
from runworthy.model.archive import ContainerKind

__all__ = ["Laid", "in_archive", "on_disk", "opened", "show"]

Laid = Mapping[str, tuple[str, bytes, bool]]
"""Path -> kind, bytes or target, and whether it is executable by its owner."""


def opened(data: bytes, name: str = "a.bin", kind: ContainerKind | None = None) -> Archive:
    """Return an archive of these bytes."""
    kind = kind or archive_kind(data[:512], name)
    assert kind is not None
    return open_archive(BytesContent(data), kind)


def in_archive(archive: Archive) -> Laid:
    """Return what lies in an archive, directories with what lies in them included."""
    found: dict[str, tuple[str, bytes, bool]] = {}
    for member in archive.members:
        for parent in Path(member.path).parents:
            found.setdefault(str(parent), ("dir", b"", False))
        if member.kind == "link":
            found[member.path] = "link", os.fsencode(member.target), False
        elif member.kind == "dir":
            found[member.path] = "dir", b"", False
        else:
            assert member.content is not None
            data = member.content.pread(0, member.content.size)
            assert len(data) == member.content.size
            found[member.path] = "file", data, bool(member.mode & 0o100)
    found.pop(".", None)
    return found


def on_disk(top: Path) -> Laid:
    """Return what lies in a directory."""
    found: dict[str, tuple[str, bytes, bool]] = {}
    for path in sorted(top.rglob("*")):
        name, mode = str(path.relative_to(top)), path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[name] = "link", os.fsencode(path.readlink()), False
        elif stat.S_ISDIR(mode):
            found[name] = "dir", b"", False
        elif stat.S_ISREG(mode):
            found[name] = "file", path.read_bytes(), bool(mode & 0o100)
    return found


def show(archive: Archive) -> str:
    """Return what is there and what is odd, as lines."""
    lines = [f"{member.kind} {member.path}{f' -> {member.target}' * bool(member.target)}" for member in archive.members]
    lines += [f"{odd.kind}{'' if odd.read else ' (left out)'}: {odd.member} {odd.detail}" for odd in archive.oddities]
    if archive.problem:
        lines.append(f"problem: {archive.problem}")
    return "\n".join(lines) + "\n"
