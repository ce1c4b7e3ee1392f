"""`runworthy dedupe`: files that are stored again, why, and what sharing them gives back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from runworthy.model.errors import SubjectError, UsageError

if TYPE_CHECKING:
    from runworthy.model.storage import StorageReport

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "PATH... [options]"
DESCRIPTION = """\
Find files that are stored again across environments: whose they are, why they are not shared, and what sharing them
would really free. Files are compared byte by byte. Nothing is changed without --apply, and nothing is executed."""
EPILOG = """\
environments: those of venv, uv, conda, pixi, magic, npm and pnpm, their caches, roots of containers, plain trees

exit codes: 0 it was done, 1 more than --fail-over could still be freed, 2 usage or internal error,
3 nothing lies at a path
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("paths", nargs="+", metavar="DIR", help="directories to search")
    add = parser.add_argument_group("what is looked at").add_argument
    add("--min-size", default="64k", metavar="SIZE", help="leave out smaller files (default: 64k)")
    add("--only", action="append", default=[], metavar="GLOB", help="names of files, as '*.so*'; may be repeated")
    add("--no-caches", action="store_true", help="do not look into the caches of installers")
    add("--no-reasons", action="store_true", help="which files are equal, and not whose they are and why: quicker")
    add("--recorded", action="store_true", help="take hashes that installers recorded for it, and read nothing")
    add("--no-index", action="store_true", help="compare everything anew, and remember nothing")
    add = parser.add_argument_group("sharing").add_argument
    add("--apply", action="store_true", help="carry it out; `runworthy undo` takes it back")
    add("--dry-run", action="store_true", help="tell the exact actions, and change nothing")
    add("--how", choices=("auto", "reflink", "hardlink", "symlink"), default="auto",
        help="auto: shared extents where the file system has them, else hard links")  # fmt: skip
    add("--within-env", action="store_true",
        help="hard links inside one environment too, where two libraries of a process become one")  # fmt: skip
    add = parser.add_argument_group("keeping it so").add_argument
    add("--advise", action="store_true", help="settings of installers, tried by real links that are removed again")
    add("--unused", default="", metavar="AGE", help="environments and caches that nothing has used for 30d, 12h or 8w")
    add("--libraries", action="store_true", help="also different builds of one library that a process loads together")
    add("--fail-over", default="", metavar="SIZE", help="end with 1 where more than this could be freed")
    add("--new", action="store_true", help="tell only what no earlier run with --new has told")
    add = parser.add_argument_group("the report").add_argument
    add("--format", choices=("text", "markdown", "json", "html"), default="text", help="text (the default)")
    add("--view", choices=("environments", "packages", "files"), default="environments", help="the table of the text")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")
    add("-q", "--quiet", action="count", default=0, help="one line")
    add("-v", "--verbose", action="count", default=0, help="every place; in json, every file")


def run(options: Namespace) -> int:
    """Search, share if told to, report, and return the exit code. Raises UsageError, RemedyError."""
    from runworthy.cli.progress import progress
    from runworthy.cli.terminal import complain_of_missing, deliver
    from runworthy.library import dedupe
    from runworthy.library.amounts import size_of

    if options.apply and options.dry_run:
        raise UsageError("--apply and --dry-run exclude each other", option="--dry-run")
    if options.no_reasons and (options.dry_run or options.fail_over):
        raise UsageError("without reasons nothing is planned", hint="leave --no-reasons out", option="--no-reasons")
    limit = size_of(options.fail_over, "--fail-over") if options.fail_over else None
    try:
        with progress(quiet=bool(options.quiet)) as watch:
            report = dedupe(
                options.paths,
                min_size=options.min_size,
                only=options.only,
                how=options.how,
                within_env=options.within_env,
                caches=not options.no_caches,
                index=not options.no_index,
                advise=options.advise,
                unused=options.unused,
                libraries=options.libraries,
                new=options.new,
                recorded=options.recorded,
                reasons=not options.no_reasons,
                dry_run=options.dry_run,
                apply=options.apply,
                watch=watch,
            )
    except SubjectError as error:
        return complain_of_missing(error.names)
    try:
        deliver(_written(report, options), options.output_file)
    except UsageError as error:
        if report.reclaimed is not None and report.reclaimed.entry:
            error.add_note(f"files were shared: `runworthy undo {report.reclaimed.entry}` takes it back")
        raise
    return report.exit_code(limit)


def _written(report: StorageReport, options: Namespace) -> str:
    if options.format == "json":
        from runworthy.report.dedupe_document import dedupe_json

        return dedupe_json(report, everything=bool(options.verbose), dry_run=options.dry_run)
    if options.format == "markdown":
        from runworthy.report.dedupe_markdown import dedupe_markdown

        return dedupe_markdown(report, dry_run=options.dry_run)
    if options.format == "html":
        from runworthy.report.dedupe_html import dedupe_html

        return dedupe_html(report, dry_run=options.dry_run)
    from runworthy.cli.terminal import style_for
    from runworthy.report.dedupe import dedupe_text

    style = style_for(options.color, to_file=options.output_file not in (None, "-"))
    level = -1 if options.quiet else options.verbose
    return dedupe_text(report, style, level=level, view=options.view, dry_run=options.dry_run)
