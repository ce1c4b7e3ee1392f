"""`runworthy diff`: two builds of the same thing."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from runworthy.cli.options import add_where, where
from runworthy.model.errors import SubjectError

if TYPE_CHECKING:
    from runworthy.model.difference import Difference

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "OLD NEW [--on TARGET]... [options]"
DESCRIPTION = """\
Tell what a new build needs and offers that the old one did not, and on which targets the verdict changes. OLD and NEW
are two ELF files, two archives or directories, or two releases: directories of archives and programs, compared asset by
asset. Nothing is executed."""
EPILOG = """\
Files are paired by relative path, then by soname, then by name without versions and hashes. An archive and the
directory that it unpacks to are the same. The assets of two releases are paired by name without version, then by the
program and the platform that the name says.

exit codes: 0 no target got worse, 1 it no longer runs on some target, 2 usage or internal error, 3 no ELF file found,
4 it cannot be told whether one got worse
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("old", metavar="OLD", help="an ELF file, an archive, or a directory of such")
    add("new", metavar="NEW", help="the same of the new build")
    add_where(parser, "all of the catalogue, or fewer for many files")
    group = parser.add_argument_group("how it is started")
    group.add_argument("--at", metavar="PATH", help="where the file or directory lies in the target")
    add = parser.add_argument_group("the report").add_argument
    add("--format", choices=("text", "json"), default="text", help="text (the default) or json")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--fail-on", choices=("fails", "risky", "any-change"), default="fails",
        help="what ends with 1: a verdict that became fails (the default), or risky, or any difference")  # fmt: skip
    add("--strict", action="store_true", help="end with 1, not 4, where something cannot be told")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")
    add("-q", "--quiet", action="count", default=0, help="the first lines alone")
    add("-v", "--verbose", action="count", default=0, help="every symbol, file and target")


def run(options: Namespace) -> int:
    """Compare, report, and return the exit code. Raises UsageError."""
    from runworthy.cli.terminal import NOTHING_FOUND, complain_of_missing
    from runworthy.library import diff

    try:
        difference = diff(options.old, options.new, at=options.at, **where(options))
    except SubjectError as error:
        return complain_of_missing(error.names)
    if not (difference.pairs or difference.assets):
        print("error: no ELF program or library in either of them", file=sys.stderr)
        return NOTHING_FOUND
    _deliver(difference, options)
    return difference.exit_code(fail_on=options.fail_on, strict=options.strict)


def _deliver(difference: Difference, options: Namespace) -> None:
    from runworthy.cli.terminal import deliver, style_for

    if options.format == "json":
        from runworthy.report.diff_json import diff_json

        deliver(diff_json(difference), options.output_file)
        return
    from runworthy.report.diff import diff_text

    style = style_for(options.color, to_file=options.output_file not in (None, "-"))
    deliver(diff_text(difference, style, level=-1 if options.quiet else options.verbose), options.output_file)
