"""Variables of the environment that stand for options, and the others that are looked at: one table.

The command line decides over the environment, the environment over the project's file, and that over the defaults.
An empty variable says nothing. ``-v`` says what came from where.
"""

from __future__ import annotations

import os
from argparse import Action, ArgumentError, Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runworthy.model.errors import UsageError

if TYPE_CHECKING:
    from runworthy.cli.parser import Parser

__all__ = ["VARIABLES", "Variable", "decide", "named_in_help", "stated", "variable_of"]


class Variable(NamedTuple):
    """A variable of the environment. ``option`` is the one that it stands for, empty where it stands for none."""

    name: str
    option: str
    meaning: str


VARIABLES = (
    Variable("RUNWORTHY_ON", "--on", "the targets, with commas between them"),
    Variable("RUNWORTHY_PLATFORM", "--platform", "the architecture of the targets, as linux/arm64"),
    Variable("RUNWORTHY_CPU", "--cpu", "their CPU level, as x86-64-v3"),
    Variable("RUNWORTHY_PAGE_SIZE", "--page-size", "their page size, as 64k"),
    Variable("RUNWORTHY_KERNEL", "--kernel", "their kernel, as 5.10"),
    Variable("RUNWORTHY_CONFIG", "--config", "the project's file, in place of the nearest one"),
    Variable("RUNWORTHY_NO_CONFIG", "--no-config", "1 reads no project's file"),
    Variable("RUNWORTHY_FORMAT", "--format", "the format of the report"),
    Variable("RUNWORTHY_FAIL_ON", "--fail-on", "what ends with 1"),
    Variable("RUNWORTHY_STRICT", "--strict", "1 ends with 1, not 4, where something cannot be told"),
    Variable("RUNWORTHY_MAX_FAILS", "--max-fails", "so many subjects on targets may fail"),
    Variable("RUNWORTHY_MAX_UNKNOWN", "--max-unknown", "so many may be unknown"),
    Variable("RUNWORTHY_MAX_RISKY", "--max-risky", "so many may be risky"),
    Variable("RUNWORTHY_COLOR", "--color", "auto, always or never; decides over NO_COLOR and FORCE_COLOR"),
    Variable("RUNWORTHY_JOBS", "--jobs", "processes to use; 0 for as many as are worth it"),
    Variable("RUNWORTHY_NO_CACHE", "--no-cache", "1 reads everything anew, and keeps nothing"),
    Variable("RUNWORTHY_CACHE_DIR", "", "where the cache lies, in place of the user's directory for caches"),
    Variable("RUNWORTHY_DEBUG", "", "1 shows the traceback of an internal error"),
    Variable("NO_COLOR", "", "anything: no colours"),
    Variable("FORCE_COLOR", "", "anything but 0: colours, though no terminal reads the report"),
    Variable("COLUMNS", "", "the width of the report, for a terminal that does not tell"),
)

_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def variable_of(action: Action) -> Variable | None:
    """Return the variable that stands for an option."""
    return next((row for row in VARIABLES if row.option and row.option in action.option_strings), None)


def stated(actions: Sequence[Action]) -> Iterator[tuple[Action, Variable, str]]:
    """Yield the options for which a variable stands that says something, with that and its text."""
    for action in actions:
        variable = variable_of(action)
        text = os.environ.get(variable.name, "") if variable else ""
        if variable and text:
            yield action, variable, text


def decide(parser: Parser, options: Namespace, row: tuple[Action, Variable, str]) -> None:
    """Have a variable give its option. Raises UsageError, naming it, for a value that the option would not take."""
    action, variable, text = row
    if action.nargs != 0:
        action(parser, options, _value(parser, action, variable, text), variable.option)
    elif _switched_on(variable, text):
        action(parser, options, [], variable.option)
    else:
        setattr(options, action.dest, False)


def _value(parser: Parser, action: Action, variable: Variable, text: str) -> str:
    """Return what the option would take the text for."""
    try:
        return parser.converted(action, text)
    except ArgumentError as error:
        raise UsageError(
            f"{variable.name}={text}: {error.message}", hint=f"it stands for {variable.option}; empty, it says nothing"
        ) from error
    except UsageError as error:
        error.add_note(f"{error.option} is taken from {variable.name}")
        raise


def _switched_on(variable: Variable, text: str) -> bool:
    if text.lower() not in _SWITCH:
        raise UsageError(f"{variable.name}={text} is neither yes nor no", hint="1 is yes, 0 is no")
    return _SWITCH[text.lower()]


def named_in_help(actions: Sequence[Action]) -> str:
    """Return the end of a command's help: the variables that stand for its options."""
    names = [variable.name for action in actions if (variable := variable_of(action))]
    if not names:
        return ""
    import textwrap

    text = f"environment: {', '.join(names)}: each stands for the option of its name where that is not given"
    return "\n" + textwrap.fill(text, 118, break_on_hyphens=False) + "\n"
