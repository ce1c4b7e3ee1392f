"""The table of commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple, NoReturn, Protocol, cast

from runworthy.model.errors import UsageError

__all__ = ["COMMANDS", "Command", "Parser", "find", "overview"]


class CommandModule(Protocol):
    """What the module of a command offers."""

    USAGE: str
    DESCRIPTION: str
    EPILOG: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


class Command(NamedTuple):
    """A command and where it is: the module ``cli.<module>``."""

    name: str
    module: str
    summary: str

    def parser(self) -> Parser:
        """Return the parser of this command alone."""
        module = self._load()
        parser = Parser(
            prog=f"runworthy {self.name}",
            usage=f"runworthy {self.name} {module.USAGE}",
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(parser)
        return parser

    @property
    def run(self) -> Callable[[argparse.Namespace], int]:
        """What does the work and returns the exit code."""
        return self._load().run

    def _load(self) -> CommandModule:
        return cast("CommandModule", import_module(f"runworthy.cli.{self.module}"))


COMMANDS = (
    Command("check", "check", "will these ELF files run there, and if not, why"),
    Command("inspect", "inspect_files", "what the bytes of an ELF file say, without opinion"),
    Command("explain", "explain", "what a finding means, why it happens, what helps"),
    Command("targets", "targets", "the targets that have a name; `targets show NAME` tells one"),
)


class Parser(argparse.ArgumentParser):
    """Reports what it cannot understand as every other error is reported."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message, hint=f"`{self.prog} --help` lists what it takes")


def find(name: str) -> Command:
    """Return the command of this name. Raises UsageError, with the nearest name."""
    for command in COMMANDS:
        if command.name == name:
            return command
    if name.startswith("-"):
        raise UsageError(f"{name} stands before the command", hint="write it as in `runworthy check FILE --on TARGET`")
    from difflib import get_close_matches

    near = get_close_matches(name, [command.name for command in COMMANDS], n=1)
    hint = f"did you mean `runworthy {near[0]}`?" if near else "`runworthy --help` lists the commands"
    raise UsageError(f"there is no command `{name}`", hint=hint)


def overview() -> str:
    """Return what `runworthy --help` prints."""
    width = max(len(command.name) for command in COMMANDS)
    rows = "\n".join(f"  {command.name.ljust(width)}  {command.summary}" for command in COMMANDS)
    return f"""\
usage: runworthy COMMAND ...

Will this software run there, and if not, why?

{rows}

  runworthy check ./app                                on this machine
  runworthy check ./app --on alpine:3.20 --on debian:12/arm64
  runworthy COMMAND --help                             what a command takes

  -h, --help     this text
  -V, --version  the version

exit codes: 0 everything runs, 1 something fails, 2 usage or internal error, 3 no subject found, 4 cannot tell
"""
