"""`runworthy targets diff`: what differs between two targets."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "A B [options]"
DESCRIPTION = """\
Tell what differs from target A to target B in what kernels and loaders look at: C library, machine, search path,
libraries with their versions and symbols. A and B are targets as after --on."""
EPILOG = """\
Of a core target only libc, the compiler runtime and zlib are known: what else it may have is told as not known.

exit codes: 0 they are equal, 1 they differ, 2 usage or internal error, 4 that cannot be told
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("old", metavar="A", help="a target")
    add("new", metavar="B", help="another target")
    add("--platform", default="", metavar="ARCH", help="the architecture of both, as linux/arm64 or aarch64")
    add("--format", choices=("text", "json"), default="text", help="text (the default) or json")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")
    add("-q", "--quiet", action="count", default=0, help="the numbers alone")
    add("-v", "--verbose", action="count", default=0, help="every name and symbol")


def run(options: Namespace) -> int:
    """Compare, report, and return the exit code. Raises UsageError."""
    from runworthy.cli.terminal import deliver, style_for
    from runworthy.library import diff_targets
    from runworthy.report.target_diff import target_diff_json, target_diff_text

    difference = diff_targets(options.old, options.new, platform=options.platform)
    if options.format == "json":
        text = target_diff_json(difference)
    else:
        style = style_for(options.color, to_file=options.output_file not in (None, "-"))
        text = target_diff_text(difference, style, level=-1 if options.quiet else options.verbose)
    deliver(text, options.output_file)
    return difference.exit_code()
