"""`runworthy measure`: what it costs to start a program in one way or another."""

from __future__ import annotations

from argparse import REMAINDER, ArgumentParser, Namespace
from collections.abc import Sequence

from runworthy.model.errors import SubjectError, UsageError

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "[options] -- FILE [ARGS]..."
DESCRIPTION = """\
Run a program, as often as asked, and tell time, CPU time and peak memory: as it is started now, through whatever
handler takes it; natively, past that handler; and through programs that are proposed. This command executes what is
written after --, as `run` does."""
EPILOG = """\
The ways are run in turn, after one run of each that is not counted. Figures are medians, with the least and the most.
Standard input is /dev/null, the output goes nowhere. CPU time is that of all processes, memory that of the largest.
What a run leaves behind is ended.

exit codes: 0 measured, 1 the program ends differently in one way than in another, or does not start or end,
2 usage or internal error, 3 no such file
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("command", nargs=REMAINDER, metavar="FILE",
        help="after --: the program, by its path or a name in PATH, and its arguments")  # fmt: skip
    add = parser.add_argument_group("how it is run").add_argument
    add("--runs", type=int, default=5, metavar="N", help="runs of each way (default: 5)")
    add("--timeout", type=float, default=60.0, metavar="SECONDS", help="end a run after this time (default: 60)")
    add("--through", action="append", default=[], metavar="PROGRAM",
        help="measure starting it through this program too; may be repeated")  # fmt: skip
    add("--loader", default="", metavar="PROGRAM", help="the native way is through this program, as an APE loader")
    add("--until-output", action="store_true", help="tell when the first byte of output comes, too")
    add("--show-output", action="store_true", help="let its output through, to standard error")
    add = parser.add_argument_group("the report").add_argument
    add("--format", choices=("text", "json"), default="text", help="text (the default) or json")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")


def run(options: Namespace) -> int:
    """Measure, report, and return the exit code. Raises UsageError."""
    from runworthy.cli.progress import progress
    from runworthy.cli.terminal import complain_of_missing, deliver, style_for
    from runworthy.library import measure
    from runworthy.report.measure import measure_json, measure_text

    command = _command(options.command)
    try:
        with progress(quiet=options.show_output) as watch:
            measurement = measure(
                command,
                runs=options.runs,
                timeout=options.timeout,
                through=options.through,
                loader=options.loader,
                until_output=options.until_output,
                show_output=options.show_output,
                watch=watch,
            )
    except SubjectError as error:
        return complain_of_missing(error.names)
    if options.format == "json":
        text = measure_json(measurement)
    else:
        text = measure_text(measurement, style_for(options.color, to_file=options.output_file not in (None, "-")))
    deliver(text, options.output_file)
    return measurement.exit_code()


def _command(words: Sequence[str]) -> list[str]:
    """Return what stands after ``--``, so that nothing is ever executed for a slip. Raises UsageError."""
    if words[:1] != ["--"]:
        raise UsageError("the command stands after --", hint="write it as in `runworthy measure -- FILE ARGS`")
    if not words[1:]:
        raise UsageError("no command stands after --", hint="write it as in `runworthy measure -- FILE ARGS`")
    return list(words[1:])
