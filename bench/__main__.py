"""Measure the budgets and print them as a table: ``python -m bench`` (or ``make bench``).

Each row runs two commands in turn, several times, and gives the ratio of their median wall times (or the
peak memory of one). Ratios bear being compared between machines; seconds do not, and are shown for scale.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

RUNS = 5
TREE = "/usr/lib"
TARGETS = (
    "alpine:3.20",
    "alpine:3.12",
    "debian:11",
    "debian:12",
    "ubuntu:20.04",
    "ubuntu:24.04",
    "rhel:9",
    "fedora:42",
    "manylinux_2_28",
    "amazonlinux:2023",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One finished command: wall seconds and peak memory in MiB."""

    seconds: float
    memory: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. ``measured`` is a ratio, or MiB where ``unit`` says so; None: it could not be measured."""

    work: str
    budget: float
    goal: float
    measured: float | None
    unit: str = "x"
    note: str = ""


def run(command: Sequence[str]) -> Run:
    """Run a command with its output thrown away; its exit status is its own affair."""
    with open(os.devnull, "wb") as sink:
        started = time.perf_counter()
        child = os.posix_spawn(
            command[0],
            list(command),
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, sink.fileno(), 1), (os.POSIX_SPAWN_DUP2, sink.fileno(), 2)],
        )
        _, _, usage = os.wait4(child, 0)
        return Run(seconds=time.perf_counter() - started, memory=usage.ru_maxrss / 1024)


def medians(*commands: Sequence[str], runs: int = RUNS) -> list[Run]:
    """Run the commands in turn, ``runs`` rounds after one that warms the caches; return each one's medians."""
    for command in commands:
        run(command)
    rounds = [[run(command) for command in commands] for _ in range(runs)]
    return [
        Run(
            seconds=statistics.median(one[index].seconds for one in rounds),
            memory=statistics.median(one[index].memory for one in rounds),
        )
        for index in range(len(commands))
    ]


def runworthy(*arguments: str) -> list[str]:
    """Return the command line of a check."""
    return [sys.executable, "-m", "runworthy", "check", "-q", *arguments]


def elf_files(tree: str) -> list[str]:
    """Return the programs and libraries below ``tree`` (ET_EXEC and ET_DYN), debug files left out."""
    found = []
    for directory, below, names in os.walk(tree):
        below[:] = [name for name in below if name != "debug"]
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    head = file.read(20)
                if head[:4] == b"\x7fELF" and not {2, 3}.isdisjoint(head[16:18]):
                    found.append(path)
    return sorted(found)


def start() -> Row:
    """One dynamic executable on one catalogue target, cold process, against an interpreter that does nothing."""
    program = shutil.which("ls") or "/bin/ls"
    nothing, check = medians([sys.executable, "-c", "pass"], runworthy(program, "--on", "debian:12"), runs=15)
    return Row(
        work="one dynamic executable on one catalogue target, cold process, against `python -c pass`",
        budget=7,
        goal=4,
        measured=check.seconds / nothing.seconds,
        note=f"{check.seconds * 1000:.0f} ms against {nothing.seconds * 1000:.0f} ms",
    )


def against_libtree(files: Sequence[str], work: str, budget: float, goal: float, *arguments: str) -> Row:
    """Every ELF file of the tree on this host against libtree on the same list."""
    libtree = shutil.which("libtree")
    if libtree is None:
        return Row(work=work, budget=budget, goal=goal, measured=None, note="needs `libtree` (package libtree)")
    theirs, ours = medians([libtree, *files], runworthy(*files, *arguments), runs=3)
    return Row(
        work=work,
        budget=budget,
        goal=goal,
        measured=ours.seconds / theirs.seconds,
        note=f"{len(files)} files; {ours.seconds:.2f} s against {theirs.seconds:.2f} s",
    )


def ten_targets(files: Sequence[str]) -> Row:
    """Ten catalogue targets instead of one."""
    some = files[:100]
    on = [argument for name in TARGETS for argument in ("--on", name)]
    one, ten = medians(runworthy(*some, *on[:2]), runworthy(*some, *on), runs=3)
    return Row(
        work="ten targets instead of one",
        budget=1.5,
        goal=1.2,
        measured=ten.seconds / one.seconds,
        note=f"{len(some)} files; {ten.seconds:.2f} s against {one.seconds:.2f} s",
    )


def memory(files: Sequence[str]) -> Row:
    """Peak memory for every ELF file of the tree on this host."""
    (ours,) = medians(runworthy(*files), runs=1)
    return Row(
        work=f"peak memory for {len(files)} ELF files",
        budget=150,
        goal=100,
        measured=ours.memory,
        unit="MiB",
    )


def rows() -> Iterator[Callable[[], Row]]:
    """Yield the measurements, cheap ones first."""
    files = elf_files(TREE)
    where = f"every ELF file of {TREE} on the host"
    yield start
    yield lambda: against_libtree(
        files, f"{where}, needed libraries only (`--until load`), against libtree", 2, 1, "--until", "load"
    )
    yield lambda: against_libtree(
        files, f"{where}, versions and every symbol bound, against libtree (which does neither)", 8, 4
    )
    yield lambda: ten_targets(files)
    yield lambda: memory(files)


def main() -> int:
    """Print the table; the exit status is 0, since falling short is told, not hidden."""
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        print("| work | budget | goal | measured | |")
        print("|---|---|---|---|---|")
        for measure in rows():
            row = measure()
            if row.measured is None:
                print(f"| {row.work} | ≤ {row.budget:g} {row.unit} | {row.goal:g} | not measured | {row.note} |")
                continue
            verdict = (
                "within the goal"
                if row.measured <= row.goal
                else "within"
                if row.measured <= row.budget
                else "**over**"
            )
            note = f"{verdict}; {row.note}" if row.note else verdict
            print(
                f"| {row.work} | ≤ {row.budget:g} {row.unit} | {row.goal:g} {row.unit} | "
                f"{row.measured:.2f} {row.unit} | {note} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
