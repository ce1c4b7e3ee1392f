"""The rows of the table: the budgets of the design, and some peers for scale."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.measure import Command, Measured, measure
from bench.peers import Bench
from bench.releases import FILES, big_tar, big_zip, release
from bench.releases import TARGETS as RELEASE_TARGETS

__all__ = ["Row", "rows"]

TREE = "/usr/lib"
SOME = 100
TARGETS = (
    "debian:12",
    "debian:11",
    "alpine:3.20",
    "alpine:3.12",
    "ubuntu:20.04",
    "ubuntu:24.04",
    "rhel:9",
    "fedora:42",
    "manylinux_2_28",
    "amazonlinux:2023",
)
INFLATE = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); [z.read(n) for n in z.namelist() if '.so' in n]"
WALK = "import sys; from runworthy.targets.trees import walk; walk(sys.argv[1])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    ``measured`` is a ratio, or MiB where ``unit`` says so; None: it could not be measured, ``note`` says why. Of most
    rows less is better; ``more`` turns that round. A row without a budget is there for scale.
    """

    work: str
    measured: float | None
    note: str
    budget: float | None = None
    goal: float | None = None
    unit: str = "x"
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a row is about and what it may come to."""

    work: str
    budget: float | None = None
    goal: float | None = None
    more: bool = False

    def row(self, ours: Measured, theirs: Measured, note: str = "") -> Row:
        """Return the row of two commands that were run in turn."""
        told = f"{ours.told} against {theirs.told}, n={len(ours.runs)}"
        ratio = theirs.seconds / ours.seconds if self.more else ours.seconds / theirs.seconds
        return Row(
            work=self.work,
            budget=self.budget,
            goal=self.goal,
            more=self.more,
            measured=ratio,
            note=f"{note}; {told}" if note else told,
        )

    def empty(self, why: str) -> Row:
        """Return the row that could not be measured."""
        return Row(work=self.work, budget=self.budget, goal=self.goal, more=self.more, measured=None, note=why)


def rows(bench: Bench) -> Iterator[Callable[[], Row]]:
    """Yield the measurements, cheap ones first."""
    files = elf_files(TREE)
    every = f"every ELF file of {TREE} on the host"
    yield lambda: start(bench)
    yield lambda: run_before_thinking(bench)
    for words, options, budget, goal in (
        ("needed libraries only (`--until load`)", ("--until", "load"), 2, 1),
        ("versions and every symbol bound (libtree does neither)", (), 8, 4),
    ):
        yield partial(
            against_libtree,
            bench,
            Budget(work=f"{every}, {words}, against libtree on the same list", budget=budget, goal=goal),
            files,
            ("--no-cache", *options),
        )
        yield partial(
            against_libtree, bench, Budget(work=f"the same, asked again: nothing has changed ({words})"), files, options
        )
    yield lambda: finding(bench)
    yield lambda: ten_targets(bench, files)
    yield lambda: second_run(bench)
    for wheel in bench.wheels:
        yield partial(against_auditwheel, bench, wheel)
    yield lambda: matrix(bench)
    yield partial(opening, bench, "zip", big_zip, ("unzip", "-tq"))
    yield partial(opening, bench, "tar.xz", big_tar, ("tar", "-tJf"))
    yield lambda: memory(bench, files)
    yield lambda: against_lddtree(bench, files)
    yield lambda: against_elfdeps(bench, files)


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


def start(bench: Bench) -> Row:
    """One dynamic executable on one catalogue target, cold process, against an interpreter that does nothing."""
    what = Budget(
        work="one dynamic executable on one catalogue target, cold process, against `python -c pass`", budget=7, goal=4
    )
    program = shutil.which("ls") or "/bin/ls"
    nothing, check = _in_turn(
        bench, [[bench.python, "-c", "pass"], bench.runworthy("check", "-q", program, "--on", "debian:12")], runs=15
    )
    return what.row(check, nothing)


def run_before_thinking(bench: Bench) -> Row:
    """A command that starts: what `run` adds to it, against an interpreter that does nothing and then the command."""
    what = Budget(work="`runworthy run` of a command that starts, against `python -c pass`", budget=2.5, goal=1.5)
    nothing, ours = _in_turn(bench, [[bench.python, "-c", "pass"], bench.runworthy("run", "--", "/bin/true")], runs=15)
    return what.row(ours, nothing)


def against_libtree(bench: Bench, what: Budget, files: Sequence[str], options: Sequence[str]) -> Row:
    """Every ELF file of the tree on this host against libtree on the same list."""
    libtree = bench.tool("libtree")
    if libtree is None:
        return what.empty("needs `libtree` (Debian package libtree)")
    theirs, ours = _in_turn(bench, [[libtree, *files], bench.runworthy("check", "-q", *options, *files)], runs=5)
    return what.row(ours, theirs, f"{len(files)} files")


def finding(bench: Bench) -> Row:
    """Finding the ELF files of a tree against scanelf."""
    what = Budget(work=f"finding the ELF files in a tree ({TREE}), against `scanelf -R`", budget=1.5, goal=1)
    scanelf = bench.tool("scanelf")
    if scanelf is None:
        return what.empty("needs `scanelf` (Debian package pax-utils)")
    theirs, ours = _in_turn(bench, [[scanelf, "-qR", TREE], [bench.python, "-c", WALK, TREE]], runs=5)
    number = sum(len(names) for _, _, names in os.walk(TREE))
    return what.row(ours, theirs, f"{number} files")


def ten_targets(bench: Bench, files: Sequence[str]) -> Row:
    """Ten catalogue targets instead of one."""
    some = files[:SOME]
    on = [argument for name in TARGETS for argument in ("--on", name)]
    one, ten = (bench.runworthy("check", "-q", "--no-cache", *some, *wanted) for wanted in (on[:2], on))
    first, all_of_them = _in_turn(bench, [one, ten], runs=5)
    return Budget(work="ten targets instead of one", budget=1.5, goal=1.2).row(all_of_them, first, f"{len(some)} files")


def second_run(bench: Bench) -> Row:
    """A tree with nothing changed, judged again."""
    check = bench.runworthy("check", "-q", TREE)
    runs: list[list[Measured]] = []
    for _ in range(3):
        (first,) = measure([Command(line=check, before=partial(_emptied, bench.cache))], bench.environment, 1)
        (second,) = measure([Command(line=check)], bench.environment, 1)
        runs.append([first, second])
    first, second = (Measured(runs=[pair[at].runs[0] for pair in runs]) for at in (0, 1))
    return Budget(work=f"a second run over a tree with nothing changed ({TREE})", budget=0.3, goal=0.15).row(
        second, first
    )


def against_auditwheel(bench: Bench, wheel: Path) -> Row:
    """`auditwheel show` against a check of the same file: its members, its tag and its RECORD."""
    name = wheel.name.partition("-")[0]
    what = Budget(work=f"`auditwheel show` on the {name} wheel against checking it", budget=20, goal=100, more=True)
    auditwheel = bench.tool("auditwheel")
    if auditwheel is None:
        return what.empty("needs `auditwheel` (PyPI)")
    check = bench.runworthy("check", "-q", "--no-cache", str(wheel), "--on", "manylinux_2_28")
    theirs, ours, unpacking = _in_turn(
        bench, [[auditwheel, "show", str(wheel)], check, [bench.python, "-c", INFLATE, str(wheel)]], runs=3
    )
    return what.row(ours, theirs, f"{ours.memory:.0f} MiB; zlib alone takes {unpacking.told}")


def matrix(bench: Bench) -> Row:
    """A release against many targets: seconds, which are not to be compared between machines, and a share of one."""
    assets = bench.scratch / "release"
    made = release(assets)
    on = [argument for name in RELEASE_TARGETS for argument in ("--on", name)]
    lines = [bench.runworthy("matrix", "-q", "--ci", "none", str(assets), *wanted) for wanted in (on[:2], on)]
    one, every = _in_turn(bench, lines, runs=3)
    return Budget(work=f"a release of {made} assets on {len(RELEASE_TARGETS)} targets instead of one").row(
        every, one, f"{every.memory:.0f} MiB"
    )


def opening(bench: Bench, name: str, make: Callable[[Path], None], peer: Sequence[str]) -> Row:
    """An archive of very many files, against a tool that reads all of it and tells nothing."""
    what = Budget(work=f"opening a {name} of {FILES} files, against `{' '.join(peer)}`")
    tool = bench.tool(peer[0])
    if tool is None:
        return what.empty(f"needs `{peer[0]}`")
    path = bench.scratch / f"many.{name}"
    make(path)
    check = bench.runworthy("check", "-q", "--no-cache", str(path), "--on", "debian:12")
    theirs, ours = _in_turn(bench, [[tool, *peer[1:], str(path)], check], runs=3)
    path.unlink()
    return what.row(ours, theirs, f"{ours.memory:.0f} MiB")


def memory(bench: Bench, files: Sequence[str]) -> Row:
    """Peak memory for every ELF file of the tree on this host."""
    (ours,) = _in_turn(bench, [bench.runworthy("check", "-q", "--no-cache", *files)], runs=3)
    return Row(
        work=f"peak memory for {len(files)} ELF files (the largest process)",
        budget=150,
        goal=100,
        measured=ours.memory,
        unit="MiB",
        note=f"n={len(ours.runs)}",
    )


def against_lddtree(bench: Bench, files: Sequence[str]) -> Row:
    """For scale: the tree of needed libraries as pax-utils has it."""
    some = files[:SOME]
    what = Budget(work="for scale: needed libraries, against `lddtree`", more=True)
    lddtree = bench.tool("lddtree")
    if lddtree is None:
        return what.empty("needs `lddtree` (Debian package pax-utils)")
    ours = bench.runworthy("check", "-q", "--no-cache", "--until", "load", *some)
    # By the interpreter that has pyelftools: the first on the path need not be the one that Debian's script wants.
    theirs, own = _in_turn(bench, [[bench.python, lddtree, *some], ours], runs=3)
    return what.row(own, theirs, f"{len(some)} files")


def against_elfdeps(bench: Bench, files: Sequence[str]) -> Row:
    """For scale: what one file requires, as elfdeps reads it."""
    what = Budget(work="for scale: `inspect` of one file, against `elfdeps`", more=True)
    elfdeps = bench.tool("elfdeps")
    if elfdeps is None:
        return what.empty("needs `elfdeps` (PyPI)")
    program = shutil.which("ls") or files[0]
    theirs, ours = _in_turn(bench, [[elfdeps, "--requires", program], bench.runworthy("inspect", program)], runs=5)
    return what.row(ours, theirs)


def _in_turn(bench: Bench, lines: Sequence[Sequence[str]], *, runs: int) -> list[Measured]:
    return measure([Command(line=line) for line in lines], bench.environment, runs)


def _emptied(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
