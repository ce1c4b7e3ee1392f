"""`runworthy explain`: the page of a finding."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "[CODE|NAME]... [options]"
DESCRIPTION = "Tell what a finding means, why it happens and what helps. Without a code, list all codes."
EPILOG = "example: runworthy explain RW301\n"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("codes", nargs="*", metavar="CODE|NAME", help="a code (RW301) or a name")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")


def run(options: Namespace) -> int:
    """Print the pages. Raises UsageError for an unknown code."""
    from runworthy.cli.terminal import emit, emit_blocks, style_for
    from runworthy.library import explain, list_rules
    from runworthy.report.page import page_lines
    from runworthy.report.words import table

    style = style_for(options.color)
    if options.codes:
        emit_blocks([page_lines(explain(code), style) for code in options.codes])
        return 0
    rows = [(style.paint(rule.code, "bold"), rule.severity, rule.name) for rule in list_rules()]
    emit("".join(f"{line}\n" for line in [*table(rows), "", "`runworthy explain CODE` tells more"]))
    return 0
