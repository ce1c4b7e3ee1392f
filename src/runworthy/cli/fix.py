"""`runworthy fix`: what makes it run, proved before it is shown, and carried out when it is told to."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from runworthy.cli.options import add_where, environment, where
from runworthy.library.asking import ENVIRONMENT
from runworthy.model.errors import SubjectError

if TYPE_CHECKING:
    from runworthy.model.plan import FixReport

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "FILE|DIR... [--on TARGET] [--apply] [options]"
DESCRIPTION = """\
Propose the smallest changes that make files run on a target, the cheapest first, each with what it costs and what it
does not solve. `proved`: judging again with the change in place showed it. Without --apply nothing is changed."""
EPILOG = """\
what is carried out is written into a journal first: `runworthy undo` takes it back, `runworthy history` tells of it

exit codes: 0 what was asked for runs now, 1 it does not (yet), 2 usage or internal error, 3 no subject found,
4 cannot tell
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="what is to run; of a directory, all ELF files in it")
    add_where(parser, "host, or what the Dockerfile builds on")
    add = parser.add_argument_group("how it is started").add_argument
    add("--at", metavar="PATH", help="where the file lies in the target")
    add("--env", action="append", default=[], metavar="NAME=VALUE", help=", ".join(ENVIRONMENT))
    add("--loaded-by", metavar="PROGRAM", help="the program of the target that loads these libraries")
    add("--caller", action="append", default=[], metavar="CALLER",
        help="who executes them, as python or systemd; may be repeated (default: shell and direct)")  # fmt: skip
    add("--at-boot", action="store_true", help="as it will be after the next boot of a target that has a machine")
    add = parser.add_argument_group("what may help").add_argument
    add("--packages", action="append", default=[], metavar="WHAT",
        help="a package, an index of packages or a directory of them; may be repeated")  # fmt: skip
    add("--build", dest="builds", action="append", default=[], metavar="FILE",
        help="another build of it; may be repeated")  # fmt: skip
    add("--network", action="store_true", help="ask the repositories that the target is configured with")
    add("--dockerfile", default="", metavar="FILE", help="change this Dockerfile in place of a root")
    add("--loader", default="", metavar="PATH", help="an APE loader of the target, for remedies to register")
    add("--allow", action="append", default=[], metavar="NAME",
        help="propose as well what is only proposed by name: switch-binfmt-off")  # fmt: skip
    add = parser.add_argument_group("carrying it out").add_argument
    add("--apply", action="store_true", help="carry out the first proposal that is proved and safe")
    add("--unsafe", action="store_true", help="or unsafe: it changes other things too, or other programs do it")
    add("--choose", type=int, default=0, metavar="N", help="carry out this proposal, proved or not")
    add("--output", default="", metavar="DIR", help="write changed copies of the files there, and leave them alone")
    add(
        "--then",
        default="",
        metavar="COMMAND",
        help="run this in the repaired root, and keep the repair if it ends well",
    )
    add = parser.add_argument_group("the report").add_argument
    add("--format", choices=("text", "json"), default="text", help="text (the default) or json")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")
    add("-q", "--quiet", action="count", default=0, help="the titles alone")
    add("-v", "--verbose", action="count", default=0, help="every proposal with every change")


def run(options: Namespace) -> int:
    """Plan, carry out what is to be, report, and return the exit code. Raises UsageError."""
    from runworthy.cli.terminal import NOTHING_FOUND, complain_of_empty, complain_of_missing
    from runworthy.library import fix

    try:
        report = fix(
            options.files,
            at=options.at,
            env=environment(options.env),
            loaded_by=options.loaded_by,
            caller=options.caller,
            at_boot=options.at_boot,
            packages=options.packages,
            builds=options.builds,
            network=options.network,
            dockerfile=options.dockerfile,
            loader=options.loader,
            allow=options.allow,
            apply=options.apply or bool(options.choose),
            unsafe=options.unsafe,
            choose=options.choose,
            output=options.output,
            then=options.then,
            **where(options),
        )
    except SubjectError as error:
        return complain_of_missing(error.names)
    if complain_of_empty(report.report) and not report.report.results:
        return NOTHING_FOUND
    _deliver(report, options)
    return report.exit_code()


def _deliver(report: FixReport, options: Namespace) -> None:
    from runworthy.cli.terminal import deliver, style_for

    if options.format == "json":
        from runworthy.report.fix_document import fix_json

        deliver(fix_json(report), options.output_file)
        return
    from runworthy.report.fix import fix_text

    style = style_for(options.color, to_file=options.output_file not in (None, "-"))
    level = -1 if options.quiet else options.verbose
    deliver(fix_text(report, style, level=level), options.output_file)
