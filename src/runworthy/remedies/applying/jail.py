"""The program that runs another in a root directory: ``python -I -S jail.py ROOT DIRECTORY PROGRAM [ARGUMENT...]``.

It has mounts and process numbers of its own: what is mounted for the program vanishes with it, and what the program
leaves running dies with it. It ends when its caller does. This is no prison: a program of the root that runs as root
can break out of it. Everything is mounted after the change of the root, so that a link in it leads nowhere else.
DIRECTORY is one of this machine that the program sees, and begins in; where it is empty there is none.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
import sys
from typing import NoReturn

# linux/sched.h, linux/mount.h, linux/prctl.h
CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
MS_NOSUID = 0x2
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1

CANNOT = 127
_DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_LINKS = (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"))
_NAMES = "/etc/resolv.conf"
_DIRECTORY = "/dev/runworthy"


def main(arguments: list[str]) -> int:
    """Run it, and return its exit status as a shell counts it."""
    root, directory, *argv = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _checked(libc.unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare")
        _mount(libc, "none", "/", flags=MS_REC | MS_PRIVATE)
        # What is opened before is of the old mounts, from which nothing can be bound.
        names = _open(_NAMES)
        shown = os.open(directory, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY) if directory else None
        child = os.fork()
        if child == 0:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            _first(libc, root, argv, names, shown)
        return _status(os.waitpid(child, 0)[1])
    except OSError as error:
        print(f"{root}: {error.strerror or error}", file=sys.stderr)  # noqa: T201 - it speaks to who started it
        return CANNOT


def _first(libc: ctypes.CDLL, root: str, argv: list[str], names: int | None, shown: int | None) -> NoReturn:
    """Be process 1 of the new namespace: when it ends, all others of it do."""
    code = CANNOT
    try:
        os.chroot(root)
        os.chdir("/")
        _furnish(libc, names)
        if shown is not None:
            os.mkdir(_DIRECTORY, 0o755)
            _mount(libc, f"/proc/self/fd/{shown}", _DIRECTORY, flags=MS_BIND)
            os.chdir(_DIRECTORY)
        child = os.fork()
        if child == 0:
            _become(argv)
        while True:
            ended, status = os.wait()
            if ended == child:
                code = _status(status)
                break
    except OSError as error:
        print(f"{root}: {error.strerror or error}", file=sys.stderr)  # noqa: T201 - as above
    os._exit(code)


def _become(argv: list[str]) -> NoReturn:
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - that is what it is for
    except OSError as error:
        print(f"{argv[0]}: {error.strerror or error}", file=sys.stderr)  # noqa: T201 - as above
    os._exit(CANNOT)


def _furnish(libc: ctypes.CDLL, names: int | None) -> None:
    """Give the root what programs expect: /proc, the harmless devices, and the names of other machines."""
    for directory in ("/proc", "/dev"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o755)
    _mount(libc, "proc", "/proc", "proc", flags=MS_NOSUID)
    _mount(libc, "tmpfs", "/dev", "tmpfs", flags=MS_NOSUID, data="mode=755,size=16m")
    previous = os.umask(0)
    for name, major, minor in _DEVICES:
        os.mknod(f"/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
    os.umask(previous)
    for name, text in _LINKS:
        os.symlink(text, f"/dev/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"/dev/{name}", 0o755)
    os.chmod("/dev/shm", 0o1777)  # noqa: S103, S108 - in a root of its own
    with contextlib.suppress(OSError):
        _mount(libc, "devpts", "/dev/pts", "devpts", flags=MS_NOSUID, data="newinstance,ptmxmode=0666,mode=620")
        os.symlink("pts/ptmx", "/dev/ptmx")
    if names is not None and os.path.isfile(_NAMES):
        with contextlib.suppress(OSError):
            _mount(libc, f"/proc/self/fd/{names}", _NAMES, flags=MS_BIND)


def _open(path: str) -> int | None:
    with contextlib.suppress(OSError):
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    return None


def _mount(libc: ctypes.CDLL, source: str, target: str, kind: str = "", *, flags: int = 0, data: str = "") -> None:
    words = [os.fsencode(text) if text else None for text in (source, target, kind)]
    result = libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(data) if data else None)
    _checked(result, f"mount {target}")


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
