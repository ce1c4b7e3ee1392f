"""Runs of commands, one after the other, by a process of their own (:mod:`runworthy.measuring.supervisor`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runworthy.measuring import supervisor
from runworthy.model.errors import RunworthyError, UsageError
from runworthy.model.measurement import Run

if TYPE_CHECKING:
    from subprocess import Popen

__all__ = ["NotStartedError", "Runner"]

_MARGIN = 2 << 20
"""How far (bytes) the kernel's counts of resident pages may be off: each processor has its own, summed up late."""

_GONE = "the process that measures was ended"


class NotStartedError(RunworthyError):
    """The kernel did not start a command: errno's name, and what it means."""

    def __init__(self, number: int) -> None:
        import errno

        super().__init__(f"{errno.errorcode.get(number, number)}: {os.strerror(number)}")


class Runner:
    """Runs commands, while it is entered. Whatever they leave behind is ended, and all of it when it is left."""

    __slots__ = ("_process", "_shown", "_timeout", "_watched")

    def __init__(self, *, timeout: float, until_output: bool = False, show_output: bool = False) -> None:
        """``timeout`` is for each run (seconds). ``show_output``: it goes to stderr, where it is thrown away else."""
        self._timeout = timeout
        self._watched = until_output
        self._shown = show_output
        self._process: Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the process that measures. Raises UsageError where processes cannot be measured."""
        if not hasattr(os, "fork") or not sys.executable:
            raise UsageError("programs cannot be measured on this system", hint="on Linux and macOS they can")
        import subprocess

        self._process = subprocess.Popen(  # noqa: S603 - an argument list of our own
            supervisor.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it, and wait until it has ended what it has started."""
        process = self._process
        self._process = None
        if process is None or process.stdin is None or process.stdout is None:
            return
        try:
            process.stdin.close()
        except OSError:
            pass  # it has ended already
        finally:
            process.wait()
            process.stdout.close()

    def run(self, argv: Sequence[str]) -> Run:
        """Execute ``argv[0]`` with these words, and wait for its end. Raises NotStartedError or RunworthyError."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RunworthyError(_GONE)
        words = b"\0".join(map(os.fsencode, argv))
        if words.count(b"\0") != len(argv) - 1:
            raise UsageError("a word of a command holds a NUL, which no program can be given")
        header = f"{self._timeout} {int(self._watched)} {int(self._shown)} {len(words)}\n"
        try:
            process.stdin.write(header.encode() + words)
            process.stdin.flush()
        except BrokenPipeError as error:
            raise RunworthyError(_GONE) from error
        answer = process.stdout.readline().decode()
        if not answer.endswith("\n"):
            raise RunworthyError(_GONE)
        return _run(dict(zip(supervisor.FIELDS, answer.split(), strict=True)))


def _run(told: dict[str, str]) -> Run:
    if told["errno"] != "-":
        raise NotStartedError(int(told["errno"]))
    if told["stuck"] != "0":
        raise RunworthyError(f"{told['stuck']} processes that the program has started cannot be ended")
    memory = int(told["memory"])
    return Run(
        time=float(told["time"]),
        user=float(told["user"]),
        system=float(told["system"]),
        memory=memory,
        memory_is_bound=memory <= int(told["floor"]) + _MARGIN,
        first_output=None if told["first_output"] == "-" else float(told["first_output"]),
        status=None if told["status"] == "-" else int(told["status"]),
        left=int(told["left"]),
    )
