"""The process that starts a program, waits for all that comes of it, and leaves nothing of it behind.

It runs in an interpreter of its own, and imports nothing of ours and little else. So it is small, and that matters:
what a process weighs before it becomes a program counts into that program's peak memory (``fs/exec.c``,
setmax_mm_hiwater_rss). It is the reaper of its descendants (PR_SET_CHILD_SUBREAPER, Linux): one whose parent ends
becomes its child, so that its CPU time is counted and nothing can get away by detaching itself. Being a session of its
own, it has no terminal that a program could take.

It reads requests from standard input, a line with four numbers and then the words of the command with NULs between
them, and answers each with one line. When whoever asks goes away, it ends what it has started, and itself.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from time import monotonic

__all__ = ["FIELDS", "command", "main"]

FIELDS = ("time", "first_output", "user", "system", "memory", "floor", "status", "left", "stuck", "errno")
"""What an answer holds: seconds, bytes, numbers; ``-`` for what there is not.

``floor`` is the memory that the process had before it became the program. ``status`` is as in
:class:`runworthy.model.measurement.Run`; ``stuck`` are the processes that could not be ended.
"""

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, linux/prctl.h
_PATIENCE = ((0, 0.02), (signal.SIGTERM, 0.5), (getattr(signal, "SIGKILL", signal.SIGTERM), 3.0))
"""Signals, and how long to wait after each (seconds): what is about to end by itself may do so."""

_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, getrusage(2)
_REQUEST, _ANSWER, _ERRORS = 0, 1, 2
_AT_ONCE = 1 << 16
_PIPE = 1 << 20
"""What a pipe holds at most, in bytes (pipe-max-size, pipe(7)): more than that was written after the program's end."""


class _Tree:
    """A program that was started, and its descendants."""

    def __init__(self, argv: list[bytes], *, watched: bool, shown: bool) -> None:
        """Start it in a process group of its own. ``watched``: its output is read; ``shown``: it goes to stderr."""
        self.output = -1
        end = -1
        if watched:
            self.output, end = os.pipe()
        self._told, telling = os.pipe()
        self.child = os.fork()
        if not self.child:
            _become(argv, telling, end if watched else _ERRORS if shown else -1)
        os.close(telling)
        if end >= 0:
            os.close(end)
        # The first line comes before execve, and an errno, or the end of the pipe (it closes itself), after it.
        first, _, self._rest = _read_line(self._told).partition(b"\n")
        started, user, system, memory = first.split()
        self.started = float(started)
        self._user, self._system = -float(user), -float(system)
        self.floor = int(memory) * _UNIT
        self._memory = 0
        self.ended: float | None = None
        self.status: int | None = None
        self.alone = False

    def reap(self) -> int:
        """Take the figures of all processes that have ended, and return how many have."""
        number = 0
        while not self.alone:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.alone = True
                break
            if not pid:
                break
            number += 1
            self._user += usage.ru_utime
            self._system += usage.ru_stime
            self._memory = max(self._memory, usage.ru_maxrss * _UNIT)
            if pid == self.child:
                self.ended = monotonic() - self.started
                self.status = os.waitstatus_to_exitcode(status)
        return number

    def signal(self, number: int) -> None:
        """Send a signal to the group while the child has its number, and to all that have become children here."""
        if self.ended is None:
            _signal(-self.child, number)
        for pid in _children():
            _signal(pid, number)

    def answer(self, **found: float | None) -> str:
        """Return the line that tells it all: what was measured here, and what the caller found."""
        problem = self._rest + (_read_line(self._told) if self.ended is not None else b"")
        os.close(self._told)
        if self.output >= 0:
            os.close(self.output)
        values = {
            "time": self.ended,
            "user": max(self._user, 0.0),
            "system": max(self._system, 0.0),
            "memory": self._memory,
            "floor": self.floor,
            "status": self.status,
            "errno": int(problem) if problem else None,
            **found,
        }
        return " ".join("-" if values[name] is None else str(values[name]) for name in FIELDS)


def command() -> list[str]:
    """Return what starts it: by its file's name alone, out of the bytecode that there may be of it."""
    there, name = os.path.split(__file__)
    script = f"import sys; sys.path.append(sys.argv[1]); import {name.partition('.')[0]} as it; it.main()"
    return [sys.executable, "-I", "-S", "-c", script, there]


def _become(argv: list[bytes], telling: int, output: int) -> None:
    """Become the program; what it weighs until then is told, and so is the errno if it does not."""
    import resource

    line = b"0 0 0 0\n"
    try:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null if output < 0 else output, 1)
        os.dup2(null if output < 0 else output, 2)
        for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, which execve would hand on
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        line = f"{monotonic():f} {usage.ru_utime:f} {usage.ru_stime:f} {usage.ru_maxrss}\n".encode()
        os.write(telling, line)
        line = b""
        os.execv(argv[0], argv)  # noqa: S606 - a person has written this command
    except OSError as error:
        os.write(telling, line + str(error.errno).encode())
    finally:
        os._exit(127)


def _read_line(descriptor: int) -> bytes:
    """Return what a pipe has up to the end of a line, and what came with it."""
    held = b""
    while not held.endswith(b"\n") and (more := os.read(descriptor, 4096)):
        held += more
    return held


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # it has ended, or it is another user's


def _children() -> list[int]:
    """Return the processes that are children of this one: nobody else reaps them, so the numbers stay theirs."""
    own = str(os.getpid()).encode()
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stream:
                    told = stream.read()
            except OSError:
                continue
            # proc(5): the command's name stands in brackets and may hold any byte; state and parent follow.
            if told.rpartition(b")")[2].split()[1] == own:
                found.append(int(name))
    return found


class _Supervisor:
    """Runs one command after the other. ``wake`` is readable when a child has ended."""

    def __init__(self) -> None:
        self._wake, ended = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(ended, False)
        signal.set_wakeup_fd(ended, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # where it was ignored no child's figures could be had

    def run(self, argv: list[bytes], *, timeout: float, watched: bool, shown: bool) -> str:
        """Run a command to its end, and return the answer."""
        tree = _Tree(argv, watched=watched, shown=shown)
        first = self._follow(tree, timeout, shown=shown)
        late = tree.ended is None
        left, stuck = self._end(tree)
        if late:
            return tree.answer(first_output=first, left=0, stuck=stuck, time=timeout, status=None)
        return tree.answer(first_output=first, left=left, stuck=stuck)

    def _follow(self, tree: _Tree, timeout: float, *, shown: bool) -> float | None:
        """Wait until the child has ended, or for ``timeout`` seconds; return when the first output came."""
        first = None
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        poller.register(_REQUEST, select.POLLIN)
        if tree.output >= 0:
            poller.register(tree.output, select.POLLIN)
        while tree.ended is None and (rest := tree.started + timeout - monotonic()) > 0:
            for descriptor, _ in poller.poll(min(rest, 3600) * 1000):
                if descriptor == tree.output:
                    at = monotonic() - tree.started
                    data = os.read(descriptor, _AT_ONCE)
                    if not data:
                        poller.unregister(descriptor)
                    elif first is None:
                        first = at
                    if shown:
                        _show(data)
                elif descriptor == _REQUEST:
                    self._end(tree)
                    sys.exit(1)
            self._calm()
            tree.reap()
        if tree.output >= 0 and tree.ended is not None:
            late = _rest(tree.output)
            first = tree.ended if first is None and late else first
            _show(late if shown else b"")
        return first

    def _calm(self) -> None:
        while _held(self._wake):
            pass

    def _end(self, tree: _Tree) -> tuple[int, int]:
        """End all that is there; return how many processes that were, and how many are there yet."""
        tree.reap()
        number = 0
        for name, patience in _PATIENCE:
            until = monotonic() + patience
            while not tree.alone and monotonic() < until:
                tree.signal(name)
                select.select([self._wake], [], [], 0.02)
                self._calm()
                number += tree.reap()
        return number, 0 if tree.alone else max(len(_children()), 1)


def _held(descriptor: int) -> bytes:
    """Return what a pipe that does not block has now."""
    try:
        return os.read(descriptor, _AT_ONCE)
    except BlockingIOError:
        return b""


def _rest(descriptor: int) -> bytes:
    """Return what a pipe has at a program's end. What was left behind may write on and on: that much is not read."""
    os.set_blocking(descriptor, False)
    found = b""
    while len(found) < _PIPE and (data := _held(descriptor)):
        found += data
    return found


def _show(data: bytes) -> None:
    try:
        while data:
            data = data[os.write(_ERRORS, data) :]
    except OSError:
        return  # nobody reads it


def main() -> None:
    """Answer requests until there are no more."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    import resource  # noqa: F401 - here, not in each process that is to become a program

    supervisor = _Supervisor()
    requests = sys.stdin.buffer
    while header := requests.readline():
        timeout, watched, shown, size = header.split()
        words = requests.read(int(size))
        if len(words) != int(size):
            return  # whoever asks has gone in the middle: what came is another command
        argv = words.split(b"\0")
        told = supervisor.run(argv, timeout=float(timeout), watched=watched == b"1", shown=shown == b"1")
        os.write(_ANSWER, f"{told}\n".encode())
