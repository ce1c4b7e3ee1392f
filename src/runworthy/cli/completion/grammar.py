"""What can be written after ``runworthy``: every command with what it takes, out of its declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runworthy import __version__
from runworthy.cli.commands import COMMANDS, Command, walk
from runworthy.cli.words import Takes, help_of, metavar_of, takes, target_names
from runworthy.model.arch import architecture
from runworthy.model.records import dataclass
from runworthy.targets.catalogue.sets import SETS

__all__ = ["Argument", "Grammar", "Spec", "grammar"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An option with its ``flags``, or a positional argument without any. ``takes`` is None for a switch.

    ``many``: it may be given again.
    """

    flags: tuple[str, ...]
    metavar: str
    help: str
    takes: Takes | None
    many: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A command, or a sub-command by its whole name."""

    name: str
    summary: str
    options: tuple[Argument, ...]
    positionals: tuple[Argument, ...]
    commands: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """All commands, sub-commands after theirs, and the names of targets by the architectures that they can have."""

    version: str
    commands: tuple[tuple[str, str], ...]
    specs: tuple[Spec, ...]
    names: tuple[str, ...]
    architectures: Mapping[tuple[str, ...], tuple[str, ...]]


def grammar() -> Grammar:
    """Return what the commands have declared, and the names of the catalogue."""
    by_architectures: dict[tuple[str, ...], list[str]] = {}
    names = target_names()
    for name, architectures in names.items():
        by_architectures.setdefault(_spellings(architectures), []).append(name)
    return Grammar(
        version=__version__,
        commands=_words(COMMANDS),
        specs=tuple(map(_spec, walk(COMMANDS))),
        names=("host", *(f"@{name}" for name in SETS), *names),
        architectures={architectures: tuple(held) for architectures, held in by_architectures.items()},
    )


def _words(commands: Iterable[Command]) -> tuple[tuple[str, str], ...]:
    return tuple((command.word, command.summary) for command in commands)


def _spec(command: Command) -> Spec:
    declared = [
        Argument(
            flags=tuple(action.option_strings),
            metavar=metavar_of(action),
            help=help_of(action),
            takes=None if action.nargs == 0 else takes(action),
            many=action.nargs in ("*", "+") or type(action).__name__ in ("_AppendAction", "_CountAction"),
        )
        for action in command.parser().declared()
    ]
    return Spec(
        name=command.name,
        summary=command.summary,
        options=tuple(one for one in declared if one.flags),
        positionals=tuple(one for one in declared if not one.flags),
        commands=_words(command.commands()),
    )


def _spellings(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the architectures, and what Docker calls them where that is one word."""
    rows = (row for name in names if (row := architecture(name)))
    return tuple(dict.fromkeys([*names, *(word for row in rows if "/" not in (word := row.docker[6:]))]))
