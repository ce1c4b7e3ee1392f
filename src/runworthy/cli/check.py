"""`runworthy check`: judge files on targets."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from runworthy.cli.commands import EXIT_CODES_TOLD
from runworthy.cli.options import add_where, environment, where
from runworthy.library.asking import ENVIRONMENT
from runworthy.model.errors import SubjectError, UsageError
from runworthy.model.finding import Limits, Report
from runworthy.model.trace import STAGES

if TYPE_CHECKING:
    from runworthy.library.asking import Watch

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "[FILE|DIR]... [--on TARGET]... [options]"
DESCRIPTION = """\
Say whether programs and libraries will run on targets, and if not, why: ELF files, scripts, Actually Portable
Executables, Windows programs, by the loaders and by the handlers of binfmt_misc. Nothing is executed. Without FILE,
do what the project's file says: runworthy.toml, or [tool.runworthy] in pyproject.toml."""
EPILOG = f"""\
targets: host (this machine, the default), ./dir or rootfs:DIR (a root in a directory), FILE.runworthy or snapshot:FILE
(what `runworthy snapshot` captured), or a name out of `runworthy targets`: alpine:3.20,
debian:12/arm64, glibc:2.28, manylinux_2_28_x86_64, ...

{EXIT_CODES_TOLD}"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="what to judge; of a directory, all ELF files in it")
    add_where(parser, "host", project=())
    group = parser.add_argument_group("how it is started")
    add = group.add_argument
    add("--at", metavar="PATH", help="where the file lies in the target")
    add("--env", action="append", default=[], metavar="NAME=VALUE", help=", ".join(ENVIRONMENT))
    add("--cwd", metavar="DIR", help="the directory in which it is started (default: /, and nothing may depend on it)")
    add("--secure", action="store_true", help="as set-user-ID or with file capabilities (AT_SECURE)")
    add("--loaded-by", metavar="PROGRAM", help="the program of the target that loads these libraries")
    add("--caller", action="append", default=[], metavar="CALLER",
        help="who executes them, as python or systemd; may be repeated (default: shell and direct)")  # fmt: skip
    add("--at-boot", action="store_true", help="as it will be after the next boot of a target that has a machine")
    group = parser.add_argument_group("how it is judged")
    add = group.add_argument
    add("--jobs", type=int, default=0, metavar="N", help="processes to use (default: as many as are worth it)")
    add("--no-cache", action="store_true", help="read everything anew, and keep nothing; see `runworthy cache`")
    group = parser.add_argument_group("the report")
    add = group.add_argument
    add("--until", choices=STAGES, default="environment", metavar="STAGE", help=f"the last stage: {', '.join(STAGES)}")
    add("--trace", action="store_true", help="show every step, with the paths searched")
    add("--format", choices=("text", "json"), default="text", help="text (the default) or json")
    add("--loader", default="", metavar="PATH",
        help="an APE loader of the target, for remedies to register in place of the one in the file")  # fmt: skip
    add("--export", choices=("ansible", "cloud-init", "sh"), help="in its place the best remedy, for other machines")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--fail-on", choices=("fails", "risky"), default="fails", help="what ends with 1 (default: fails)")
    add("--strict", action="store_true", help="end with 1, not 4, where something cannot be told")
    add("--max-fails", type=int, default=0, metavar="N", help="end with 1 where more fail on targets (default: 0)")
    add("--max-unknown", type=int, default=0, metavar="N", help="end with 4 where more are unknown (default: 0)")
    add("--max-risky", type=int, metavar="N", help="end with 1 where more are risky (default: any number may be)")
    add("--show-waived", action="store_true", help="tell the findings that the project's file waives too")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")
    add("-q", "--quiet", action="count", default=0, help="the verdicts alone")
    add("-v", "--verbose", action="count", default=0, help="everything that is known")


def run(options: Namespace) -> int:
    """Judge, report, and return the exit code. Raises UsageError."""
    from runworthy.cli.progress import progress
    from runworthy.cli.terminal import NOTHING_FOUND, complain_of_empty, complain_of_missing

    _refuse_negative(options)
    try:
        with progress(quiet=bool(options.quiet)) as watch:
            report = _checked(options, watch)
    except SubjectError as error:
        return complain_of_missing(error.names)
    if complain_of_empty(report) and not report.results:
        return NOTHING_FOUND
    _deliver(report, options)
    limits = Limits(fails=options.max_fails, unknown=options.max_unknown, risky=options.max_risky)
    return report.exit_code(fail_on_risky=options.fail_on == "risky", strict=options.strict, limits=limits)


def _checked(options: Namespace, watch: Watch | None) -> Report:
    """Judge the files, or what the project's file says. Raises SubjectError, UsageError."""
    from runworthy.library import check, check_project

    stated: dict[str, Any] = {
        "at": options.at,
        "env": environment(options.env),
        "cwd": options.cwd,
        "secure": options.secure,
        "loaded_by": options.loaded_by,
        "caller": options.caller,
        "at_boot": options.at_boot,
        "until": options.until,
    }
    how: dict[str, Any] = {
        "loader": options.loader,
        "trace": options.trace,
        "steps": options.format == "json",
        "jobs": options.jobs,
        "cache": not options.no_cache,
        "watch": watch,
    }
    if options.project is None:
        if not options.files:
            hint = "name a FILE, or `subjects` in a runworthy.toml; `runworthy check --help` lists what it takes"
            raise UsageError("no FILE is named, and no project's file is here or above", hint=hint)
        return check(options.files, **where(options), **stated, **how)
    given = {name: value for name, value in {**stated, **where(options)}.items() if _dest(name) in options.given}
    return check_project(options.project, options.files, **how, **given)


def _dest(argument: str) -> str:
    """Return where the command line keeps an argument of the library."""
    return "additions" if argument == "with_" else argument


def _refuse_negative(options: Namespace) -> None:
    for name in ("jobs", "max-fails", "max-unknown", "max-risky"):
        number = vars(options)[name.replace("-", "_")]
        if number is not None and number < 0:
            what = "no number of processes" if name == "jobs" else "no number"
            raise UsageError(f"--{name} {number} is {what}", option=f"--{name}")


def _deliver_remedy(report: Report, options: Namespace) -> None:
    """Write out the best remedy, or say on stderr that there is none. Raises UsageError."""
    import sys

    from runworthy.cli.terminal import deliver
    from runworthy.remedies.attaching import best_remedy
    from runworthy.remedies.export import export
    from runworthy.report.words import clean

    remedy = best_remedy(report)
    if remedy is None:
        print("runworthy: there is no remedy to export", file=sys.stderr)
        return
    if not remedy.proved:
        print(f"runworthy: not proved: {clean(remedy.title)}: {clean(remedy.proof)}", file=sys.stderr)
    deliver(export(remedy, options.export), options.output_file)


def _deliver(report: Report, options: Namespace) -> None:
    from runworthy.cli.terminal import deliver, style_for

    if options.export:
        _deliver_remedy(report, options)
        return
    if options.format == "json":
        from runworthy.report.json_report import report_json

        deliver(report_json(report, trace=options.trace), options.output_file)
        return
    from runworthy.report.text import report_text

    style = style_for(options.color, to_file=options.output_file not in (None, "-"))
    level = -1 if options.quiet else options.verbose
    deliver(
        report_text(report, style, level=level, trace=options.trace, waived=options.show_waived), options.output_file
    )
