"""`runworthy floor`: the oldest of everything that files can run on, and what holds it there."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from runworthy.cli.options import add_project
from runworthy.model.errors import SubjectError, UsageError

if TYPE_CHECKING:
    from runworthy.model.floor import FloorReport

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "[FILE|DIR]... [--max-glibc RELEASE]... [options]"
DESCRIPTION = """\
Say on which oldest glibc, musl, libstdc++, kernel, CPU and page sizes all of these files run together, which symbols
of which file ask for it, and on which oldest target of each distribution. Nothing is executed."""
EPILOG = """\
what is given is judged as one release: libraries of it are found where the loader would look, and those from outside
that no C library brings are taken as present and named. Archives each have floors of their own; so have, in a
directory, programs and directories that are called after a system and architecture

exit codes: 0 every gate is kept, 1 one is not, or nothing known runs it, 2 usage or internal error, 3 no subject found,
4 cannot tell
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE",
        help="ELF files; of a directory or an archive, all in it (default: the project's)")  # fmt: skip
    add_project(parser, ("floor",))
    group = parser.add_argument_group("gates: end with 1 where the floor is higher")
    add = group.add_argument
    add("--max-glibc", default="", metavar="RELEASE", help="the highest glibc that may be needed, as 2.28")
    add("--max-musl", default="", metavar="RELEASE", help="the highest musl, as 1.2.3")
    add("--max-libstdcxx", default="", metavar="RELEASE", help="the highest libstdc++, as GLIBCXX_3.4.28 or gcc-9")
    add("--max-kernel", default="", metavar="RELEASE", help="the highest kernel, as 4.18")
    add("--max-cpu", default="", metavar="LEVEL", help="the highest CPU level, as x86-64-v2")
    add("--page-size", default="", metavar="SIZE", help="a page size that must fit, as 64k, where such kernels exist")
    group = parser.add_argument_group("the report")
    add = group.add_argument
    add("--format", choices=("text", "json"), default="text", help="text (the default) or json")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")
    add("-q", "--quiet", action="count", default=0, help="the floors and the gates that are not kept alone")
    add("-v", "--verbose", action="count", default=0, help="every symbol, every file, every family")


def run(options: Namespace) -> int:
    """Judge, report, and return the exit code. Raises UsageError."""
    from runworthy.cli.terminal import complain_of_missing
    from runworthy.library import floor
    from runworthy.report.words import clean, listed

    subjects = options.files or _subjects(options)
    try:
        report = floor(
            subjects,
            max_glibc=options.max_glibc,
            max_musl=options.max_musl,
            max_libstdcxx=options.max_libstdcxx,
            max_kernel=options.max_kernel,
            max_cpu=options.max_cpu,
            page_size=options.page_size,
        )
    except SubjectError as error:
        return complain_of_missing(error.names)
    if not (report.shipped or report.problems):
        names = listed([clean(name) for name in subjects])
        print(f"error: no ELF program or library in {names}", file=sys.stderr)
    _deliver(report, options)
    return report.exit_code()


def _subjects(options: Namespace) -> list[str]:
    """Return what the project's file names. Raises UsageError where it names nothing."""
    from runworthy.configuration.checking import parts

    project = options.project
    named = [name for part in parts(project, (), {}) for name in part.subjects] if project else []
    if not named:
        told = "no FILE is named, and " + (f"{project.name} names none" if project else "no project's file is here")
        raise UsageError(told, hint="name a FILE, or `subjects` in a runworthy.toml")
    return named


def _deliver(report: FloorReport, options: Namespace) -> None:
    from runworthy.cli.terminal import deliver, style_for

    if options.format == "json":
        from runworthy.report.floor_document import floor_json

        deliver(floor_json(report), options.output_file)
        return
    from runworthy.report.floor import floor_text

    style = style_for(options.color, to_file=options.output_file not in (None, "-"))
    level = -1 if options.quiet else options.verbose
    deliver(floor_text(report, style, level=level), options.output_file)
