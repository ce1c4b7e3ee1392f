"""Where the value of an option comes from: command line, environment, the project's file, default; in this order.

``-v`` says on standard error what came from where, and an error about an option says it too.
"""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, Action, Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runworthy.cli.environment import decide, stated
from runworthy.cli.parser import PROJECT_TABLE
from runworthy.model.errors import TargetError, UsageError

if TYPE_CHECKING:
    from runworthy.cli.parser import Parser
    from runworthy.configuration.model import Configuration, Place, Value

__all__ = ["blame", "parse_with", "project_of"]

_ABOUT_FILES = frozenset(("config", "no_config"))


class _Decided(NamedTuple):
    """An option that the command line does not have: where its value comes from, and what that says there."""

    origin: str
    text: str


def parse_with(parser: Parser, arguments: Sequence[str]) -> tuple[Namespace, dict[str, str]]:
    """Parse the arguments; where an option is not among them, its variable decides, else the project's file.

    Returns the options, and where those come from that were not on the command line, by the options. The options hold
    also the ``project`` (None: there is no file), and as ``given`` what the command line and the environment decided.
    Raises UsageError, naming the place, for a value that the option would not take.
    """
    actions = [action for action in parser.declared() if action.option_strings and action.dest != "help"]
    usual = [action.default for action in actions]
    for action in actions:
        action.default = SUPPRESS  # so that what is absent after the parsing was not on the command line
    options = parser.parse_args(arguments)
    decided = dict(_by_environment(parser, options, actions))
    options.given = frozenset(action.dest for action in actions if hasattr(options, action.dest))
    table: Place | None = parser.get_default(PROJECT_TABLE)
    if table is not None:
        options.project = _project(options)
        decided |= _by_project(parser, options, actions, table)
    for action, default in zip(actions, usual, strict=True):
        if not hasattr(options, action.dest):
            setattr(options, action.dest, default)
    if vars(options).get("verbose"):
        _tell(decided, vars(options).get("project"))
    return options, {option: one.origin for option, one in decided.items()}


def _by_environment(parser: Parser, options: Namespace, actions: Sequence[Action]) -> Iterator[tuple[str, _Decided]]:
    """Have variables give the options that are not there, and yield which these are. Raises UsageError."""
    about_files = _ABOUT_FILES & set(vars(options))
    if about_files == _ABOUT_FILES:
        raise UsageError("--config and --no-config are given both", hint="state one of them", option="--config")
    for action, variable, text in stated(actions):
        # What the command line says of one of these, it says of both.
        if hasattr(options, action.dest) or (about_files and action.dest in _ABOUT_FILES):
            continue
        decide(parser, options, (action, variable, text))
        yield variable.option, _Decided(variable.name, text)


def _by_project(parser: Parser, options: Namespace, actions: Sequence[Action], table: Place) -> dict[str, _Decided]:
    """Have the file give the options that are not there, and return which these are. Raises UsageError."""
    project: Configuration | None = options.project
    decided: dict[str, _Decided] = {}
    for action, key, value in _of_project(options, actions, table) if project else ():
        texts = [] if action.nargs == 0 else _texts(value)
        for text in texts:
            action(parser, options, parser.converted(action, text), f"--{key}")
        if action.nargs == 0:
            action(parser, options, [], f"--{key}")
        decided[f"--{key}"] = _Decided(project.place((*table, key)) if project else "", ",".join(texts))
    return decided


def project_of(options: Namespace) -> Configuration | None:
    """Return the project's file for a command that uses nothing of it but the sets of targets. Raises UsageError."""
    if not hasattr(options, "project"):
        options.project = _project(options)
    found: Configuration | None = options.project
    return found


def _project(options: Namespace) -> Configuration | None:
    path, off = vars(options).get("config") or "", vars(options).get("no_config", False)
    if off:
        return None
    if not path:
        from runworthy.configuration.finding import find

        try:
            found = find(os.getcwd())
        except FileNotFoundError:  # the working directory is gone
            return None
        if found is None:
            return None
        from runworthy.configuration.reading import configuration

        return configuration(found)
    from runworthy.configuration.reading import load

    return load(path)


def _of_project(options: Namespace, actions: Sequence[Action], table: Place) -> Iterator[tuple[Action, str, Value]]:
    """Yield the options that nothing but the file gives, with their keys and values there."""
    project: Configuration | None = options.project
    if project is None:
        return
    held: Mapping[str, Value] = project.floor if table == ("floor",) else project.options
    for action in actions:
        key = next((flag[2:] for flag in action.option_strings if flag[2:] in held and flag.startswith("--")), "")
        if key and not hasattr(options, action.dest) and held[key] is not False:
            yield action, key, held[key]


def _texts(value: Value) -> list[str]:
    """Return a value of the file as the words that would be written after the option."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return [f"{name}={text}" for name, text in value.items()]
    return [str(value)]


def _tell(decided: Mapping[str, _Decided], project: Configuration | None) -> None:
    from runworthy.report.words import clean

    for note in project.notes if project else ():
        print(f"note: {clean(note)}", file=sys.stderr)
    for option, (origin, text) in decided.items():
        told = f"{option} {clean(text)}".rstrip()
        print(f"{told} is taken from {clean(origin)}", file=sys.stderr)


def blame(error: UsageError, decided: Mapping[str, str]) -> None:
    """Add to an error where the option that it speaks of came from."""
    option = error.option or ("--on" if isinstance(error, TargetError) else "")
    told = f"{option} is taken from {decided.get(option, '')}"
    if option in decided and told not in getattr(error, "__notes__", ()):
        error.add_note(told)
