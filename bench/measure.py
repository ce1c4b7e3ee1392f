"""Running commands in turn, and what comes of it: medians, spreads, ratios."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Command", "Measured", "Run", "measure", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished command: wall seconds and peak memory of its largest process (MiB)."""

    seconds: float
    memory: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line. ``before`` is called, and not timed, before each run."""

    line: Sequence[str]
    before: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the runs of one command came to."""

    runs: Sequence[Run]

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def memory(self) -> float:
        """The median (MiB)."""
        return statistics.median(run.memory for run in self.runs)

    @property
    def told(self) -> str:
        """The median with the least and the most."""
        seconds = [run.seconds for run in self.runs]
        digits = 3 if self.seconds < 1 else 2
        return f"{self.seconds:.{digits}f} s ({min(seconds):.{digits}f} to {max(seconds):.{digits}f})"


def run(command: Command, environment: dict[str, str]) -> Run:
    """Run a command, its output thrown away. An exit status is its own affair, a traceback is a fast wrong answer.

    Raises RuntimeError for one that broke down.
    """
    if command.before is not None:
        command.before()
    with open(os.devnull, "wb") as sink, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        child = os.posix_spawn(
            command.line[0],
            list(command.line),
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, sink.fileno(), 1), (os.POSIX_SPAWN_DUP2, errors.fileno(), 2)],
        )
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - started
        errors.seek(0)
        told = errors.read()
        if os.WIFSIGNALED(status) or b"Traceback (most recent call last)" in told:
            raise RuntimeError(f"{command.line[0]} broke down: {told[-2000:].decode(errors='replace')}")
        return Run(seconds=seconds, memory=usage.ru_maxrss / 1024)


def measure(commands: Sequence[Command], environment: dict[str, str], runs: int) -> list[Measured]:
    """Run the commands in turn, ``runs`` rounds after one that warms the page cache."""
    for command in commands:
        run(command, environment)
    rounds = [[run(command, environment) for command in commands] for _ in range(runs)]
    return [Measured(runs=[one[index] for one in rounds]) for index in range(len(commands))]
