"""`runworthy recover`: bring what was cut off to its end."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = ""
DESCRIPTION = """\
After a kill or a power cut in the middle of `runworthy fix --apply`, `dedupe --apply` or `undo`: take back what was
being applied, keep what was shared completely, and end what was being undone. It can be cut off and begun again as
often as one likes."""
EPILOG = "exit codes: 0 all is as it was before, 1 something is left as it is, 2 it is refused, or an internal error\n"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare nothing."""
    del parser


def run(options: Namespace) -> int:
    """Do it, and tell what was done. Raises RemedyError."""
    from runworthy.cli.terminal import emit, emit_blocks
    from runworthy.library import recover
    from runworthy.report.history import undone_lines

    del options
    done = recover()
    if done:
        emit_blocks(undone_lines(one) for one in done)
    else:
        emit("nothing was cut off\n")
    return 1 if any(one.left for one in done) else 0
