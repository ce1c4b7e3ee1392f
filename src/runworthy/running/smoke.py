"""A person's own test of software that was repaired: a command line for the shell of the root that it is to run in."""

from __future__ import annotations

import os
import tempfile

from runworthy.measuring.runs import NotStartedError, Runner
from runworthy.model.errors import RunworthyError
from runworthy.model.records import dataclass
from runworthy.running import cell

__all__ = ["Outcome", "smoke_test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a test ended. ``status`` is its exit code, or the negative number of the signal that ended it.

    ``status`` is None where it was not run, which ``problem`` accounts for, or took longer than ``timeout`` seconds.
    ``left`` is how many processes it had left behind, which were ended.
    """

    status: int | None = None
    problem: str = ""
    timeout: float = 0.0
    left: int = 0

    @property
    def passed(self) -> bool:
        """Whether the test says that the software does what it should."""
        return self.status == 0

    @property
    def words(self) -> str:
        """How it ended."""
        if self.problem:
            return f"it could not be run: {self.problem}"
        if self.status is None:
            return f"it was ended after {self.timeout:g} s"
        if self.status < 0:
            import signal

            return f"it failed: {signal.Signals(-self.status).name}"
        return f"it failed: exit status {self.status}" if self.status else "it passed"


def smoke_test(command: str, root: str, *, timeout: float = 60.0) -> Outcome:
    """Have the shell of the root directory ``root`` run a command line; ``/`` is this machine. Nothing is raised.

    Its output goes to standard error, its input is empty. In another root than this machine's it has processes and
    mounts of its own, where that is possible, with /proc and the usual devices. After ``timeout`` seconds it is ended,
    and so is at its end what it has left behind.
    """
    try:
        if os.path.realpath(root) == "/":
            return _ran([cell.SHELL, "-c", command], timeout)
        return _in_cell(command, os.path.realpath(root), timeout)
    except NotStartedError as error:
        return Outcome(problem=f"{cell.SHELL}: {error}")
    except (RunworthyError, OSError) as error:
        return Outcome(problem=str(error))


def _ran(argv: list[str], timeout: float) -> Outcome:
    """Run a program to its end. Raises RunworthyError."""
    with Runner(timeout=timeout, show_output=True) as runner:
        run = runner.run(argv)
    return Outcome(status=run.status, timeout=timeout, left=run.left)


def _in_cell(command: str, root: str, timeout: float) -> Outcome:
    """Run the command line in another root. Raises RunworthyError, OSError."""
    if problem := _no_shell(root):
        return Outcome(problem=problem)
    with tempfile.TemporaryDirectory() as scratch:
        told = os.path.join(scratch, "told")
        done = _ran(cell.command(root, told, command), timeout)
        if done.status is None:
            return done
        with open(told, encoding="utf-8") as stream:
            word, number, at = (*stream.read().split(), "", "", "")[:3]
    if word == "status":
        return Outcome(status=int(number), timeout=timeout, left=done.left)
    return Outcome(problem=_refused(int(number), at) if number else "the process that was to run it was ended")


def _no_shell(root: str) -> str:
    """Return that a root has no shell, empty where it has one. Raises OSError."""
    from runworthy.targets.directory import DirectoryView

    return "" if DirectoryView(root).exists(cell.SHELL) else f"the root has no {cell.SHELL}"


def _refused(number: int, at: str) -> str:
    """Return in words why a shell did not start."""
    import errno

    if at == "chroot":
        return f"this user cannot enter the root: {os.strerror(number)}"
    if number == errno.ENOEXEC:
        return f"{cell.SHELL} of the root is for another processor, and nothing here emulates it"
    if number == errno.ENOENT:
        return f"{cell.SHELL} of the root does not start: its interpreter is not there"
    return f"{cell.SHELL} of the root does not start: {os.strerror(number)}"
