"""A name comes to lead to another file without a moment in which it leads to none.

What is new lies beside it under a hidden name, and the two are exchanged (renameat2(2), RENAME_EXCHANGE): so what was
there can be looked at before it goes, and put back where it is not what was expected.
"""

from __future__ import annotations

import contextlib
import errno
import os
from functools import cache
from typing import TYPE_CHECKING, Final

from runworthy.remedies.applying.troubles import changed
from runworthy.remedies.applying.walking import Folder
from runworthy.remedies.sharing.opened import is_inode

if TYPE_CHECKING:
    import ctypes

__all__ = ["link_in", "mend", "swap", "unlink"]

_EXCHANGE = 2
_NO_EXCHANGE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
# arch/*/entry/syscalls/syscall*.tbl: for C libraries that do not offer the call (musl did not before 1.2.6).
_NUMBERS = {"x86_64": 316, "aarch64": 276, "riscv64": 276, "loongarch64": 276, "i686": 353, "armv7l": 382,
            "ppc64le": 357, "s390x": 347}  # fmt: skip
_MEANWHILE = ".second"


def link_in(source: int, folder: Folder, hidden: str, wanted: tuple[int, int]) -> None:
    """Give the open file ``source`` a hidden name, and make sure that it is a name of that file.

    The open file is linked and not its path, which may lead elsewhere by now. Some file systems and containers make a
    copy or a symbolic link where link(2) is asked for: that is refused. Raises OSError.
    """
    os.link(f"/proc/self/fd/{source}", hidden, dst_dir_fd=folder.fd, follow_symlinks=True)
    if not is_inode(folder.stat(hidden), wanted):
        os.unlink(hidden, dir_fd=folder.fd)
        raise OSError(errno.EOPNOTSUPP, "its file system makes something else where a hard link is asked for")


def swap(folder: Folder, hidden: str, name: str) -> None:
    """Exchange what two names of a directory lead to. Raises OSError; nothing is changed then.

    Where the file system cannot, what lies at ``name`` is kept by a link, what is hidden takes its place by a rename,
    and the link gets the hidden name: :func:`mend` ends that where it was cut off.
    """
    if _exchanged(folder.fd, hidden, name):
        return
    before = folder.stat(name)
    os.link(name, hidden + _MEANWHILE, src_dir_fd=folder.fd, dst_dir_fd=folder.fd, follow_symlinks=False)
    kept, now = folder.stat(hidden + _MEANWHILE), folder.stat(name)
    if before is None or kept is None or now is None or not before.st_ino == kept.st_ino == now.st_ino:
        os.unlink(hidden + _MEANWHILE, dir_fd=folder.fd)
        raise changed()
    os.rename(hidden, name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
    os.rename(hidden + _MEANWHILE, hidden, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)


def mend(folder: Folder, hidden: str) -> None:
    """End an exchange that was cut off where the file system has none. Raises OSError."""
    if folder.stat(hidden + _MEANWHILE) is None:
        return
    if folder.stat(hidden) is None:
        os.rename(hidden + _MEANWHILE, hidden, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
    else:
        os.unlink(hidden + _MEANWHILE, dir_fd=folder.fd)


def _exchanged(directory: int, one: str, other: str) -> bool:
    """Exchange two names; False where the file system or the kernel has no such call. Raises OSError."""
    import ctypes

    libc, number = _libc()
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(directory, names[0], directory, names[1], _EXCHANGE)
    elif number:
        failed = libc.syscall(ctypes.c_long(number), directory, names[0], directory, names[1], _EXCHANGE)
    else:
        return False
    if not failed:
        return True
    error = ctypes.get_errno()
    if error in _NO_EXCHANGE:
        return False
    raise OSError(error, os.strerror(error), other)


@cache
def _libc() -> tuple[ctypes.CDLL, int]:
    import ctypes

    return ctypes.CDLL(None, use_errno=True), _NUMBERS.get(os.uname().machine, 0)


def unlink(folder: Folder, name: str) -> None:
    """Remove a name, if it is there. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder.fd)
