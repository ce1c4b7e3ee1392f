"""A command that is started at once and waited for, as if whoever called us had started it themselves.

It has our terminal, our descriptors, our process group and our environment; there is no pipe in between. It imports
nothing of ours, so that the command does not wait for what is thought about it afterwards.

What a terminal sends goes to the whole process group, so the command has it already; what another process sends to us
is handed on (si_code of sigaction(2) tells the two apart). Where the command stops, we stop, for whoever controls the
jobs sees only us; when we go on, so does it.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Sequence

__all__ = ["Attempt", "attempt", "die_of"]

_HANDED_ON = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGTSTP", "SIGCONT")
_FOR_US = ("SIGALRM",)
"""A timer that was set before we were executed runs on for us and not for the command: execve(2), fork(2)."""
_NOT_PYTHONS_OWN = ("SIGPIPE", "SIGXFSZ")
"""Python ignores them, which execve would hand on."""
_USUAL_SHELL = "/bin/sh"


class Attempt:
    """What became of it.

    ``path`` is the file that was executed, empty where there is none of that name. ``errno`` is why it did not become
    a program, 0 where it did; ``status`` is then its exit code, or the number of the signal that ended it, negative.
    """

    __slots__ = ("errno", "path", "status")

    def __init__(self, path: str, *, error: int = 0, status: int = 0) -> None:
        self.path = path
        self.errno = error
        self.status = status


def attempt(words: Sequence[str]) -> Attempt:
    """Start a command and wait for its end. PATH is searched, and a file without a format is read, as by a shell."""
    path, error = _find(words[0])
    if error:
        return Attempt(path, error=error)
    signals = {getattr(signal, name) for name in (*_HANDED_ON, *_FOR_US)} | {signal.SIGCHLD}
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored nobody is told how a child ended: wait(2)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        child = _started(path, words, before)
        return Attempt(path, status=_followed(child, signals))
    except OSError as problem:
        return Attempt(path, error=problem.errno or errno.EIO)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_of(number: int) -> None:
    """End this process by a signal, so that whoever waits for it sees what they would have seen; leave no core file.

    It returns where the signal does not end it.
    """
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)


# -- starting it --------------------------------------------------------------------------------


def _find(name: str) -> tuple[str, int]:
    """Return the file that a shell executes for a command, and an errno where there is none (POSIX, XCU 2.9.1.4).

    A file that may not be executed is taken only where no other is found.
    """
    if "/" in name or not name:
        return name, 0 if name else errno.ENOENT
    closed = ""
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(directory or ".", name)
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                continue
        except OSError:
            continue
        if os.access(path, os.X_OK):
            return path, 0
        closed = closed or path
    return closed, errno.EACCES if closed else errno.ENOENT


def _started(path: str, words: Sequence[str], mask: set[int]) -> int:
    """Start it with these signals blocked, and return the number of the process. Raises OSError."""
    defaults = [getattr(signal, name) for name in _NOT_PYTHONS_OWN]
    env = _environment()
    try:
        return os.posix_spawn(path, list(words), env, setsigmask=mask, setsigdef=defaults)
    except OSError as problem:
        if problem.errno != errno.ENOEXEC or not _is_script(path):
            raise
    return os.posix_spawn(_USUAL_SHELL, ["sh", path, *words[1:]], env, setsigmask=mask, setsigdef=defaults)


def _is_script(path: str) -> bool:
    """Whether a shell would read the file: it has no NUL in its first line (bash 5.2, check_binary_file)."""
    with open(path, "rb") as stream:
        head = stream.read(128)
    return head[:4] != b"\x7fELF" and b"\0" not in head.partition(b"\n")[0]


def _environment() -> dict[bytes, bytes]:
    """Return the environment that we were given: Python adds LC_CTYPE to one without a locale (PEP 538)."""
    env = dict(os.environb)
    if env.get(b"LC_CTYPE") in (b"C.UTF-8", b"C.utf8", b"UTF-8"):
        try:
            with open("/proc/self/environ", "rb") as stream:
                given = stream.read()
        except OSError:
            return env
        if b"\0LC_CTYPE=" not in b"\0" + given:
            del env[b"LC_CTYPE"]
    return env


# -- while it runs ------------------------------------------------------------------------------


def _followed(child: int, signals: set[signal.Signals]) -> int:
    """Wait for the end of the child; return its exit code, or the signal that ended it as a negative number."""
    while True:
        told = signal.sigwaitinfo(signals)
        if told.si_signo != signal.SIGCHLD:
            # Codes above 0 are the kernel's: it has sent it to the whole process group of the terminal.
            if told.si_code <= 0 or told.si_signo == signal.SIGALRM:
                _send(child, told.si_signo)
            continue
        pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if pid and os.WIFSTOPPED(status):
            os.kill(os.getpid(), signal.SIGSTOP)
            _send(child, signal.SIGCONT)
        elif pid:
            return os.waitstatus_to_exitcode(status)


def _send(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except OSError:
        return  # it has become another user's
