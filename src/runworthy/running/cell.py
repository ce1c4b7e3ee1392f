"""The program that runs a shell of another root: in mount and process namespaces of its own, where it may have them.

It runs in an interpreter of its own, with the standard library alone, and imports nothing after the chroot, where there
is no Python. Every mount vanishes with it, and whatever the shell leaves behind dies with it (pid_namespaces(7)). What
becomes of the shell it writes into a file that it has opened before: ``status N`` as of
:func:`os.waitstatus_to_exitcode`, or ``errno N WHAT``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import sys
from typing import NoReturn

__all__ = ["SHELL", "command", "main"]

SHELL = "/bin/sh"
# linux/sched.h, linux/mount.h, linux/prctl.h
_NEWNS, _NEWUSER, _NEWPID = 0x00020000, 0x10000000, 0x20000000
_BIND, _REC, _PRIVATE = 0x1000, 0x4000, 0x40000
_PDEATHSIG = 1
_DEVICES = ("full", "null", "random", "urandom", "zero")

_libc = ctypes.CDLL(None, use_errno=True)


def command(root: str, told: str, line: str) -> list[str]:
    """Return what runs ``line`` by the shell of ``root``; it writes into the file ``told`` what became of that."""
    there, name = os.path.split(__file__)
    script = f"import sys; sys.path.append(sys.argv[1]); import {name.partition('.')[0]} as it; it.main(*sys.argv[2:])"
    return [sys.executable, "-I", "-S", "-c", script, there, root, told, line]


def main(root: str, told: str, line: str) -> NoReturn:
    """Run the shell, and write down how it ends."""
    out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    apart = _unshared()
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        os._exit(0 if status == 0 else 1)
    # From here on it is process 1, where it has a namespace of its own.
    _libc.prctl(_PDEATHSIG, signal.SIGKILL)
    if apart:
        _furnish(root)
    _tell(out, _shell(root, line))
    os._exit(0)


def _unshared() -> bool:
    """Get namespaces, with one for users where that takes it; return whether there are any. chroot(2) needs none."""
    user, group = os.geteuid(), os.getegid()
    flags = _NEWNS | _NEWPID if user == 0 else _NEWNS | _NEWPID | _NEWUSER
    if _libc.unshare(flags):
        return False
    if user != 0:  # user_namespaces(7): being root there gives the right to mount and to chroot
        try:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"0 {user} 1")
            _write("/proc/self/gid_map", f"0 {group} 1")
        except OSError:
            return False
    return _mount(None, "/", None, _REC | _PRIVATE)


def _furnish(root: str) -> None:
    """Give the root a /proc, and devices where it has none: only in directories of its own, and where that is let."""
    if _is_directory(f"{root}/proc"):
        _mount("proc", f"{root}/proc", "proc")
    devices = f"{root}/dev"
    if not _is_directory(devices) or _is_device(f"{devices}/null") or not _mount("tmpfs", devices, "tmpfs"):
        return
    for name in _DEVICES:
        os.close(os.open(f"{devices}/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        _mount(f"/dev/{name}", f"{devices}/{name}", None, _BIND)


def _shell(root: str, line: str) -> str:
    """Run the shell and wait for it, reaping what it leaves; return what became of it."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if not child:
        _become(root, line, writing)
    os.close(writing)
    problem = os.read(reading, 4096).decode()
    while True:
        pid, status = os.wait()
        if pid == child:
            return problem or f"status {os.waitstatus_to_exitcode(status)}"


def _become(root: str, line: str, writing: int) -> NoReturn:
    at = "chroot"
    try:
        os.chroot(root)
        os.chdir("/")
        for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, which execve would hand on
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        at = "exec"
        os.execv(SHELL, ["sh", "-c", line])  # noqa: S606 - a person has written this command
    except OSError as error:
        os.write(writing, f"errno {error.errno} {at}".encode())
    finally:
        os._exit(127)


def _tell(out: int, text: str) -> None:
    os.write(out, f"{text}\n".encode())


def _write(path: str, text: str) -> None:
    with open(path, "w") as stream:
        stream.write(text)


def _mount(source: str | None, at: str, kind: str | None, flags: int = 0) -> bool:
    words = [None if text is None else os.fsencode(text) for text in (source, at, kind)]
    return not _libc.mount(*words, ctypes.c_ulong(flags), None)


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISCHR(os.lstat(path).st_mode)
    except OSError:
        return False
