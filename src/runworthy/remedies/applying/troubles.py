"""What goes wrong with files, in one sentence each."""

from __future__ import annotations

import errno
import os

__all__ = ["Moved", "changed", "reason"]

_WORDS = {
    errno.ENOSPC: "its file system is full",
    errno.EDQUOT: "the quota on its file system is used up",
    errno.EROFS: "its file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "that is not allowed",
    errno.EIO: "its device reports an error",
    errno.ESTALE: "it has been changed meanwhile",
    errno.ELOOP: "a symbolic link is on the way to it, and might lead elsewhere",
    errno.ENOENT: "it is not there",
    errno.ENOTDIR: "what should be a directory on the way to it is none",
    errno.EEXIST: "something has come to lie there meanwhile",
    errno.EISDIR: "it is a directory",
    errno.EBUSY: "it is in use, as a mount point is",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.EXDEV: "it leads out of the tree that it belongs to",
    errno.ENOEXEC: "nothing can execute it",
    errno.EFBIG: "it would be larger than files can be there",
    errno.EMLINK: "it has as many links as it can have",
}


def reason(error: OSError) -> str:
    """Return why something failed."""
    known = _WORDS.get(error.errno or 0)
    plain = os.strerror(error.errno) if error.errno else str(error)
    return (
        f"{known} ({plain})"
        if known and error.errno not in (errno.ESTALE, errno.ELOOP, errno.EXDEV)
        else known or plain
    )


def changed() -> OSError:
    """Return the error for what is not as it was when it was judged."""
    return OSError(errno.ESTALE, os.strerror(errno.ESTALE))


class Moved(Exception):  # noqa: N818 - it is an answer, not an error
    """Something is neither as it was left nor as it was before."""
