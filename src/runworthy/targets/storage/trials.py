"""Whether links between two directories work: made, looked at, and taken away again.

Numbers do not tell: a bind mount has the device number of what it shows, quotas of projects (xfs, ext4) refuse hard
links inside one mount, and there are file systems whose link(2) makes something else: BeeGFS a symbolic link (conda
``gateways/disk/test.py``), others a copy. So a file is made in one directory and linked into the other.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from runworthy.model.storage import Trial

__all__ = ["trial"]

_FICLONE: Final = 0x40049409
"""linux/fs.h: _IOW(0x94, 9, int)."""
_CONTENT: Final = b"runworthy: a trial of links, to be removed\n" * 200
"""More than a block: files of a few bytes may lie in their inodes, where nothing can be shared."""
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def trial(source_directory: str, target_directory: str) -> Trial:
    """Return how a hard link and a reflink from one directory to another went.

    A directory that is not there yet stands for the next one above it. What is made has a hidden random name, and is
    gone afterwards; the directories have their times back. Raises nothing: what cannot be tried says why.
    """
    source, target = _there(source_directory), _there(target_directory)
    hard = clone = ""
    try:
        with _as_before(source, target), _made(source) as (descriptor, path):
            hard = _hard(descriptor, path, target)
            clone = _clone(descriptor, target)
    except OSError as error:
        hard = hard or _why(error)
        clone = clone or _why(error)
    return Trial(source=source_directory, target=target_directory, hard=hard, clone=clone)


def _hard(descriptor: int, path: str, target: str) -> str:
    """Return why a hard link could not be made, empty where it was, and is one."""
    there = _hidden(target)
    try:
        os.link(path, there, follow_symlinks=False)
    except OSError as error:
        return _why(error)
    try:
        made, own = os.lstat(there), os.fstat(descriptor)
        if not stat.S_ISREG(made.st_mode):
            return "link(2) made something else"
        if (made.st_dev, made.st_ino) != (own.st_dev, own.st_ino) or own.st_nlink < 2:
            return "link(2) made a copy"
        return ""
    finally:
        os.unlink(there)


def _clone(descriptor: int, target: str) -> str:
    """Return why a reflink could not be made (ioctl_ficlone(2)), empty where it was, and has the bytes."""
    try:
        import fcntl
    except ImportError:  # Windows
        return "not tried here"
    if not hasattr(os, "O_PATH"):  # the call is Linux's; macOS has clonefile(2), which takes no descriptors
        return "not tried here"
    with _made(target, b"") as (there, _):
        try:
            fcntl.ioctl(there, _FICLONE, descriptor)
        except OSError as error:
            return _why(error)
        return "" if os.pread(there, len(_CONTENT) + 1, 0) == _CONTENT else "FICLONE made something else"


@contextmanager
def _made(directory: str, content: bytes = _CONTENT) -> Iterator[tuple[int, str]]:
    """Make a file with a hidden random name, give its descriptor and its path, and take it away. Raises OSError."""
    path = _hidden(directory)
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        if content:
            os.write(descriptor, content)
            os.fsync(descriptor)  # what is not allocated yet cannot be shared on some file systems
        yield descriptor, path
    finally:
        os.close(descriptor)
        os.unlink(path)


@contextmanager
def _as_before(*directories: str) -> Iterator[None]:
    """Give directories their times back, where that is permitted."""
    before = [(one, os.stat(one)) for one in dict.fromkeys(directories)]
    try:
        yield
    finally:
        for path, status in before:
            with suppress(OSError):
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _hidden(directory: str) -> str:
    return os.path.join(directory, f".runworthy-{os.urandom(8).hex()}.tmp")


def _there(directory: str) -> str:
    """Return a directory, or the next one above it that is there."""
    path = os.path.abspath(directory)
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _why(error: OSError) -> str:
    if error.errno == errno.EOPNOTSUPP:  # it has two names on Linux, and this is the one in the manual
        return "EOPNOTSUPP"
    return errno.errorcode.get(error.errno or 0, str(error))
