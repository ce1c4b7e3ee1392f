"""`runworthy targets show`: what is known of a target."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "NAME[/ARCH]... [options]"
DESCRIPTION = "Tell what is known of targets of the catalogue, of host, of a root in a directory, or of a snapshot."
EPILOG = "example: runworthy targets show debian:12/arm64\n"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("names", nargs="+", metavar="NAME", help="targets, as after --on")
    add("--platform", default="", metavar="ARCH", help="the architecture to show")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")


def run(options: Namespace) -> int:
    """Print a block for each target. Raises UsageError."""
    from runworthy.cli.terminal import emit_blocks, style_for
    from runworthy.report.target import show_lines

    style = style_for(options.color)
    emit_blocks([list(show_lines(name, options.platform, style)) for name in options.names])
    return 0
