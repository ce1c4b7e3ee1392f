"""What a package says it brings: one entry of an archive, its path made harmless."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from runworthy.formats.content import Content
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass

__all__ = ["Member", "MemberKind", "Place", "inside", "text"]

Place = Callable[[str, int], str]
"""Returns the path for a name that stands at an offset, as :func:`inside` does. Raises FormatError."""

MemberKind = Literal["file", "dir", "link", "hard-link", "other"]
_PATH_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry. ``path`` is relative to the root, without ``.`` and ``..``; empty for the root itself.

    ``target`` is the text of a symbolic link, or the path of the file that a hard link is another name of.
    """

    path: str
    kind: MemberKind
    mode: int = 0o644
    target: str = ""
    content: Content | None = None


def inside(name: str, offset: int) -> str:
    """Return a member's name as a path below the root. Raises FormatError for one that would leave it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise FormatError(f"the member {name[:200]!r} would leave the root", offset=offset)
    path = "/".join(parts)
    if len(path) >= _PATH_MAX or "\0" in path:
        raise FormatError(f"the member {name[:60]!r} has no usable name", offset=offset)
    return path


def text(raw: bytes) -> str:
    """Return a name up to its NUL, odd bytes kept."""
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")
