"""Names that lead to the same file: hard links, and copies with the same bytes and mode in one directory.

A loader answers for all of them alike, so that one of them is judged. The same file in another directory is another
subject, since ``$ORIGIN`` differs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from runworthy.model.records import dataclass, field

__all__ = ["Named", "once_each"]


@dataclass(slots=True)
class Named:
    """A file under one of its names. ``like`` is what copies have in common (size, mode, owner, first bytes).

    ``identity`` is what is equal for hard links; ``read`` yields the bytes, and may raise OSError.
    """

    path: str
    like: tuple[object, ...]
    identity: object
    read: Callable[[], Iterator[bytes]]
    aliases: list[str] = field(default_factory=list)
    twin_of: Named | None = None

    @property
    def first(self) -> Named:
        """The one that is judged for this one."""
        return self.twin_of or self


def once_each(found: Iterable[Named]) -> list[Named]:
    """Return each file of a directory once; the other names of it there become its aliases."""
    groups: dict[tuple[object, ...], list[Named]] = {}
    for one in sorted(found, key=lambda one: one.path):
        groups.setdefault((os.path.dirname(one.path), *one.like), []).append(one)
    for group in groups.values():
        if len(group) > 1:
            _find_twins(group)
    return [one for group in groups.values() for one in group if one.twin_of is None]


def _find_twins(group: Sequence[Named]) -> None:
    """Mark those that hold the same bytes as one before them. Hard links are known without reading."""
    several = len({one.identity for one in group}) > 1
    bytes_of: dict[object, object] = {}
    first: dict[object, Named] = {}
    for one in group:
        if one.identity not in bytes_of:
            bytes_of[one.identity] = _digest(one) if several else ""
        owner = first.setdefault(bytes_of[one.identity], one)
        if owner is not one:
            one.twin_of = owner
            owner.aliases.append(one.path)


def _digest(one: Named) -> object:
    """Return what is equal for equal bytes; a file that cannot be read again is like no other."""
    from hashlib import blake2b

    value = blake2b()
    try:
        for piece in one.read():
            value.update(piece)
    except OSError:
        return one.path
    return value.digest()
