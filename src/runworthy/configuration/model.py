"""A project's file, read and understood."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from runworthy.model.records import dataclass, field
from runworthy.model.waiver import Waiver

__all__ = ["Check", "Configuration", "Place", "Value"]

Value = str | bool | int | tuple[str, ...] | Mapping[str, str]
"""What a key of the file holds; one text where several may stand is a tuple of one."""

Place = tuple[str | int, ...]
"""Where something is written: names of tables and keys, numbers of the elements of arrays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to check: subjects, and what is stated about them by the names of the options, without the dashes.

    ``place`` is the table in which it stands, empty for the top of the file.
    """

    subjects: tuple[str, ...]
    options: Mapping[str, Value]
    place: Place = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What one file says.

    ``path`` is the file, ``directory`` the one that its paths begin at, both absolute; ``name`` is the file as it is
    shown. ``options`` stand at its top; ``checks`` is what a check without arguments does, with these options where
    they have none of their own. ``sets`` are the named lists of targets. ``lines`` are the lines of what is written.
    ``notes`` are facts about the file that a person may want to know.
    """

    path: str
    directory: str
    name: str
    options: Mapping[str, Value] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    floor: Mapping[str, Value] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    lines: Mapping[Place, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def line(self, place: Place) -> int:
        """Return the line of something that is written, of what it stands in where it has none; 0 for none."""
        for end in range(len(place), 0, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return 0

    def place(self, place: Place) -> str:
        """Return where something is written, in words: ``runworthy.toml line 3``."""
        line = self.line(place)
        return f"{self.name} line {line}" if line else self.name

    def subjects(self) -> Iterator[str]:
        """Yield every path and pattern of every check."""
        for check in self.checks:
            yield from check.subjects

    def at(self, path: str) -> str:
        """Return a path of the file as an absolute one."""
        return posixpath.normpath(posixpath.join(self.directory, path))
