"""What kind of word an argument takes: read off its choices, else off its metavar.

Completion and manual page ask here; a new option with a metavar of this table needs nothing else.
"""

from __future__ import annotations

from argparse import Action
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

__all__ = ["Takes", "help_of", "metavar_of", "takes", "target_names"]

Kind = Literal["words", "files", "directories", "targets", "anything"]


class Takes(NamedTuple):
    """The kind of word, and for ``words`` which there are, each with what it means, where that needs saying."""

    kind: Kind
    words: tuple[tuple[str, str], ...] = ()


def takes(action: Action) -> Takes:
    """Return what an option or a positional argument takes. An unknown positional one is taken for files."""
    if action.choices is not None:
        return Takes("words", tuple((str(choice), "") for choice in action.choices))
    words = _WORDS.get(metavar_of(action))
    if words is not None:
        return Takes("words", tuple(words()))
    return Takes(_KINDS.get(metavar_of(action), "anything" if action.option_strings else "files"))


def metavar_of(action: Action) -> str:
    """Return what stands for the value in the usage line; empty for a switch."""
    if action.nargs == 0:
        return ""
    return action.metavar if isinstance(action.metavar, str) else action.dest.upper()


def help_of(action: Action) -> str:
    """Return the help as it is printed."""
    return (action.help or "").replace("%%", "%")


def target_names() -> Mapping[str, tuple[str, ...]]:
    """Return the names of the catalogue, and the architectures that each can have after a slash."""
    from runworthy.targets.catalogue import open_catalogue

    catalogue = open_catalogue()
    return {name: tuple(arch.name for arch in catalogue.architectures(name)) for name in catalogue.names()}


def _architectures() -> Iterator[tuple[str, str]]:
    from runworthy.model.arch import ARCHITECTURES

    for row in ARCHITECTURES:
        yield row.name, row.docker
        yield row.docker, row.name


def _levels() -> Iterator[tuple[str, str]]:
    from runworthy.model.arch import X86_64_LEVELS

    return ((name, "") for name in X86_64_LEVELS)


def _page_sizes() -> Iterator[tuple[str, str]]:
    from runworthy.model.arch import ARCHITECTURES

    sizes = sorted({size for row in ARCHITECTURES for size in row.page_sizes})
    return ((f"{size >> 10}k", "") for size in sizes)


def _variables() -> Iterator[tuple[str, str]]:
    from runworthy.library.asking import ENVIRONMENT

    return ((f"{name}=", "") for name in ENVIRONMENT)


def _entries() -> Iterator[tuple[str, str]]:
    from runworthy.library import history

    return ((entry.id, entry.title) for entry in history())


def _rules() -> Iterator[tuple[str, str]]:
    from runworthy.library import list_rules

    return ((rule.code, rule.name) for rule in list_rules())


def _callers() -> Iterator[tuple[str, str]]:
    from runworthy.simulate.execve.callers import CALLERS, GROUPS

    return ((name, "") for name in dict.fromkeys((*GROUPS, *CALLERS)))


def _families() -> Iterator[tuple[str, str]]:
    from runworthy.library import list_targets

    return ((family, "") for family in sorted({target.family for target in list_targets()}))


_WORDS: Mapping[str, Callable[[], Iterator[tuple[str, str]]]] = {
    "ARCH": _architectures,
    "CALLER": _callers,
    "CODE|NAME": _rules,
    "ID": _entries,
    "LEVEL": _levels,
    "NAME=VALUE": _variables,
    "SIZE": _page_sizes,
    "WORD": _families,
}
_KINDS: Mapping[str, Kind] = {
    "DIR": "directories",
    "host|DIR": "directories",
    "FILE": "files",
    "NAME": "targets",
    "PATH": "files",
    "PROGRAM": "files",
    "TARGET": "targets",
    "WHAT": "files",
}
