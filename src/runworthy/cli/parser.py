"""The parser of one command: what it takes, for argparse, for ``--help`` and for whoever asks what there is."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from runworthy.cli.terminal import emit, width
from runworthy.model.errors import UsageError

__all__ = ["PROJECT_TABLE", "VARIABLE_PREFIX", "Parser"]

VARIABLE_PREFIX = "RUNWORTHY_"
PROJECT_TABLE = "project_table"
"""A default of a parser: the table of the project's file that stands for options of the command, () for its top."""


class Parser(argparse.ArgumentParser):
    """Reports what it cannot understand as every other error is reported.

    Completion, manual page and defaults by the environment follow from what is declared here: an option's flags, its
    choices, its help and its metavar, which says what kind of word it takes (``runworthy.cli.words``).
    """

    def __init__(self, name: str, usage: str, description: str, epilog: str, below: Sequence[str] = ()) -> None:
        """Make the parser of a command; ``below`` are lines about its sub-commands."""
        super().__init__(
            prog=f"runworthy {name}",
            usage=f"runworthy {name} {usage}",
            description=description,
            epilog=epilog,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self._below = below

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message, hint=f"`{self.prog} --help` lists what it takes")

    def print_help(self, file: Any = None) -> None:  # noqa: ANN401 - what argparse takes
        """Print it as a report is: argparse would not say that it cannot be written."""
        if file is not None:
            super().print_help(file)
        else:
            emit(self.format_help())

    def groups(self) -> Iterator[tuple[str, Sequence[argparse.Action]]]:
        """Yield the title of each group of arguments and what it holds, in the order of ``--help``."""
        for group in self._action_groups:
            actions = group._group_actions  # noqa: SLF001 - argparse has no public list of what was declared
            if actions:
                yield group.title or "", actions

    def declared(self) -> list[argparse.Action]:
        """Return every option and positional argument, ``--help`` too."""
        return [action for _, actions in self.groups() for action in actions]

    def converted(self, action: argparse.Action, text: str) -> str:
        """Return what an option holds when it is given this word. Raises argparse.ArgumentError."""
        value: str = self._get_values(action, [text])
        return value

    def parse(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, dict[str, str]]:
        """Return the options, and where those come from that are not on the command line. Raises UsageError."""
        if not any(name.startswith(VARIABLE_PREFIX) for name in os.environ) and not self._asks_project(arguments):
            return self.parse_args(arguments), {}
        from runworthy.cli.sources import parse_with

        return parse_with(self, arguments)

    def _asks_project(self, arguments: Sequence[str]) -> bool:
        """Whether the command takes options from the project's file, and there is one or a word about it."""
        if self.get_default(PROJECT_TABLE) is None:
            return False
        if any(word.startswith(("--config", "--no-config")) for word in arguments):
            return True
        from runworthy.configuration.finding import find

        try:
            return find(os.getcwd()) is not None
        except FileNotFoundError:  # the working directory is gone
            return False

    def format_help(self) -> str:
        """Return the help, with the sub-commands and the variables that stand for options."""
        from runworthy.cli.environment import named_in_help

        below = "".join(f"  {line}\n" for line in self._below)
        return super().format_help() + (f"\ncommands:\n{below}" if below else "") + named_in_help(self.declared())


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Knows the width by itself: argparse makes a formatter for each option and imports shutil, lzma and bz2 for it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=(width() or _USUAL_WIDTH) - 2)


_USUAL_WIDTH = 80
