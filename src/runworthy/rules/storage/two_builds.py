"""RW820: a process loads several builds of a library of which it should have one."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.storage import Build, Clash
from runworthy.rules import Case, Match
from runworthy.rules.consequences import consequences, what_helps
from runworthy.rules.words import count, finding, help_, rows

CODE = "RW820"
NAME = "two-builds"
SINCE = "0.3.0"
SEVERITY: Severity = "warning"
READS = ("two-builds",)
ORDER = 50

_MILD = ("OpenBLAS", "libgfortran")
"""Libraries whose builds get on with each other: they take more room and threads than one would."""


def check(case: Case) -> Iterator[Match]:
    """Yield each library of which there are several builds in one process."""
    for clash in case.stored("two-builds"):
        if isinstance(clash, Clash):
            yield Match(finding=_finding(case, clash))


def _finding(case: Case, clash: Clash) -> Finding:
    loads = "loads" if clash.certain else "would load"
    severity: Severity = "note" if clash.library in _MILD else SEVERITY
    return finding(
        case,
        (CODE, NAME, severity),
        f"{_process(clash)} {loads} {count(len(clash.builds), 'build')} of {_library(clash)}",
        cause=f"a process has several builds of {clash.library}",
        items=(build.soname for build in clash.builds),
        steps=(),
        stage="environment",
        lines=rows((_shown(case, clash, build), _whose(build), _for(build)) for build in clash.builds),
        notes=consequences(clash.library, [build.soname for build in clash.builds]),
        remedies=(help_(what_helps(clash.library)),),
    )


def _process(clash: Clash) -> str:
    return f"{clash.process}," if ", which " in clash.process else clash.process


def _library(clash: Clash) -> str:
    return f"an {clash.library}" if clash.library.startswith("OpenMP") else clash.library


def _shown(case: Case, clash: Clash, build: Build) -> str:
    path = case.show(build.path)
    return path.removeprefix(f"{clash.environment}/")


def _whose(build: Build) -> str:
    owner = build.owner
    return f"of {owner.package} {owner.version}".rstrip() if owner.package else "of no package that is recorded"


def _for(build: Build) -> str:
    needers = len(build.wanted_by)
    return f"needed by {count(needers, 'file')}" if needers else "opened by its path"
