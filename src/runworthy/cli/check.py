"""`runworthy check`: judge files on targets."""

from __future__ import annotations

import os
import posixpath
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runworthy.cli.options import add_where, additions_of, targets_of
from runworthy.model.errors import UsageError
from runworthy.model.finding import Report
from runworthy.model.trace import STAGES

if TYPE_CHECKING:
    from runworthy.engine import Wishes

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

_ENVIRONMENT = ("LD_BIND_NOW", "LD_LIBRARY_PATH", "LD_PRELOAD")

USAGE = "FILE... [--on TARGET]... [options]"
DESCRIPTION = "Say whether ELF files will run on targets, and if not, why. Nothing is executed."
EPILOG = """\
targets: host (this machine, the default), ./dir or rootfs:DIR (a root in a directory), or a name out of
`runworthy targets`: alpine:3.20, debian:12/arm64, glibc:2.28, manylinux_2_28_x86_64, ...

exit codes: 0 everything runs, 1 something fails, 2 usage or internal error, 3 no subject found, 4 cannot tell
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="the ELF files to judge; of a directory, all in it")
    add_where(parser, "host")
    group = parser.add_argument_group("how it is started")
    add = group.add_argument
    add("--at", metavar="PATH", help="where the file lies in the target")
    add("--env", action="append", default=[], metavar="NAME=VALUE", help=", ".join(_ENVIRONMENT))
    add("--cwd", default="/", metavar="DIR", help="the directory in which it is started (default: /)")
    add("--secure", action="store_true", help="as set-user-ID or with file capabilities (AT_SECURE)")
    add("--loaded-by", metavar="PROGRAM", help="the program of the target that loads these libraries")
    group = parser.add_argument_group("the report")
    add = group.add_argument
    add("--until", choices=STAGES, default="environment", metavar="STAGE", help=f"the last stage: {', '.join(STAGES)}")
    add("--trace", action="store_true", help="show every step, with the paths searched")
    add("--format", choices=("text", "json"), default="text", help="text (the default) or json")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--fail-on", choices=("fails", "risky"), default="fails", help="what ends with 1 (default: fails)")
    add("--strict", action="store_true", help="end with 1, not 4, where something cannot be told")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")
    add("-q", "--quiet", action="count", default=0, help="the verdicts alone")
    add("-v", "--verbose", action="count", default=0, help="everything that is known")


def run(options: Namespace) -> int:
    """Judge, report, and return the exit code. Raises UsageError."""
    from runworthy.cli.terminal import NOTHING_FOUND, complain_of_empty, complain_of_missing
    from runworthy.engine import Engine, missing_subjects

    subjects = list(dict.fromkeys(options.files))
    if (missing := missing_subjects(subjects)) == subjects:
        return complain_of_missing(missing)
    if not options.on:
        _refuse_root(subjects)
    names = targets_of(options, ["host"])
    report = Engine(_wishes(options)).check(subjects, names)
    if complain_of_empty(report) and not report.results:
        return NOTHING_FOUND
    _deliver(report, options)
    return report.exit_code(fail_on_risky=options.fail_on == "risky", strict=options.strict)


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


def _wishes(options: Namespace) -> Wishes:
    from runworthy.engine import Wishes
    from runworthy.simulate.launch import Launch

    for name, path in (("--at", options.at), ("--cwd", options.cwd)):
        if path is not None and (not path.startswith("/") or path != posixpath.normpath(path)):
            raise UsageError(f"{name} {path!r} is no absolute path without `.` and `..`", hint="as in /usr/bin/app")
    launch = Launch(
        env=_environment(options.env),
        secure=options.secure,
        cwd=options.cwd,
        loaded_by=options.loaded_by,
        until=options.until,
        trace=options.trace,
    )
    return Wishes(launch=launch, at=options.at, additions=additions_of(options))


def _environment(given: Sequence[str]) -> dict[str, str]:
    """Return what `--env` states. Raises UsageError for what no loader here would look at."""
    env = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--env {text} is no NAME=VALUE", hint="write it as in --env LD_LIBRARY_PATH=/opt/lib")
        if name not in _ENVIRONMENT:
            raise UsageError(f"--env {name} is not modelled", hint=f"{', '.join(_ENVIRONMENT)} are")
        env[name] = value
    return env


def _deliver(report: Report, options: Namespace) -> None:
    from runworthy.cli.terminal import deliver, style_for

    if options.format == "json":
        from runworthy.report.json_report import report_json

        deliver(report_json(report, trace=options.trace), options.output_file)
        return
    from runworthy.report.text import report_text

    style = style_for(options.color, to_file=options.output_file not in (None, "-"))
    level = -1 if options.quiet else options.verbose
    deliver(report_text(report, style, level=level, trace=options.trace), options.output_file)
