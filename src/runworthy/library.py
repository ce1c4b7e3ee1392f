"""What ``import runworthy`` offers: the commands as functions, and the objects that they return.

``docs/library.md`` tells it with examples. What stands in ``__all__`` is kept stable, as the command line is; every
function takes what the command of its name takes, under the same names (``--page-size`` is ``page_size``, ``--with`` is
``with_``), and the command line is made of these functions. They print nothing, and no variable of the environment
stands for an argument.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, cast

from runworthy.model.arch import Architecture
from runworthy.model.elf import ElfFacts, ElfFile
from runworthy.model.errors import FormatError, RemedyError, RunworthyError, SubjectError, TargetError, UsageError
from runworthy.model.finding import Finding, Limits, Remedy, Report, Result, Severity, Tree, Verdict
from runworthy.model.machine import Machine
from runworthy.model.trace import (
    STAGES,
    Answer,
    Event,
    Evidence,
    Need,
    Probe,
    Stage,
    Step,
    Stretch,
    Trace,
)
from runworthy.model.waiver import Waiver

if TYPE_CHECKING:
    from datetime import date
    from typing import TypedDict, Unpack

    from runworthy.configuration.model import Configuration
    from runworthy.engine import Wishes
    from runworthy.formats.content import Content
    from runworthy.model.archive import ArchiveFacts, Container, MemberFacts, Oddity
    from runworthy.model.difference import (
        AssetPair,
        Cell,
        Change,
        Difference,
        FloorChange,
        Outcome,
        Pair,
        SymbolChange,
    )
    from runworthy.model.floor import Breach, Floor, FloorReport, Reason, Rung, ShippedFloor
    from runworthy.model.matrix import Asset, Claims, Column, Job, Matrix, Misnaming, Redundancy, Served
    from runworthy.model.measurement import Comparison, Measured, Measurement, Ratio, Run, Spread, Way
    from runworthy.model.plan import FixReport, Plan, Repair
    from runworthy.model.program import ApeElf, ApeFacts, ApeLoader, FileFacts, MachoFacts, PeFacts, ScriptLine
    from runworthy.model.target_difference import TargetDifference
    from runworthy.remedies.applying.backwards import Undone
    from runworthy.remedies.journal import Entry
    from runworthy.report.page import Explanation
    from runworthy.targets.additions import Addition
    from runworthy.targets.catalogue import Summary
    from runworthy.targets.names import TargetName
    from runworthy.targets.placement import Source
    from runworthy.targets.snapshot.capture import Captured

    class _Options(TypedDict, total=False):
        platform: str
        cpu: str
        page_size: str | int
        kernel: str
        with_: Path | Iterable[Path]
        assume_present: str | Iterable[str]
        at: str | None
        env: Mapping[str, str] | None
        cwd: str | None
        secure: bool
        loaded_by: str | None
        caller: str | Iterable[str]
        at_boot: bool
        until: Stage

    class CheckOptions(_Options, total=False):
        """What a project's file can state of a check, as the arguments of :func:`check`."""

        on: Path | Iterable[Path]


__all__ = [
    "STAGES",
    "Answer",
    "ApeElf",
    "ApeFacts",
    "ApeLoader",
    "Architecture",
    "ArchiveFacts",
    "Asset",
    "AssetPair",
    "Breach",
    "Captured",
    "Cell",
    "Change",
    "Claims",
    "Column",
    "Comparison",
    "Configuration",
    "Container",
    "Difference",
    "ElfFacts",
    "ElfFile",
    "Entry",
    "Event",
    "Evidence",
    "Explanation",
    "FileFacts",
    "Finding",
    "FixReport",
    "Floor",
    "FloorChange",
    "FloorReport",
    "FormatError",
    "Job",
    "Limits",
    "Machine",
    "MachoFacts",
    "Matrix",
    "Measured",
    "Measurement",
    "MemberFacts",
    "Misnaming",
    "Need",
    "Oddity",
    "Outcome",
    "Pair",
    "Path",
    "PeFacts",
    "Plan",
    "Probe",
    "Ratio",
    "Reason",
    "Redundancy",
    "Remedy",
    "RemedyError",
    "Repair",
    "Report",
    "Result",
    "Run",
    "Rung",
    "RunworthyError",
    "ScriptLine",
    "Served",
    "Severity",
    "ShippedFloor",
    "Spread",
    "Stage",
    "Step",
    "Stretch",
    "SubjectError",
    "Summary",
    "SymbolChange",
    "TargetDifference",
    "TargetError",
    "Trace",
    "Tree",
    "Undone",
    "UsageError",
    "Verdict",
    "Waiver",
    "Way",
    "check",
    "check_project",
    "diff",
    "diff_targets",
    "explain",
    "export",
    "fix",
    "floor",
    "forget",
    "history",
    "inspect",
    "list_rules",
    "list_targets",
    "load_configuration",
    "matrix",
    "measure",
    "recover",
    "render",
    "snapshot",
    "undo",
]

Path = str | os.PathLike[str]
"""A path of this machine."""

Watch = Callable[[str, int, int], None]
"""Is told what is being done (``find``, ``judge``), how far it is, and how much there is."""

ENVIRONMENT = ("HOME", "LD_BIND_NOW", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "QEMU_LD_PREFIX", "TMPDIR")
"""The variables that ``env`` may state."""

_LATE = {
    "Entry": "remedies.journal",
    "Undone": "remedies.applying.backwards",
    "Explanation": "report.page",
    "Summary": "targets.catalogue",
    "Captured": "targets.snapshot.capture",
    "TargetDifference": "model.target_difference",
    "Configuration": "configuration.model",
    **dict.fromkeys(
        ("AssetPair", "Cell", "Change", "Difference", "FloorChange", "Outcome", "Pair", "SymbolChange"),
        "model.difference",
    ),
    **dict.fromkeys(("ArchiveFacts", "Container", "MemberFacts", "Oddity"), "model.archive"),
    **dict.fromkeys(
        ("ApeElf", "ApeFacts", "ApeLoader", "FileFacts", "MachoFacts", "PeFacts", "ScriptLine"), "model.program"
    ),
    **dict.fromkeys(("Breach", "Floor", "FloorReport", "Reason", "Rung", "ShippedFloor"), "model.floor"),
    **dict.fromkeys(
        ("Asset", "Claims", "Column", "Job", "Matrix", "Misnaming", "Redundancy", "Served"), "model.matrix"
    ),
    **dict.fromkeys(("FixReport", "Plan", "Repair"), "model.plan"),
    **dict.fromkeys(("Comparison", "Measured", "Measurement", "Ratio", "Run", "Spread", "Way"), "model.measurement"),
}
"""Classes that a check has no use for, by the modules that define them: a start is not to wait for them."""


def check(
    subjects: Path | Iterable[Path],
    on: Path | Iterable[Path] = (),
    *,
    platform: str = "",
    cpu: str = "",
    page_size: str | int = "",
    kernel: str = "",
    with_: Path | Iterable[Path] = (),
    assume_present: str | Iterable[str] = (),
    at: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    secure: bool = False,
    loaded_by: str | None = None,
    caller: str | Iterable[str] = (),
    at_boot: bool = False,
    loader: str = "",
    until: Stage = "environment",
    trace: bool = False,
    steps: bool = True,
    jobs: int = 1,
    cache: Path | bool = False,
    waivers: Iterable[Waiver] = (),
    today: str | date = "",
    watch: Watch | None = None,
) -> Report:
    """Judge files, or all programs and libraries of directories, on targets, as ``runworthy check`` does.

    >>> import runworthy
    >>> report = runworthy.check("app", on=["ubuntu:22.04", "alpine:3.20"])
    >>> [(result.target, result.verdict, result.stage) for result in report.results]
    [('ubuntu:22.04', 'runs', None), ('alpine:3.20', 'fails', 'exec')]

    ``on`` names targets, this machine where it is empty; a directory is a root. ``caller`` is who executes the files,
    a shell and a program that calls execve itself where nobody is named; ``at_boot`` judges targets that have a machine
    as they will be after its next boot. ``loader`` is the path, in the target, of an APE loader that remedies are to
    register, in place of the one that a file carries. ``trace`` keeps the needs that are met;
    without ``steps``, results keep none of the steps that their findings were made from, which takes less time and
    memory. ``jobs`` is the number of processes to use, 0 for as many as are worth it; ``watch`` is told how far it is.
    ``cache`` keeps what is read between calls, in the user's own place or in the directory that it names. ``waivers``
    are findings that do not count for the report's ``exit_code``; ``today`` is the day on which they are looked at,
    as ``2027-01-31`` (default: this one, in UTC). Results are in the order of the subjects, and for each in the order
    of the targets; one on the waivers comes last, where something is amiss with them. Nothing is executed.

    Raises SubjectError where nothing lies at any of the subjects' names, TargetError for a target that cannot be
    found, and UsageError for everything else that cannot be understood. A subject that cannot be read is no exception:
    its result is ``unknown``.
    """
    request = _request(
        subjects,
        on,
        platform=platform,
        cpu=cpu,
        page_size=page_size,
        kernel=kernel,
        with_=with_,
        assume_present=assume_present,
        at=at,
        env=env,
        cwd=cwd,
        secure=secure,
        loaded_by=loaded_by,
        caller=caller,
        at_boot=at_boot,
        loader=loader,
        until=until,
        trace=trace,
        steps=steps,
        jobs=jobs,
        cache=cache,
    )
    report = _judged(request, watch, loader)
    if held := tuple(waivers):
        from runworthy.configuration import waiving

        return waiving.waived(report, held, day=str(today) or waiving.today())
    return report


def _judged(request: _Request, watch: Watch | None, loader: str) -> Report:
    """Return the report on what is asked, with remedies for what does not start."""
    from runworthy.engine import Engine

    report = Engine(request.wishes).check(request.names, request.targets, watch)
    if any(finding.stage == "exec" for result in report.results for finding in result.findings):
        from runworthy.remedies.attaching import with_remedies

        return with_remedies(report, request.targets, request.wishes, loader=loader)
    return report


def load_configuration(path: Path = "", *, directory: Path = "") -> Configuration | None:
    """Read what a project states in ``runworthy.toml``, or in ``pyproject.toml`` under ``tool.runworthy``.

    >>> import runworthy
    >>> runworthy.load_configuration("project/runworthy.toml").sets["production"]
    ('ubuntu:20.04', 'debian:12')

    Without a ``path``, it is the file that is found in ``directory`` (the working directory) or above it, None where
    there is none. Raises UsageError for a file that cannot be read or understood.
    """
    from runworthy.configuration.reading import load

    return load(os.fspath(path), os.fspath(directory))


def check_project(
    configuration: Configuration,
    subjects: Path | Iterable[Path] = (),
    *,
    loader: str = "",
    trace: bool = False,
    steps: bool = True,
    jobs: int = 1,
    cache: Path | bool = False,
    today: str | date = "",
    watch: Watch | None = None,
    **stated: Unpack[CheckOptions],
) -> Report:
    """Judge what a project's file says, with its waivers, as ``runworthy check`` without arguments does.

    >>> import runworthy
    >>> configuration = runworthy.load_configuration("project/runworthy.toml")
    >>> report = runworthy.check_project(configuration, today="2026-12-01")
    >>> [(result.target, result.verdict, result.counted) for result in report.results]
    [('ubuntu:20.04', 'fails', 'runs'), ('debian:12', 'runs', 'runs')]
    >>> runworthy.check_project(configuration, today="2099-01-31").exit_code()
    1

    ``subjects`` take the place of the file's, and what is ``stated`` that of its options; the other arguments are those
    of :func:`check`. Raises SubjectError, TargetError and UsageError as that does; ``configuration.place`` is in the
    notes of what is wrong with an option of the file.
    """
    from runworthy.configuration import waiving
    from runworthy.configuration.checking import blame, parts
    from runworthy.engine import missing_subjects

    given = _texts(subjects)
    asked = list(parts(configuration, given, stated))
    names = [name for part in asked for name in part.subjects]
    if not names:
        hint = '`subjects` names what to check, as in `subjects = ["build/app"]`'
        raise UsageError(f"{configuration.name} names no subjects", hint=hint)
    if (missing := missing_subjects(names)) == names:
        raise SubjectError(missing)
    results: list[Result] = []
    trees: list[Tree] = []
    for part in asked:
        with blame(configuration, part):
            request = _request(
                part.subjects,
                part.targets,
                loader=loader,
                trace=trace,
                steps=steps,
                jobs=jobs,
                cache=cache,
                may_lack=True,
                **cast("_Options", part.options),
            )
            report = _judged(request, watch, loader)
        results += report.results
        trees += report.trees
    return waiving.waived(
        Report(results=tuple(results), trees=tuple(trees)),
        configuration.waivers,
        day=str(today) or waiving.today(),
        directory=configuration.directory,
        sets=configuration.sets,
        complete=not given and not {"on", "until"} & set(stated),
    )


class _Request(NamedTuple):
    """What a check is asked, understood."""

    names: list[str]
    targets: list[TargetName]
    wishes: Wishes


def _request(
    subjects: Path | Iterable[Path],
    on: Path | Iterable[Path],
    *,
    platform: str = "",
    cpu: str = "",
    page_size: str | int = "",
    kernel: str = "",
    with_: Path | Iterable[Path] = (),
    assume_present: str | Iterable[str] = (),
    at: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    secure: bool = False,
    loaded_by: str | None = None,
    caller: str | Iterable[str] = (),
    at_boot: bool = False,
    loader: str = "",
    until: Stage = "environment",
    trace: bool = False,
    steps: bool = True,
    jobs: int = 1,
    cache: Path | bool = False,
    may_lack: bool = False,
) -> _Request:
    """Return what the arguments of :func:`check` say. Raises SubjectError unless all ``may_lack``, and UsageError."""
    from runworthy.engine import Wishes, missing_subjects
    from runworthy.simulate.launch import Launch

    names = list(dict.fromkeys(_texts(subjects)))
    if not may_lack and (missing := missing_subjects(names)) == names:
        raise SubjectError(missing)
    if not (given := _texts(on)):
        _refuse_root(names)
    targets = target_names(
        given or ("host",),
        platform=platform,
        cpu=cpu,
        page_size=str(page_size),
        kernel=kernel,
        assume_present=_texts(assume_present),
    )
    for target in targets:
        target.at_boot = at_boot
    for option, path in (("--at", at), ("--cwd", cwd), ("--loader", loader or None)):
        if path is not None and (not path.startswith("/") or path != posixpath.normpath(path)):
            hint = "as in /usr/bin/app"
            raise UsageError(f"{option} {path!r} is no absolute path without `.` and `..`", hint=hint, option=option)
    for name in env or {}:
        if name not in ENVIRONMENT:
            raise UsageError(f"--env {name} is not modelled", hint=f"{', '.join(ENVIRONMENT)} are", option="--env")
    if until not in STAGES:
        raise UsageError(f"--until {until} is no stage", hint=f"{', '.join(STAGES)} are", option="--until")
    launch = Launch(
        env=dict(env or {}),
        secure=secure,
        cwd=cwd or "/",
        cwd_stated=cwd is not None,
        loaded_by=loaded_by,
        until=until,
        trace=trace,
        callers=_callers(_texts(caller)),
    )
    wishes = Wishes(
        launch=launch,
        at=at,
        additions=additions(_texts(with_)),
        steps=steps or trace,
        jobs=jobs,
        cache=_cache(cache),
    )
    return _Request(names, targets, wishes)


def _callers(names: Sequence[str]) -> tuple[str, ...]:
    """Return who executes the subjects, each once. Raises UsageError."""
    if not names:
        from runworthy.simulate.launch import CALLERS

        return CALLERS
    from runworthy.simulate.execve.callers import CALLERS as KNOWN
    from runworthy.simulate.execve.callers import GROUPS

    for name in names:
        if name not in KNOWN and name not in GROUPS:
            hint = f"{', '.join(dict.fromkeys((*GROUPS, *KNOWN)))} are"
            raise UsageError(f"--caller {name} is not known", hint=hint, option="--caller")
    return tuple(dict.fromkeys(names))


def _cache(wish: Path | bool) -> str:  # noqa: FBT001 - as callers of check write it
    """Return the directory of the cache, empty for none."""
    if wish is True:
        from runworthy.targets.directory import cache_directory

        return cache_directory()
    return os.fspath(wish) if wish else ""


def diff(
    old: Path,
    new: Path,
    on: Path | Iterable[Path] = (),
    *,
    platform: str = "",
    cpu: str = "",
    page_size: str | int = "",
    kernel: str = "",
    with_: Path | Iterable[Path] = (),
    assume_present: str | Iterable[str] = (),
    at: str | None = None,
    watch: Watch | None = None,
) -> Difference:
    """Compare two builds as ``runworthy diff`` does: files, archives, directories, or directories of assets.

    >>> import runworthy
    >>> difference = runworthy.diff("app", "server", on="debian:12")
    >>> [(cell.shift, cell.new.verdict) for cell in difference.pairs[0].cells]
    [('worse', 'fails')]

    Where ``on`` is empty, targets of the catalogue are taken. Raises SubjectError where one of the builds is not there,
    TargetError and UsageError as :func:`check` does.
    """
    from runworthy.engine import Wishes, missing_subjects
    from runworthy.engine.diff import compare_builds

    before, after = os.fspath(old), os.fspath(new)
    if missing := missing_subjects((before, after)):
        raise SubjectError(missing)
    stated = {"platform": platform, "cpu": cpu, "page_size": str(page_size), "kernel": kernel}
    assumed = _texts(assume_present)
    return compare_builds(
        before,
        after,
        target_names(_texts(on), **stated, assume_present=assumed),
        like=target_names([""], **stated, assume_present=assumed)[0],
        wishes=Wishes(at=at, additions=additions(_texts(with_))),
        watch=watch,
    )


def fix(
    subjects: Path | Iterable[Path],
    on: Path | Iterable[Path] = (),
    *,
    platform: str = "",
    cpu: str = "",
    page_size: str | int = "",
    kernel: str = "",
    with_: Path | Iterable[Path] = (),
    assume_present: str | Iterable[str] = (),
    at: str | None = None,
    env: Mapping[str, str] | None = None,
    loaded_by: str | None = None,
    caller: str | Iterable[str] = (),
    at_boot: bool = False,
    packages: Path | Iterable[Path] = (),
    builds: Path | Iterable[Path] = (),
    network: bool = False,
    dockerfile: Path = "",
    loader: str = "",
    allow: str | Iterable[str] = (),
    apply: bool = False,
    unsafe: bool = False,
    choose: int = 0,
    output: Path = "",
    then: str = "",
) -> FixReport:
    """Plan what makes files run on targets, and carry it out where that is asked for, as ``runworthy fix`` does.

    >>> import runworthy
    >>> plan = runworthy.fix("app", on="alpine:3.20").plans[0]
    >>> plan.remedies[0].proved
    True

    ``packages``, ``builds``, ``network`` and ``dockerfile`` say what may help; ``allow`` names what is proposed only by
    name. Without ``apply`` nothing is changed. With it the first remedy of each plan that is proved and safe is carried
    out (with ``unsafe``, or not safe; with ``choose`` the one of this number, proved or not), and taken back at once
    where the subjects do not run after it, or where the command ``then`` does not end well.

    Raises SubjectError, TargetError and UsageError as :func:`check` does, and UsageError for what cannot be applied.
    """
    from tempfile import TemporaryDirectory

    from runworthy.remedies.fixing import Asked, fixed
    from runworthy.remedies.situation import Means

    for option, names in (("--packages", packages), ("--build", builds)):
        for name in _texts(names):
            if not os.path.exists(name):
                raise UsageError(f"{option} {name}: No such file or directory", option=option)
    asked = Asked(apply=apply, unsafe=unsafe, choose=choose, output=os.fspath(output), then=then)
    with TemporaryDirectory(prefix="runworthy-") as scratch:
        means = Means(
            scratch=scratch,
            packages=tuple(_texts(packages)),
            builds=tuple(_texts(builds)),
            dockerfile=os.fspath(dockerfile),
            network=network,
            allowed=frozenset(_texts(allow)),
        )

        def judge(names: Path | Iterable[Path]) -> tuple[Report, _Request]:
            request = _request(
                names,
                on or _built_on(means.dockerfile, subjects),
                platform=platform,
                cpu=cpu,
                page_size=page_size,
                kernel=kernel,
                with_=with_,
                assume_present=assume_present,
                at=at,
                env=env,
                loaded_by=loaded_by,
                caller=caller,
                at_boot=at_boot,
                loader=loader,
            )
            from runworthy.engine import Engine

            return Engine(request.wishes).check(request.names, request.targets), request

        report, request = judge(subjects)
        return fixed(
            report,
            request.targets,
            request.wishes,
            means,
            asked,
            again=lambda names: judge(names or subjects)[0],
            loader=loader,
        )


def _built_on(dockerfile: str, subjects: Path | Iterable[Path]) -> Path | Iterable[Path]:
    """Return the target that a Dockerfile's stage is built on, nothing without one. Raises UsageError."""
    if not dockerfile:
        return ()
    from runworthy.remedies.dockerfile import base_images, read_dockerfile

    hint = "--on names the target that its image stands for"
    try:
        images = base_images(read_dockerfile(dockerfile), subject=next(iter(_texts(subjects)), ""))
    except FormatError as error:
        raise UsageError(f"--dockerfile {dockerfile}: {error.message}", option="--dockerfile") from error
    except OSError as error:
        raise UsageError(f"--dockerfile {dockerfile}: {error.strerror or error}", option="--dockerfile") from error
    chosen = next((one for one in images if one.chosen), None)
    if chosen is None or not chosen.target:
        what = f"{chosen.image}: {chosen.note}" if chosen else "it has no stage"
        raise UsageError(f"--dockerfile {dockerfile}: {what}", hint=hint, option="--dockerfile")
    return f"{chosen.target}/{chosen.platform.name}" if chosen.platform else chosen.target


def floor(
    subjects: Path | Iterable[Path],
    *,
    max_glibc: str = "",
    max_musl: str = "",
    max_libstdcxx: str = "",
    max_kernel: str = "",
    max_cpu: str = "",
    page_size: str | int = "",
) -> FloorReport:
    """Find the oldest of everything that files can run on, as ``runworthy floor`` does.

    >>> import runworthy
    >>> shipped = runworthy.floor("app", max_glibc="2.28").shipped[0]
    >>> shipped.floor("glibc").release
    '2.34'

    The arguments are gates; the report's ``breaches`` are those that are not kept. Raises SubjectError, TargetError and
    UsageError as :func:`check` does.
    """
    from runworthy.engine import missing_subjects
    from runworthy.engine.floor import floors, parse_gates

    gates = parse_gates(
        glibc=max_glibc,
        musl=max_musl,
        libstdcxx=max_libstdcxx,
        kernel=max_kernel,
        cpu=max_cpu,
        page_size=str(page_size),
    )
    names = list(dict.fromkeys(_texts(subjects)))
    if (missing := missing_subjects(names)) == names:
        raise SubjectError(missing)
    return floors(names, gates)


def matrix(
    assets: Path | Iterable[Path],
    on: Path | Iterable[Path] = (),
    *,
    platform: str = "",
    cpu: str = "",
    page_size: str | int = "",
    kernel: str = "",
    with_: Path | Iterable[Path] = (),
    assume_present: str | Iterable[str] = (),
    watch: Watch | None = None,
) -> Matrix:
    """Hold the assets of a release against targets, as ``runworthy matrix`` does.

    >>> import runworthy
    >>> matrix = runworthy.matrix("release", on=["debian:12/amd64", "alpine:3.20/amd64"])
    >>> [(served.target, served.verdict) for served in matrix.served]
    [('debian:12/x86_64', 'runs'), ('alpine:3.20/x86_64', 'runs')]

    ``assets`` are files, or directories of them. Where ``on`` is empty, the targets are those of the set ``@release``:
    the platforms that matter as of the catalogue. A target that says no architecture stands for each that the assets
    are for. Raises SubjectError where nothing lies at a name, TargetError and UsageError as :func:`check` does.
    """
    from runworthy.engine import Wishes, missing_subjects
    from runworthy.engine.matrix import matrix_of
    from runworthy.remedies.missing_builds import with_jobs
    from runworthy.targets.names import MachineWish

    names = list(dict.fromkeys(_texts(assets)))
    if missing := missing_subjects(names):
        raise SubjectError(missing)
    wish = MachineWish(platform=platform, cpu=cpu, page_size=str(page_size), kernel=kernel)
    try:
        held = matrix_of(
            names,
            list(dict.fromkeys(part for text in _texts(on) for part in _split(text))),
            wish=wish,
            present=_texts(assume_present),
            wishes=Wishes(additions=additions(_texts(with_))),
            watch=watch,
        )
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror or error}") from error
    return with_jobs(held)


def measure(
    command: Path | Sequence[Path],
    *,
    runs: int = 5,
    timeout: float = 60.0,
    through: Path | Iterable[Path] = (),
    loader: Path = "",
    until_output: bool = False,
    show_output: bool = False,
    watch: Watch | None = None,
) -> Measurement:
    """Run a program, in each way of starting it, and tell what that costs, as ``runworthy measure`` does.

    This is the one function that executes what it is given: ``command``, a file and its arguments, ``through``,
    ``loader``, and the loader that an APE carries.

    >>> import runworthy
    >>> measured = runworthy.measure(["sh", "-c", "exit 3"], runs=3).ways[0]
    >>> measured.way.label, measured.time.n, measured.endings
    ('now', 3, (3,))

    ``timeout`` is for each run (seconds). Raises SubjectError where there is no such file, and UsageError.
    """
    from tempfile import TemporaryDirectory

    from runworthy.measuring import measure_ways
    from runworthy.measuring.ways import find_program, ways

    words = _texts(command)
    if runs < 1:
        raise UsageError(f"--runs {runs} is too few", hint="1 is the least", option="--runs")
    if not 0 < timeout < float("inf"):
        raise UsageError(f"--timeout {timeout:g} is no time", hint="seconds, as in 10 or 0.5", option="--timeout")
    if not words or "" in words[:1]:
        raise UsageError("no command is named", hint="as in `runworthy measure -- FILE ARGS`")
    with TemporaryDirectory(prefix="runworthy-") as scratch:
        found = ways(
            find_program(words[0]), words[1:], loader=os.fspath(loader), through=_texts(through), scratch=scratch
        )
        return measure_ways(
            words,
            found,
            runs=runs,
            timeout=timeout,
            until_output=until_output,
            show_output=show_output,
            watch=watch,
        )


def diff_targets(old: Path, new: Path, *, platform: str = "") -> TargetDifference:
    """Compare what two targets have for a loader, as ``runworthy targets diff`` does.

    >>> import runworthy
    >>> runworthy.diff_targets("debian:11", "debian:12", platform="amd64").exit_code()
    1

    Raises TargetError and UsageError.
    """
    from runworthy.engine.target_diff import compare_targets
    from runworthy.targets.names import MachineWish, TargetName

    wish = MachineWish(platform=platform)
    return compare_targets(TargetName(os.fspath(old), wish), TargetName(os.fspath(new), wish))


def snapshot(source: Path | BinaryIO, output: Path | BinaryIO, *, exclude: Iterable[str] = ()) -> Captured:
    """Capture this machine (``host``) or the root in a directory into one file, as ``runworthy snapshot`` does.

    An open binary file is read as that command reads standard input: a tar stream, or what the collector wrote.

    >>> import runworthy
    >>> captured = runworthy.snapshot("rootfs", "rootfs.runworthy")
    >>> runworthy.check("app", on="rootfs.runworthy").results[0].verdict
    'fails'

    ``output`` is a path, at which there is a file only when all of it was written, or an open binary file. ``exclude``
    are directories of the root. Raises TargetError when the source is no root, and UsageError.
    """
    from runworthy.targets.snapshot.make import snapshot_directory, snapshot_host, write_file

    if not isinstance(source, (str, os.PathLike)):
        from runworthy.targets.stream.making import snapshot_stream

        make = snapshot_stream(source.read, tuple(exclude), None, None)
    elif os.fspath(source) == "host":
        make = snapshot_host(tuple(exclude), None)
    else:
        directory = os.path.expanduser(os.fspath(source).removeprefix("rootfs:"))
        make = snapshot_directory(directory, tuple(exclude), None)
    return write_file(os.fspath(output), make) if isinstance(output, (str, os.PathLike)) else make(output)


def history() -> tuple[Entry, ...]:
    """Return what was changed, the oldest first, as ``runworthy history`` tells it.

    >>> import runworthy
    >>> runworthy.history()
    ()
    """
    from runworthy.remedies.journal import Journal

    return tuple(Journal().entries())


def undo(entry: str = "", *, force: bool = False, dry_run: bool = False) -> Undone:
    """Take back what an entry of the history did, the newest that is in place where none is named.

    >>> import runworthy
    >>> try:
    ...     runworthy.undo("20261121-1")
    ... except runworthy.RemedyError as error:
    ...     print(error.hint)
    `runworthy history` lists what there is

    With ``dry_run`` nothing is changed, and what is left are the files that are no longer as the entry left them.
    Raises RemedyError: for those unless ``force``, and where it cannot be done.
    """
    from runworthy.remedies.applying import backwards
    from runworthy.remedies.journal import Journal

    if dry_run:
        found, changed = backwards.would_undo(Journal(), entry)
        return backwards.Undone(entry=found, left=changed)
    return backwards.undo(Journal(), entry, force=force)


def recover() -> tuple[Undone, ...]:
    """Bring what was cut off in its middle to its end, as ``runworthy recover`` does.

    >>> import runworthy
    >>> runworthy.recover()
    ()

    Raises RemedyError where that cannot be done now.
    """
    from runworthy.remedies.applying import backwards
    from runworthy.remedies.journal import Journal

    return tuple(backwards.recover(Journal()))


def forget(entries: Iterable[str] = (), *, older_than: str = "") -> tuple[str, ...]:
    """Remove entries of the history, named or older than ``30d``, ``12h`` or ``8w``; return which these were.

    >>> import runworthy
    >>> runworthy.forget(older_than="30d")
    ()

    They cannot be undone any more. Raises RemedyError where one cannot be removed, and UsageError.
    """
    from runworthy.remedies.applying import backwards
    from runworthy.remedies.journal import Journal

    journal = Journal()
    names = [*entries, *(backwards.older(journal, older_than) if older_than else ())]
    backwards.forget(journal, names)
    return tuple(names)


def target_names(
    on: Iterable[str],
    *,
    platform: str = "",
    cpu: str = "",
    page_size: str = "",
    kernel: str = "",
    assume_present: Sequence[str] = (),
) -> list[TargetName]:
    """Return the targets of what is written after ``--on``, each once, on the machine that is stated.

    Raises UsageError. They are opened, and found to be there or not, when a subject is judged on them.
    """
    from runworthy.targets.names import MachineWish, TargetName

    if "" in assume_present:
        hint = "as in --assume-present libssl.so.3"
        raise UsageError("--assume-present names no library", hint=hint, option="--assume-present")
    wish = MachineWish(platform=platform, cpu=cpu, page_size=page_size, kernel=kernel)
    names = dict.fromkeys(name for text in on for part in _split(text) for name in _of_set(part))
    return [TargetName(name, wish, tuple(assume_present)) for name in names]


def _of_set(name: str) -> Iterable[str]:
    """Return the targets that a named set (``@release``) holds, any other name as it is. Raises TargetError."""
    if not name.startswith("@"):
        return (name,)
    from runworthy.targets.catalogue.sets import names_in

    return names_in(name)


def additions(with_: Iterable[str]) -> Sequence[Addition]:
    """Return what ``--with`` adds to each target. Raises UsageError."""
    specs = list(with_)
    if not specs:
        return ()
    from runworthy.targets.additions import addition

    return [addition(spec) for spec in specs]


def inspect(path: Path) -> ElfFile | FileFacts:
    """Read what the bytes of a file say, without any target, as ``runworthy inspect`` does.

    >>> import runworthy
    >>> runworthy.inspect("app").facts.needed
    ('libc.so.6',)
    >>> runworthy.inspect("notes.txt").type
    'text'

    An ELF file is given as one. Its symbols and relocations are read here already, so that a damaged file is known at
    once. Of every other file the facts say what it is (a script, an APE, a program of another system, an archive with
    its members, text) and, as its ``problem``, what is damaged. A member is named as ``app.whl!_core.so``. Raises
    FormatError for an ELF file that is damaged, with the offset of what is wrong, and OSError for a file that cannot be
    read.
    """
    from runworthy.targets.directory import DirectoryView
    from runworthy.targets.placement import locate

    name = os.fspath(path)
    try:
        if (place := _member_place(name)) is not None:
            from runworthy.formats.archive.facts import member_in

            return _inspect_content(member_in(_content(locate(place[0], DirectoryView("/"))), *place), name)
        source = locate(name, DirectoryView("/"))
        content = _content(source)
        if content.pread(0, 4) != b"\x7fELF":
            return _inspect_content(content, name)
        elf = source.view.elf(source.real)
        elf.imports(), elf.exports(), elf.relocations(), elf.build()
    except FormatError as error:
        raise FormatError(error.message, path=name, offset=error.offset) from error
    return elf


def _member_place(name: str) -> tuple[str, str] | None:
    """Return the archive and the member that a name means, None where it means a file."""
    if "!" not in name or os.path.lexists(name):
        return None
    from runworthy.engine.containers import split_member

    return split_member(name)


def _content(source: Source) -> Content:
    """Return what is in a file. Raises FormatError for what is none, OSError."""
    if source.view.lstat(source.real).entry.kind == "other":
        raise FormatError("it is a pipe, a socket or a device, and no regular file", path=source.real)
    return source.view.content(source.real)


def _inspect_content(content: Content, name: str) -> ElfFile | FileFacts:
    """Return the facts of bytes: those of an archive with its members. Raises FormatError, OSError."""
    if content.pread(0, 4) == b"\x7fELF":
        from runworthy.formats.elf import read_elf

        elf = read_elf(content)
        elf.imports(), elf.exports(), elf.relocations(), elf.build()
        return elf
    facts = _inspect_other(content)
    from runworthy.formats.archive.facts import archive_facts
    from runworthy.model.records import replace

    archive = archive_facts(name, content)
    return (
        facts
        if archive is None
        else replace(facts, archive=archive, problem=facts.problem or archive.container.problem)
    )


def _inspect_other(content: Content) -> FileFacts:
    """Return the facts of a file that is no ELF file, with those of what it has embedded. Raises OSError."""
    from runworthy.formats.identify import identify

    facts = identify(content)
    if facts.ape is None:
        return facts
    from runworthy.formats.ape import with_unpacked
    from runworthy.model.records import replace

    return replace(facts, ape=with_unpacked(content, facts.ape))


def explain(code: str) -> Explanation:
    """Tell what a finding means, why it happens and what helps, as ``runworthy explain`` does.

    >>> import runworthy
    >>> runworthy.explain("RW301").name
    'version-too-new'

    ``code`` may be the name too. Raises UsageError for one that no rule has.
    """
    from runworthy.report.page import explanation

    return explanation(code)


def list_rules() -> tuple[Explanation, ...]:
    """Return what there is to explain, by code, as ``runworthy explain`` lists it.

    >>> import runworthy
    >>> {rule.severity for rule in runworthy.list_rules()} == {"error", "warning", "note"}
    True
    """
    from runworthy.report.page import explanations

    return explanations()


def list_targets(*words: str) -> tuple[Summary, ...]:
    """Return the targets of the catalogue that have all of the words, as ``runworthy targets`` does.

    >>> import runworthy
    >>> [f"{target.name}/{target.arch.name}" for target in runworthy.list_targets("glibc:2.28", "arm64")]
    ['glibc:2.28/aarch64']
    """
    from runworthy.report.target import matching

    return tuple(matching(words))


def export(report: Report, form: Literal["ansible", "cloud-init", "sh"] = "sh") -> str:
    """Return the best remedy of a report as configuration for other machines, as ``runworthy check --export`` does.

    >>> import runworthy
    >>> report = runworthy.check("llamafile", on="debian:12/amd64")
    >>> runworthy.export(report, "cloud-init").splitlines()[0]
    '#cloud-config'

    Raises UsageError where nothing fails, where no remedy is more than words, and for what the form cannot say.
    """
    from runworthy.remedies.attaching import best_remedy
    from runworthy.remedies.export import export as written

    remedy = best_remedy(report)
    if remedy is None:
        hint = "only what fails before a loader starts has remedies that can be written out"
        raise UsageError("there is no remedy to export", hint=hint, option="--export")
    return written(remedy, form)


def render(report: Report, format: Literal["text", "json"] = "text", *, trace: bool = False) -> str:  # noqa: A002 - as --format is
    """Return the report as ``runworthy check --format`` writes it.

    >>> import runworthy
    >>> report = runworthy.check("app", on="ubuntu:22.04/amd64")
    >>> runworthy.render(report).splitlines()[0]
    '✓ app runs on ubuntu:22.04/x86_64'
    """
    if format == "json":
        from runworthy.report.json_report import report_json

        return report_json(report, trace=trace)
    if format == "text":
        from runworthy.report.text import report_text

        return report_text(report, trace=trace)
    raise UsageError(f"--format {format} is not known", hint="text and json are", option="--format")


def __getattr__(name: str) -> object:
    """Import a public name that is dear when it is first used."""
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(f"runworthy.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _texts(given: Path | Iterable[Path]) -> list[str]:
    """Return one word or path, or each of several, as texts."""
    held = [given] if isinstance(given, (str, os.PathLike)) else given
    return [os.fspath(one) for one in held]


def _split(text: str) -> list[str]:
    """Return the targets of a list with commas. A path that exists is one target, whatever letters it has."""
    parts = text.split(",")
    if len(parts) == 1 or os.path.exists(text) or not all(parts):
        return [text]
    return [part.strip() for part in parts]


def _refuse_root(subjects: Sequence[str]) -> None:
    """Raise UsageError for the root of another system when nothing says where it is to run."""
    for name in filter(os.path.isdir, subjects):
        from runworthy.targets.placement import is_own_root

        if is_own_root(name):
            named = name if name.startswith((".", "/", "~")) else f"./{name}"
            raise UsageError(
                f"{name} is the root of a system, and no target is named",
                hint=f"`--on {named}` judges it in itself, `--on host` on this machine",
            )
