"""`runworthy history`: what was changed and taken back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "[options]"
DESCRIPTION = "Tell what `fix --apply` and `dedupe --apply` changed and what was taken back, the oldest first."
EPILOG = """\
The journal lies below $XDG_STATE_HOME/runworthy/journal, else ~/.local/state: one directory for each entry, with what
was there before. An entry that is forgotten cannot be undone any more.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("--format", choices=("text", "json"), default="text", help="text (the default) or json")
    add("--forget", action="append", default=[], metavar="ID", help="remove an entry, and what it keeps")
    add("--older-than", default="", metavar="AGE", help="remove what is older: 30d, 12h or 8w")
    add("-v", "--verbose", action="count", default=0, help="name each file that shares its bytes")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")


def run(options: Namespace) -> int:
    """Print it, or remove what is named. Raises RemedyError, UsageError."""
    from runworthy.cli.terminal import emit, style_for
    from runworthy.library import forget, history

    if options.forget or options.older_than:
        gone = forget(options.forget, older_than=options.older_than)
        emit("".join(f"{name} forgotten\n" for name in gone))
        return 0
    entries = history()
    if options.format == "json":
        from runworthy.report.history import history_json

        emit(history_json(entries))
    elif entries:
        from runworthy.report.history import history_text

        emit(history_text(entries, style_for(options.color), verbose=bool(options.verbose)))
    else:
        emit("nothing was changed\n")
    return 0
