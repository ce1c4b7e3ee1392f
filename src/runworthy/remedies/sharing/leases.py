"""Nobody writes to a file unnoticed while it is looked at: a lease tells of it, and lets who wants to wait meanwhile.

A read lease (fcntl(2), F_SETLEASE) is refused while somebody has the file open for writing. From then on who opens it
for writing waits until the lease is given back, and the lease shows that somebody waits.
"""

from __future__ import annotations

import contextlib
import errno

from runworthy.remedies.sharing.opened import Refused

__all__ = ["Written", "give_back", "is_whole", "take"]

_REFUSED = {
    errno.EACCES: "it belongs to somebody else, so that writers cannot be kept waiting",
    errno.EPERM: "it belongs to somebody else, so that writers cannot be kept waiting",
}


class Written(Refused):
    """Somebody has the file open for writing."""


def take(fd: int) -> None:
    """Take a lease on a file that is open for reading alone. Raises Written, Refused.

    The kernel sends a signal to who holds a lease that somebody wants broken. The usual one, SIGIO, would end the
    process; SIGURG is ignored unless a program asks for it (signal(7)), so that nothing has to be set and set back for
    the whole process. What the signal would say is asked for in the end by :func:`is_whole`.
    """
    import fcntl
    import signal

    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError as error:
        raise Written("somebody has it open for writing") from error
    except OSError as error:
        usual = "its file system cannot tell of writers"
        raise Refused(_REFUSED.get(error.errno or 0, usual)) from error


def is_whole(fd: int) -> bool:
    """Whether nobody has wanted to write to the file since the lease was taken. While somebody waits, it is not."""
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_GETLEASE) == fcntl.F_RDLCK


def give_back(fd: int) -> None:
    """Let writers go on. The lease is that of all who have inherited the open file; closing it here alone would not."""
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
