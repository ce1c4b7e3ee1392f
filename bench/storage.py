"""Measure the search for files that are stored again: ``python -m bench.storage [--write] [--runs 5] [--cold 3]``.

Programs that do the same are run in turn over one tree of more than 100,000 files of real environments, on a file
system of its own: *warm* is with everything in memory, *cold* after it was unmounted and mounted again. Ratios are to
the fastest program that compares bytes, as we do, within one run. Before that it is checked that our sets of files are
exactly those of jdupes. ``--write`` puts the table into docs/dedupe.md.

Needs root and what ``tests/judges/setup.sh`` brings. The tree takes 12 minutes to measure, and some minutes to make:
it stays, in $RUNWORTHY_JUDGES/bench.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.finders import FINDERS, Finder, Found, ours, sets_of_jdupes, sets_of_ours
from bench.measure import Command, Measured, Run, run
from bench.peers import CHECKOUT, fresh
from bench.tree import Tree, fill, image, seen
from tests.storage import ground

PAGE = CHECKOUT / "docs" / "dedupe.md"
BEGIN, END = "<!-- storage-bench:begin -->\n", "<!-- storage-bench:end -->"
SIZES = {1: "all", 65536: "≥ 64 KiB"}
PATIENCE = 4
FIND, FIND_AGAIN = "runworthy dedupe --no-reasons", "the same, again"
US, AGAIN = "runworthy dedupe", "the whole, again"
OURS = {
    FIND: "bytes",
    FIND_AGAIN: "bytes, an index of the last run",
    US: "bytes",
    AGAIN: "bytes, an index of the last run",
}
"""What the others do comes first, then the whole report."""
BUDGETS = {
    **{(name, heat): limit for name in (FIND, US) for heat, limit in (("warm", 0.8), ("cold", 0.7))},
    **{(name, "warm"): 0.3 for name in (FIND_AGAIN, AGAIN)},
}


_BY_BYTES = frozenset(finder.name for finder in FINDERS if finder.by_bytes)


@dataclass(frozen=True, slots=True)
class Column:
    """What is measured: from which size on, and warm or cold."""

    size: int
    heat: str

    @property
    def title(self) -> str:
        """How it is called in the table."""
        return f"{self.heat}, {SIZES[self.size]}"


COLUMNS = tuple(Column(size, heat) for heat in ("warm", "cold") for size in SIZES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All that was measured. ``found``: how many duplicates a program says there are."""

    tree: Tree
    times: Mapping[tuple[str, Column], Measured]
    found: Mapping[str, int | None]
    agreed: str
    finders: Sequence[Finder] = field(default=FINDERS)

    def best(self, column: Column) -> tuple[str, float]:
        """The fastest program that compares bytes, and its seconds."""
        peers = [(finder.name, self.times.get((finder.name, column))) for finder in self.finders if finder.by_bytes]
        return min(((name, told.seconds) for name, told in peers if told), key=lambda pair: pair[1])

    def cell(self, name: str, column: Column) -> str:
        """Seconds of a program, and of ours how they stand to the best."""
        told = self.times.get((name, column))
        if told is None:
            return ""
        if name not in OURS:
            return f"{told.seconds:.2f}{' (n=1)' * (len(told.runs) == 1)}"
        best, seconds = self.best(column)
        ratio = told.seconds / seconds
        budget = BUDGETS.get((name, column.heat))
        over = ", **over**" if budget is not None and ratio > budget else ""
        return f"{told.seconds:.2f} = {ratio:.2f} x {best}{over}"


def table(results: Results) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| seconds | decides by | " + " | ".join(column.title for column in COLUMNS) + " | MiB | duplicates |"
    yield "|---|---|" + "---|" * (len(COLUMNS) + 2)
    rows = [(name, decides, "") for name, decides in OURS.items()]
    rows += [(finder.name, finder.decides, finder.note) for finder in results.finders]
    for name, decides, note in rows:
        cells = [results.cell(name, column) for column in COLUMNS]
        told = results.times.get((name, COLUMNS[0]))
        memory = f"{told.memory:.0f}" if told else "not measured"
        number = results.found.get(name)
        yield f"| {name} | {decides} | {' | '.join(cells)} | {memory} | {note if number is None else number} |"


def sentence(results: Results, *, runs: int, cold: int) -> Iterator[str]:
    """Yield what the table is about."""
    yield (
        f"`python -m bench.storage`: {results.tree.files:,} files, {results.tree.size / 1e9:.2f} GB, on ext4; medians "
        f"of {runs} warm and {cold} cold runs, in turn."
    )
    yield results.agreed


class Bench:
    """The tree, mounted, and an environment with runworthy in it."""

    def __init__(self, scratch: Path, disk: ground.Ground) -> None:
        self._scratch, self._disk = scratch, disk
        self.tree = disk.path
        self.python, self.environment = fresh(scratch)
        asked = [self.python, "-m", "runworthy", "dedupe", "--help"]
        known = subprocess.run(asked, env=self.environment, capture_output=True, check=False)
        self.has_ours = known.returncode == 0

    def commands(self, column: Column) -> dict[str, Command]:
        """What is run for a column, by name."""
        cool = self._disk.cold if column.heat == "cold" else None
        lines = {finder.name: finder.words(self.tree, column.size) for finder in FINDERS}
        commands = {name: Command(line=line, before=cool) for name, line in lines.items() if line}
        if not self.has_ours:
            return commands
        report = self._scratch / "report.txt"

        def asked(name: str, more: Sequence[str], *, again: bool) -> Command:
            cache = self._scratch / f"{name}-{column.size}"

            def forget() -> None:
                shutil.rmtree(cache, ignore_errors=True)
                if cool is not None:
                    cool()

            line = [*ours(self.python, self.tree, column.size, report, cache), *more]
            return Command(line=line, before=cool if again else forget)

        return {
            FIND: asked("find", ["--no-reasons"], again=False),
            FIND_AGAIN: asked("find-again", ["--no-reasons"], again=True),
            US: asked("whole", [], again=False),
            AGAIN: asked("whole-again", [], again=True),
            **commands,
        }

    def measure(self, column: Column, runs: int) -> dict[str, Measured]:
        """Run all of a column in turn. Where they are warm, after a round that is not counted.

        What takes many times as long as the best in the first round is not run again.
        """
        commands = self.commands(column)
        told: dict[str, list[Run]] = {name: [] for name in commands}
        if column.heat == "warm":
            for command in commands.values():
                run(command, self.environment)
        for number in range(runs):
            for name, command in commands.items():
                told[name].append(run(command, self.environment))
                seconds = f"{told[name][-1].seconds:.2f} s"
                print(f"{column.title}, {number + 1} of {runs}: {name}: {seconds}", file=sys.stderr, flush=True)
            if not number:
                limit = PATIENCE * min(first.seconds for name, (first,) in told.items() if name in _BY_BYTES)
                commands = {
                    name: command
                    for name, command in commands.items()
                    if name in OURS or told[name][0].seconds <= limit
                }
        return {name: Measured(runs=all_runs) for name, all_runs in told.items()}

    def agreement(self) -> tuple[str, dict[str, int | None]]:
        """Compare our sets with those of jdupes; a sentence about it, and how many duplicates each program found."""
        theirs = sets_of_jdupes(self.tree, 1)
        many = Found.of(theirs)
        found: dict[str, int | None] = {}
        for finder in FINDERS:
            words = finder.words(self.tree, 1)
            found[finder.name] = finder.duplicates(words) if words and finder.number else None
        told = f"jdupes finds {many.duplicates:,} duplicates of {many.size / 1e9:.2f} GB in {len(theirs):,} sets"
        if not self.has_ours:
            return f"{told}; this runworthy cannot.", found
        mine = sets_of_ours(self.python, self.environment, self.tree, 1)
        found |= dict.fromkeys(OURS, Found.of(mine).duplicates)
        if mine == theirs:
            return f"{told}; the sets of runworthy are exactly these.", found
        mine_alone, theirs_alone = (sorted(map(_shown, one - other)) for one, other in ((mine, theirs), (theirs, mine)))
        print("only runworthy:", *mine_alone[:20], "only jdupes:", *theirs_alone[:20], sep="\n", file=sys.stderr)
        return f"{told}; **runworthy differs** in {len(mine ^ theirs)} sets.", found


def _shown(one: tuple[int, frozenset[str]]) -> str:
    return f"{one[0]} {sorted(one[1])}"


def main() -> int:
    """Print the table; the exit status is 1 where the sets of files differ."""
    parser = argparse.ArgumentParser(prog="python -m bench.storage", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument("--runs", type=int, default=5, help="warm runs")
    parser.add_argument("--cold", type=int, default=3, help="cold runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="runworthy-bench-") as scratch:
        kept = ground.kept(image(), Path(scratch), fill, megabytes=12_000, options=("-i", "32768", *_AT_ONCE))
        with kept as disk:
            bench = Bench(Path(scratch), disk)
            # In a process of its own: a child's peak memory is never told smaller than its parent was when it began.
            with ProcessPoolExecutor(1) as apart:
                agreed, found = apart.submit(bench.agreement).result()
                tree = apart.submit(seen, disk.path).result()
            print(agreed, file=sys.stderr, flush=True)
            times: dict[tuple[str, Column], Measured] = {}
            for column in COLUMNS:
                rounds = options.runs if column.heat == "warm" else options.cold
                if rounds:
                    told = bench.measure(column, rounds)
                    times |= {(name, column): measured for name, measured in told.items()}
            results = Results(tree=tree, times=times, found=found, agreed=agreed)
    lines = [*sentence(results, runs=options.runs, cold=options.cold), "", *table(results)]
    print(*lines, sep="\n")
    if options.write:
        write(lines)
    return int("**" in agreed)


# Nothing is left for the kernel to do behind our back.
_AT_ONCE = ("-E", "lazy_itable_init=0,lazy_journal_init=0")


def write(lines: Sequence[str]) -> None:
    """Put lines between the marks of the page. Raises ValueError where it has none."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no {BEGIN.strip()} and {END}")
    PAGE.write_text(before + begin + "".join(f"{line}\n" for line in lines) + end + after, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
