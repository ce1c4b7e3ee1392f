"""Whether two open files hold the same bytes, now."""

from __future__ import annotations

import os

from runworthy.remedies.applying.troubles import changed
from runworthy.remedies.sharing.opened import Opened, Refused

__all__ = ["compare", "is_steady", "steadiness"]

_CHUNK = 1 << 20


def compare(one: Opened, other: Opened) -> str:
    """Read both side by side, and return the SHA-256 of their bytes.

    Raises Refused where they differ, OSError where one changed while it was read: shorter, longer, or with other times.
    The hash is for whoever takes the sharing back; that they are the same is known from the bytes alone.
    """
    from hashlib import sha256

    before = steadiness(one.fd), steadiness(other.fd)
    size, digest, at = one.status.st_size, sha256(), 0
    while at < size:
        data = os.pread(one.fd, _CHUNK, at)
        if data != os.pread(other.fd, _CHUNK, at):
            raise Refused("they differ")
        if not data:
            raise changed()
        digest.update(data)
        at += len(data)
    if at != size or (steadiness(one.fd), steadiness(other.fd)) != before or not is_steady(one):
        raise changed()
    return digest.hexdigest()


def steadiness(fd: int) -> tuple[int, ...]:
    """Return what stays the same while nobody changes an open file or gives it a name."""
    now = os.fstat(fd)
    return *_content(now), now.st_ctime_ns, now.st_nlink


def is_steady(file: Opened) -> bool:
    """Whether a file is as it was when it was opened, but for its names."""
    return _content(os.fstat(file.fd)) == _content(file.status)


def _content(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_mode,
        status.st_uid,
        status.st_gid,
    )
