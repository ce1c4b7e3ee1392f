"""A function in a process of its own that is stopped at each of its system calls: to kill it, fail it, or meddle.

    with_calls(function)                          the names of the calls that it makes, in their order
    stopped(function, 17, kill)                   killed before its 17th call is made
    stopped(function, 17, failing(errno.ENOSPC))  its 17th call fails so

ptrace(2) of x86-64. Calls that touch no file are not counted: what lies on the disk is the same before and after them.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from typing import Final, Literal

__all__ = ["CALLS", "MUTATING", "Ending", "calls_of", "failing", "kill", "stopped"]

# sys/ptrace.h, and the places of registers in struct user, sys/user.h
TRACEME, PEEKUSER, POKEUSER, SYSCALL, SETOPTIONS = 0, 3, 6, 24, 0x4200
TRACESYSGOOD, EXITKILL = 0x1, 0x100000
ORIG_RAX, RAX, RDX = 15 * 8, 10 * 8, 12 * 8
STOPPED_AT_CALL: Final = signal.SIGTRAP | 0x80

# arch/x86/entry/syscalls/syscall_64.tbl: those that touch a file, or say what one is.
CALLS: Final = {
    0: "read", 1: "write", 2: "open", 4: "stat", 5: "fstat", 6: "lstat", 8: "lseek", 16: "ioctl", 17: "pread64",
    18: "pwrite64", 73: "flock", 74: "fsync", 76: "truncate", 77: "ftruncate", 79: "getcwd", 82: "rename", 83: "mkdir",
    84: "rmdir", 86: "link", 87: "unlink", 88: "symlink", 89: "readlink", 90: "chmod", 91: "fchmod", 92: "chown",
    93: "fchown", 94: "lchown", 188: "setxattr", 189: "lsetxattr", 190: "fsetxattr", 191: "getxattr", 192: "lgetxattr",
    193: "fgetxattr", 194: "listxattr", 195: "llistxattr", 196: "flistxattr", 197: "removexattr", 199: "fremovexattr",
    217: "getdents64", 257: "openat", 258: "mkdirat", 260: "fchownat", 262: "newfstatat", 263: "unlinkat",
    264: "renameat", 265: "linkat", 266: "symlinkat", 267: "readlinkat", 268: "fchmodat", 280: "utimensat",
    285: "fallocate", 316: "renameat2", 332: "statx",
    437: "openat2",
}  # fmt: skip
MUTATING: Final = frozenset(
    "write create pwrite64 fsync truncate ftruncate rename mkdir rmdir link unlink symlink chmod fchmod chown "
    "fchown lchown setxattr lsetxattr fsetxattr removexattr fremovexattr mkdirat fchownat unlinkat renameat linkat "
    "symlinkat fchmodat utimensat renameat2".split()
)
"""Calls that change something on the disk, or see to it that it is there: between two of them all stays as it is."""

Ending = Literal["killed", "ended", "failed"]
Meddle = Callable[[int, str], bool]
"""Is called where a process is about to make a call, with its id and the call's name; True: the call is to fail."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def kill(pid: int, _name: str) -> bool:
    """Kill the process: the call is not made any more (ptrace_report_syscall)."""
    os.kill(pid, signal.SIGKILL)
    return False


def failing(number: int) -> tuple[Meddle, int]:
    """Have a call fail with an error, and not be made."""
    return (lambda _pid, _name: True), number


def calls_of(function: Callable[[], object]) -> list[str]:
    """Return the names of the calls that a function makes."""
    names: list[str] = []

    def remember(_pid: int, name: str) -> bool:
        names.append(name)
        return False

    assert stopped(function, None, remember) == "ended"
    return names


def stopped(function: Callable[[], object], number: int | None, meddle: Meddle | tuple[Meddle, int]) -> Ending:
    """Run a function, and meddle at its call ``number`` (from 0 on; None: at every one); return how it ended.

    ``failed``: it raised something. Whatever happens, the process is gone when this returns.
    """
    pid = os.fork()
    if pid == 0:
        _traced(function)
    try:
        os.waitpid(pid, 0)
        _checked(_libc.ptrace(SETOPTIONS, pid, None, TRACESYSGOOD | EXITKILL))
        _follow(pid, number, *(meddle if isinstance(meddle, tuple) else (meddle, 0)))
    except _Ended as ended:
        return ended.ending
    finally:
        _reap(pid)
    raise AssertionError("a process goes on for ever")


def _follow(pid: int, number: int | None, act: Meddle, error: int) -> None:
    """Go from call to call. Raises _Ended."""
    at = 0
    while True:
        _next(pid)
        name = _call(pid)
        fails = name is not None and number in (None, at) and act(pid, name)
        at += name is not None
        if fails:  # there is no call of this number: none is made
            _checked(_libc.ptrace(POKEUSER, pid, ORIG_RAX, (1 << 64) - 1))
        _next(pid)
        if fails:
            _checked(_libc.ptrace(POKEUSER, pid, RAX, (1 << 64) - error))


class _Ended(Exception):  # noqa: N818 - it is an answer
    def __init__(self, ending: Ending) -> None:
        self.ending = ending


def _traced(function: Callable[[], object]) -> None:
    code = 1
    try:
        _libc.ptrace(TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        function()
        code = 0
    finally:
        os._exit(code)


def _call(pid: int) -> str | None:
    """Return the name of the call that is about to be made: ``create`` for openat where that may make a file."""
    name = CALLS.get(_libc.ptrace(PEEKUSER, pid, ORIG_RAX, None))
    if name == "openat" and _libc.ptrace(PEEKUSER, pid, RDX, None) & (os.O_CREAT | os.O_TRUNC):
        return "create"
    return name


def _next(pid: int) -> None:
    """Go on to the next beginning or end of a call. Raises _Ended."""
    passed_on = 0
    while True:
        _checked(_libc.ptrace(SYSCALL, pid, None, passed_on), gone=True)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            raise _Ended("killed")
        if os.WIFEXITED(status):
            raise _Ended("ended" if os.WEXITSTATUS(status) == 0 else "failed")
        if os.WSTOPSIG(status) == STOPPED_AT_CALL:
            return
        passed_on = os.WSTOPSIG(status)


def _checked(result: int, *, gone: bool = False) -> None:
    if result == -1 and ctypes.get_errno():
        if gone:
            raise _Ended("killed")
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _reap(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return
