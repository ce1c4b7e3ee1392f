"""Judging files on targets: the heart of the library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from runworthy.library.asking import Arguments, Path, Request, Watch, texts
from runworthy.model.errors import SubjectError, UsageError
from runworthy.model.finding import Report, Result, Tree
from runworthy.model.trace import Stage
from runworthy.model.waiver import Waiver

if TYPE_CHECKING:
    from datetime import date
    from typing import Unpack

    from runworthy.configuration.model import Configuration
    from runworthy.library.asking import CheckOptions

__all__ = ["check", "check_project", "load_configuration"]


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
    arguments = Arguments(
        subjects=subjects,
        on=on,
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
    report = _judged(arguments.request(), watch, loader)
    if held := tuple(waivers):
        from runworthy.configuration import waiving

        return waiving.waived(report, held, day=str(today) or waiving.today())
    return report


def _judged(request: Request, watch: Watch | None, loader: str) -> Report:
    """Return the report on what is asked, with remedies for what does not start."""
    report = request.judged(watch)
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

    given = texts(subjects)
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
            arguments = Arguments(
                subjects=part.subjects,
                loader=loader,
                trace=trace,
                steps=steps,
                jobs=jobs,
                cache=cache,
                **cast("CheckOptions", {**part.options, "on": part.targets}),
            )
            report = _judged(arguments.request(may_lack=True), watch, loader)
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
