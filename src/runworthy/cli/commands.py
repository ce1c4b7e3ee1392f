"""The table of commands.

A command is a row here and a module: ``USAGE``, ``DESCRIPTION``, ``EPILOG``, ``add_arguments`` and ``run``. A module
that has ``COMMANDS`` of its own has sub-commands, which are the same once more (``targets show``). One that has
``run_at_once`` is given arguments that begin with ``--`` before they are parsed. Help, completion,
manual page and defaults by the environment follow from these declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from runworthy.model.errors import UsageError

TYPE_CHECKING = False  # importing typing would be half of what a command costs that needs nothing else
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from runworthy.cli.parser import Parser

__all__ = ["COMMANDS", "EXIT_CODES", "EXIT_CODES_TOLD", "Command", "find", "overview", "walk"]


if TYPE_CHECKING:
    from typing import Protocol

    class CommandModule(Protocol):
        """What the module of a command offers."""

        USAGE: str
        DESCRIPTION: str
        EPILOG: str
        add_arguments: Callable[[ArgumentParser], None]
        run: Callable[[Namespace], int]

    AtOnce = Callable[[Sequence[str], Callable[[Sequence[str]], Namespace]], int]


class Command:
    """A command and where it is: the module ``cli.<module>``. The name of a sub-command has the command's before it."""

    __slots__ = ("module", "name", "summary")

    def __init__(self, name: str, module: str, summary: str) -> None:
        self.name = name
        self.module = module
        self.summary = summary

    @property
    def word(self) -> str:
        """The word that is written for it, after the command's where it is a sub-command."""
        return self.name.rpartition(" ")[2]

    def load(self) -> CommandModule:
        """Import the module."""
        from importlib import import_module

        return import_module(f"runworthy.cli.{self.module}")

    def parser(self) -> Parser:
        """Return the parser of what the command takes; its sub-commands have parsers of their own."""
        from runworthy.cli.parser import Parser

        module = self.load()
        below = [f"{command.name}  {command.summary}" for command in self.commands()]
        parser = Parser(self.name, module.USAGE, module.DESCRIPTION, module.EPILOG, below)
        module.add_arguments(parser)
        return parser

    def commands(self) -> tuple[Command, ...]:
        """Return the sub-commands."""
        return getattr(self.load(), "COMMANDS", ())

    def run(self, arguments: list[str]) -> int:
        """Parse the arguments, do the work, and return the exit code. Raises UsageError."""
        for command in self.commands():
            if arguments[:1] == [command.word]:
                return command.run(arguments[1:])
        at_once: AtOnce | None = getattr(self.load(), "run_at_once", None)
        if at_once is not None and arguments[:1] == ["--"]:
            return at_once(arguments, lambda words: self.parser().parse(words)[0])
        options, decided = self.parser().parse(arguments)
        try:
            return self.load().run(options)
        except UsageError as error:
            if decided:
                from runworthy.cli.sources import blame

                blame(error, decided)
            raise


COMMANDS = (
    Command("check", "check", "will these files run there, and if not, why"),
    Command("diff", "diff", "what a new build needs that the old one did not, and where it no longer runs"),
    Command("fix", "fix", "what makes them run: proposed, proved, and carried out when told to"),
    Command("floor", "floor", "the oldest C library, kernel, CPU and targets they can run on, and why"),
    Command("matrix", "matrix", "which asset of a release serves which target, and what nothing serves"),
    Command("dedupe", "dedupe", "files that are stored again across environments, why, and what sharing gives back"),
    Command("inspect", "inspect_files", "what the bytes of a file say, without opinion"),
    Command("run", "run", "start a command as it is; where it does not start, why, and what helps"),
    Command("measure", "measure", "what it costs to start a program, through its handler and natively"),
    Command("undo", "undo", "take back what a remedy did"),
    Command("history", "history", "what was changed, when, and what was taken back"),
    Command("recover", "recover", "after a kill or a power cut: take back, or end, what was cut off"),
    Command("explain", "explain", "what a finding means, why it happens, what helps"),
    Command("snapshot", "snapshot", "capture a machine or a root into one file, to check against it elsewhere"),
    Command("targets", "targets", "the targets that have a name; `targets show NAME` tells one"),
    Command("config", "config", "what the project's file says; `--schema` for editors"),
    Command("cache", "cache", "what is kept between runs; `cache clear` removes it"),
    Command("completion", "completion", "a script that completes all this in bash, zsh or fish"),
    Command("man", "manual", "the manual page"),
)


EXIT_CODES = (
    (0, "everything runs"),
    (1, "something fails"),
    (2, "usage or internal error"),
    (3, "no subject found"),
    (4, "cannot tell"),
)
"""What commands that judge end with (DESIGN section 5)."""

EXIT_CODES_TOLD = f"exit codes: {', '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES)}\n"


def walk(commands: Iterable[Command]) -> Iterator[Command]:
    """Yield commands, the sub-commands of each after it."""
    for command in commands:
        yield command
        yield from walk(command.commands())


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

{EXIT_CODES_TOLD}environment: RUNWORTHY_ON, RUNWORTHY_FORMAT and others stand for options; `runworthy man` tells of all
"""
