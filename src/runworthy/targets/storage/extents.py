"""Which stored files take the same storage already, and how much one of them has for itself.

A file system that can share says of each extent of a file where it lies, and whether others lie there too (FIEMAP).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from stat import S_ISREG
from typing import Final

from runworthy.model.records import replace
from runworthy.model.storage import Copies, StoredFile
from runworthy.targets.storage.comparing import open_quietly
from runworthy.targets.storage.ioctls import (
    BTRFS,
    DELALLOC,
    ENCODED,
    INLINE,
    SHARED,
    UNKNOWN,
    UNWRITTEN,
    XFS,
    Extent,
    fiemap,
    filesystem_type,
    iter_fiemap,
)

__all__ = ["exclusive", "exclusive_of", "opened", "own_of", "storage_of", "with_extents"]

_NOWHERE: Final = UNKNOWN | DELALLOC | INLINE
"""What has no place on the disk that others could share: yet, or because it lies among the metadata."""


def with_extents(
    copies: Iterable[Copies], reflinks: Callable[[str], bool], filesystem_of: Callable[[int], str]
) -> tuple[Copies, ...]:
    """Return the copies with those numbered alike that share all of their storage, on file systems that ``reflinks``.

    What cannot be opened, or is another file by now, is taken to share nothing. What was just written and has no place
    yet does not either: a file system that shares it gives it one first.
    """

    def of(file: StoredFile) -> str:
        found = filesystem_of(file.device)
        return found if reflinks(found) else ""

    return tuple(
        replace(one, extents=_numbers(one, of)) if not one.filesystem or reflinks(one.filesystem) else one
        for one in copies
    )


def _numbers(copies: Copies, sharing: Callable[[StoredFile], str]) -> tuple[int, ...]:
    known: dict[tuple[str, bytes] | int, int] = {}
    keys = [_where(file, sharing(file)) or number for number, file in enumerate(copies.files)]
    numbers = tuple(known.setdefault(key, len(known)) for key in keys)
    return numbers if len(known) < len(numbers) else ()


def _where(file: StoredFile, filesystem: str) -> tuple[str, bytes] | None:
    """Return the storage of a file on a file system that shares it; None of what has it alone."""
    storage = _storage(file) if filesystem else b""
    return (filesystem, storage) if storage else None


def _storage(file: StoredFile) -> bytes:
    """Return what ``storage_of`` does for a stored file, nothing where it cannot be opened."""
    try:
        with opened(file) as fd:
            # xfs leaves room that was set aside in both files to each of them (fs/xfs/xfs_reflink.c)
            apart = UNWRITTEN if filesystem_type(fd) == XFS else 0
            return storage_of((extent for extent in iter_fiemap(fd) if not extent.flags & apart), file.size)
    except OSError:
        return b""


def storage_of(extents: Iterable[Extent], size: int) -> bytes:
    """Return what tells the storage of a file from all other, where all of it is shared with some file; else nothing.

    A hash of the map, since a map may be long.
    """
    from hashlib import blake2b

    found = blake2b(digest_size=16)
    for extent in _joined(extents):
        if extent.logical >= size:  # room behind the end, which sharing leaves alone
            break
        if extent.flags & _NOWHERE or not extent.flags & SHARED:
            return b""
        found.update(b"%d %d %d;" % (extent.logical, extent.physical, extent.length))
    return found.digest()


def _joined(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Yield extents with those joined that follow each other in the file and on the disk: a map may cut anywhere.

    Of what is encoded the place says nothing about what follows.
    """
    held: Extent | None = None
    for extent in extents:
        if held is None:
            held = extent
        elif _follows(held, extent):
            held = replace(held, length=held.length + extent.length, flags=held.flags | extent.flags)
        else:
            yield held
            held = extent
    if held is not None:
        yield held


def _follows(held: Extent, extent: Extent) -> bool:
    alike = (held.flags ^ extent.flags) & (_NOWHERE | SHARED | ENCODED) == 0 and not held.flags & ENCODED
    return alike and (held.end, held.physical + held.length) == (extent.logical, extent.physical)


# -- what a file has for itself --------------------------------------------------------------


def exclusive(fd: int, *, sync: bool = True) -> int:
    """Return how many bytes would be free if an open file went with all of its names: what it shares with none.

    What was written goes to the disk before, unless ``sync`` is false: until then a map tells of what is replaced.
    btrfs tells root alone what extents take. Others are told what the file holds of them: of compressed files less
    becomes free than that, and more where a file uses but a part of an extent that no other uses. What a file uses
    twice counts as shared. Raises OSError.
    """
    if filesystem_type(fd) == BTRFS:
        from runworthy.targets.storage.btrfs import stored_exclusively, stored_extents

        with suppress(PermissionError):
            return stored_exclusively(stored_extents(fd), fiemap(fd, sync=sync))
    shared = 0
    try:
        shared = sum(extent.length for extent in iter_fiemap(fd, sync=sync) if extent.flags & SHARED)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOTTY):
            raise
    return max(0, os.fstat(fd).st_blocks * 512 - shared)


def exclusive_of(file: StoredFile) -> int:
    """Return what ``exclusive`` does for a stored file; 0 where it cannot be opened or is another by now."""
    try:
        with opened(file) as fd:
            return exclusive(fd)
    except OSError:
        return 0


def own_of(extents: Iterable[Extent]) -> Iterator[tuple[int, int]]:
    """Yield the ranges (offset, end) that lie on the disk and are shared with no file, those that meet joined."""
    start = end = 0
    for extent in extents:
        if extent.flags & (SHARED | INLINE):
            continue
        if extent.logical != end:
            if end > start:
                yield start, end
            start = extent.logical
        end = extent.end
    if end > start:
        yield start, end


@contextmanager
def opened(file: StoredFile) -> Iterator[int]:
    """Open a stored file for reading by its first name. Raises OSError, ESTALE where it is not what was seen."""
    fd = open_quietly(file.names[0])
    try:
        status = os.fstat(fd)
        seen = (file.device, file.inode, file.size, file.mtime, file.ctime)
        now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if now != seen or not S_ISREG(status.st_mode):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), file.names[0])
        yield fd
    finally:
        os.close(fd)
