"""`runworthy undo`: take back what a remedy did."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from runworthy.model.errors import UsageError

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "[ID] [options]"
DESCRIPTION = """\
Take back what `runworthy fix --apply` or `runworthy dedupe --apply` did: bytes, modes, owners, times, extended
attributes and links of files; what other programs did by those programs. Without an ID the newest that is in place is
taken back."""
EPILOG = """\
Where a file is no longer as it was left, nothing is undone.

exit codes: 0 all is as it was before, 1 something is left as it is, 2 it is refused, or an internal error
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("entry", nargs="?", default="", metavar="ID", help="an entry of `runworthy history`")
    add("--force", action="store_true", help="take back what has been changed since as well")
    add("--dry-run", action="store_true", help="tell what would be taken back, and change nothing")
    add("-v", "--verbose", action="count", default=0, help="with --dry-run: name each file that shares its bytes")


def run(options: Namespace) -> int:
    """Take it back. Raises RemedyError."""
    from runworthy.cli.terminal import emit_blocks
    from runworthy.library import undo
    from runworthy.report.history import plan_lines, undone_lines

    done = undo(options.entry, force=options.force, dry_run=options.dry_run)
    if options.dry_run:
        emit_blocks([plan_lines(done.entry, done.left, verbose=bool(options.verbose))])
    else:
        try:
            emit_blocks([undone_lines(done)])
        except UsageError as error:
            error.add_note(f"{done.entry.id} is undone")
            raise
    return 1 if done.left else 0
