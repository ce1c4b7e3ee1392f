"""`runworthy matrix`: which asset of a release serves which target, and what nothing serves."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from runworthy.cli.options import add_where, where
from runworthy.model.errors import SubjectError

if TYPE_CHECKING:
    from runworthy.model.matrix import Matrix

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "ASSET|DIR... [--on TARGET]... [options]"
DESCRIPTION = """\
Hold the files of a release against targets: which asset serves which of them, which targets nothing serves and what
would build it, which assets nobody would miss, and which are named wrongly. Nothing is executed."""
EPILOG = """\
assets: release files as app_linux_arm64.tar.gz, app-x86_64-unknown-linux-musl, app.exe; a directory stands for the
files in it, or is an asset itself where its name says a platform. Bytes count for more than names.

targets: as for `runworthy check`, windows/x86_64, macos/arm64, and the named sets @release (the default), @linux,
@glibc, @musl, @manylinux, @windows and @macos, which follow from the catalogue by end of life; @linux/arm64 is a part

exit codes: 0 every target is served and no name is wrong, 1 a target is not served or an asset is named wrongly,
2 usage or internal error, 3 no build found, 4 cannot tell (an asset that cannot be read; Windows and macOS, which are
not modelled: `--on @linux` leaves them out)
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("assets", nargs="+", metavar="FILE", help="files of a release, or directories of them")
    add_where(parser, "@release")
    group = parser.add_argument_group("the report")
    add = group.add_argument
    add("--format", choices=("text", "markdown", "json", "html"), default="text", help="text (the default)")
    add("--ci", choices=("github", "gitlab", "none"), default="github", help="whose jobs are shown for what is missing")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--strict", action="store_true", help="end with 1, not 4, where something cannot be told")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")
    add("-q", "--quiet", action="count", default=0, help="what is missing and wrong alone")
    add("-v", "--verbose", action="count", default=0, help="the reason of every cell; in json, every step")


def run(options: Namespace) -> int:
    """Judge, report, and return the exit code. Raises UsageError."""
    from runworthy.cli.progress import progress
    from runworthy.cli.terminal import complain_of_missing
    from runworthy.library import matrix

    try:
        with progress(quiet=bool(options.quiet)) as watch:
            held = matrix(options.assets, watch=watch, **where(options))
    except SubjectError as error:
        return complain_of_missing(error.names)
    _deliver(held, options)
    return held.exit_code(strict=options.strict)


def _deliver(matrix: Matrix, options: Namespace) -> None:
    from runworthy.cli.terminal import deliver

    deliver(_written(matrix, options), options.output_file)


def _written(matrix: Matrix, options: Namespace) -> str:
    provider = "" if options.ci == "none" else options.ci
    if options.format == "json":
        from runworthy.report.matrix_document import matrix_json

        return matrix_json(matrix, trace=bool(options.verbose))
    if options.format == "markdown":
        from runworthy.report.matrix_markdown import matrix_markdown

        return matrix_markdown(matrix, provider)
    if options.format == "html":
        from runworthy.report.matrix_html import matrix_html

        return matrix_html(matrix)
    from runworthy.cli.terminal import style_for
    from runworthy.report.matrix import matrix_text

    style = style_for(options.color, to_file=options.output_file not in (None, "-"))
    return matrix_text(matrix, style, level=-1 if options.quiet else options.verbose, provider=provider)
