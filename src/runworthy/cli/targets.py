"""`runworthy targets`: the targets that have a name."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from runworthy.cli.commands import Command
from runworthy.model.errors import UsageError

__all__ = ["COMMANDS", "DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "[WORD]... | show NAME[/ARCH]... | diff A B"
DESCRIPTION = "List the targets of the catalogue that have all of the words (debian, musl, arm64, closed, 2.31, ...)."
EPILOG = """\
closed: every file is known, what is not there is missing; core: libc, the compiler runtime and zlib are known, what
is outside is unknown until --with brings it or --assume-present states it
"""
COMMANDS = (
    Command("targets show", "targets_show", "what is known of one: its loader, search path and libraries"),
    Command("targets diff", "targets_diff", "what differs between two in what loaders and kernels look at"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("words", nargs="*", metavar="WORD", help="words that narrow the list")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")


def run(options: Namespace) -> int:
    """Print the list. Raises UsageError where it is empty."""
    from runworthy.cli.terminal import emit_blocks, style_for
    from runworthy.report.target import list_blocks

    blocks = list_blocks(options.words, style_for(options.color))
    if not blocks:
        raise UsageError(f"no target has {' and '.join(options.words)}", hint="`runworthy targets` lists all of them")
    emit_blocks(blocks)
    return 0
