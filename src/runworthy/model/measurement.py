"""What runs of one program came to: each way of starting it, with times, memory and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from runworthy.model.records import dataclass

__all__ = ["Comparison", "Measured", "Measurement", "Ratio", "Run", "Spread", "Way", "spread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of starting a program. ``argv`` is what is executed, its first word as it stands.

    ``label`` is ``now``, ``native`` or ``proposed``, numbered where there are several; ``why`` says in words what
    happens then. ``handler`` is the name of the handler of binfmt_misc that is expected to take the file, empty where
    none is.
    """

    label: str
    argv: tuple[str, ...]
    why: str
    handler: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, from execve to the end of the process that was started. Times are in seconds.

    ``user`` and ``system`` are those of all of its processes; not counted are children whose parent ignores their end
    (SIGCHLD), for the kernel forgets them. ``memory`` (bytes) is the peak of resident memory of the largest of them;
    ``memory_is_bound``: it is no more than that, for the process took so much before it became the program.
    ``first_output`` is when the first byte was written, None where that was not asked or none was. ``status`` is the
    exit code, or the negative number of the signal that ended it; None where it was ended here because it took too
    long. ``left`` is how many processes it had left behind, which were ended.
    """

    time: float
    user: float
    system: float
    memory: int
    memory_is_bound: bool = False
    first_output: float | None = None
    status: int | None = 0
    left: int = 0

    @property
    def cpu(self) -> float:
        """The CPU time of all processes (seconds)."""
        return self.user + self.system


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of ``n`` values, the least and the most."""

    median: float
    least: float
    most: float
    n: int


def spread(values: Sequence[float]) -> Spread | None:
    """Return the spread of values, None of none. The median of an even number is half way between the middle two."""
    if not values:
        return None
    held = sorted(values)
    low, high = held[(len(held) - 1) // 2], held[len(held) // 2]
    return Spread(median=low if low == high else (low + high) / 2, least=held[0], most=held[-1], n=len(held))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The runs of one way, without those that warm up. ``problem`` says why it does not start, errno's name first."""

    way: Way
    runs: tuple[Run, ...] = ()
    problem: str = ""

    @property
    def time(self) -> Spread | None:
        """Whole runs (seconds), without those that were ended because they took too long."""
        return spread([run.time for run in self.runs if run.status is not None])

    @property
    def first_output(self) -> Spread | None:
        """From the start to the first byte of output (seconds)."""
        return spread([run.first_output for run in self.runs if run.first_output is not None])

    @property
    def cpu(self) -> Spread | None:
        """CPU time of all processes (seconds)."""
        return spread([run.cpu for run in self.runs])

    @property
    def memory(self) -> Spread | None:
        """Peak memory of the largest process (bytes)."""
        return spread([run.memory for run in self.runs])

    @property
    def memory_is_bound(self) -> bool:
        """Whether the median of the memory says only that it is no more than that."""
        middle = self.memory
        return middle is not None and any(run.memory_is_bound and run.memory >= middle.median for run in self.runs)

    @property
    def endings(self) -> tuple[int | None, ...]:
        """Return how its runs ended, each once, in the order in which that was seen first."""
        return tuple(dict.fromkeys(run.status for run in self.runs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How many times as much the median of one way is. ``clear``: the two spreads do not touch."""

    value: float
    clear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One way measured by another; None where one of them has no such figure, or nothing to divide by."""

    way: str
    by: str
    time: Ratio | None
    first_output: Ratio | None
    cpu: Ratio | None
    memory: Ratio | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The document of ``runworthy measure``.

    ``program`` is the file that was started; ``kind`` says what it is. ``rounds`` is how many runs of each way were
    wanted, after one that warms up; ``timeout`` is in seconds. ``notes`` say why a way that might be expected is not
    here.
    """

    command: tuple[str, ...]
    program: str
    kind: str
    rounds: int
    timeout: float
    until_output: bool
    ways: tuple[Measured, ...]
    notes: tuple[str, ...] = ()

    @property
    def compared(self) -> tuple[Comparison, ...]:
        """The way that holds now, measured by each other one that ran."""
        first, *others = self.ways
        return tuple(_comparison(first, other) for other in others if first.runs and other.runs)

    @property
    def ends_alike(self) -> bool:
        """Whether every way starts, and all runs end the same and in time, or at least come to their first output."""
        if any(measured.problem or not measured.runs for measured in self.ways):
            return False
        endings = {run.status for measured in self.ways for run in measured.runs}
        late = [run for measured in self.ways for run in measured.runs if run.status is None]
        return len(endings) == 1 and all(self.until_output and run.first_output is not None for run in late)

    def exit_code(self) -> int:
        """Return 0 when every way was measured and ends as the others do, else 1."""
        return 0 if self.ends_alike else 1


def _comparison(way: Measured, by: Measured) -> Comparison:
    return Comparison(
        way=way.way.label,
        by=by.way.label,
        time=_ratio(way.time, by.time),
        first_output=_ratio(way.first_output, by.first_output),
        cpu=_ratio(way.cpu, by.cpu),
        memory=_ratio(way.memory, by.memory),
    )


def _ratio(over: Spread | None, under: Spread | None) -> Ratio | None:
    if over is None or under is None or not under.median:
        return None
    clear = over.least > under.most or over.most < under.least
    return Ratio(value=over.median / under.median, clear=clear)
