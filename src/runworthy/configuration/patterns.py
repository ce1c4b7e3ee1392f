"""Patterns of names: ``*``, ``?`` and ``[...]`` stay within one part, ``**`` is any number of parts.

A pattern of a directory or an archive is of all that is in it, and one of a single part is of that name at any place:
``build``, ``dist/*.whl``, ``dist/a.whl!pkg/**/*.so``, ``*.so``. Targets have parts too: ``debian:12`` is of
``debian:12/x86_64``, and so is ``x86_64``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import translate
from functools import lru_cache

from runworthy.model.errors import UsageError

__all__ = ["covers", "expand", "is_pattern"]

_MAGIC = re.compile(r"[*?[]")
_MOST_ENTRIES = 2_000_000
_ANY = "**"


def is_pattern(text: str) -> bool:
    """Whether it stands for names other than itself."""
    return _MAGIC.search(text) is not None


def covers(pattern: str, name: str) -> bool:
    """Whether a name, or something that it lies in, is what the pattern says."""
    wanted = _wanted(pattern)
    end = len(wanted)
    states = _after({0}, wanted)
    for part in _parts(name):
        if end in states:
            return True
        here = {state for state in states if wanted[state] is None}
        there = {state + 1 for state in states if (one := wanted[state]) is not None and one.match(part)}
        states = _after(here | there, wanted)
    return end in states


def _after(states: set[int], wanted: tuple[re.Pattern[str] | None, ...]) -> set[int]:
    """Return the states with those that are reached without a part."""
    found = set(states)
    for state in range(len(wanted)):
        if state in found and wanted[state] is None:
            found.add(state + 1)
    return found


@lru_cache(maxsize=1024)
def _wanted(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """Return what each part has to match, None for any number of parts."""
    parts = _parts(pattern)
    if len(parts) == 1 and not pattern.startswith(("/", "./")) and parts != [_ANY]:
        parts = [_ANY, *parts]
    return tuple(None if part == _ANY else re.compile(translate(part)) for part in parts)


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[/!]", name) if part not in ("", ".")]


def expand(pattern: str, directory: str) -> list[str]:
    """Return the paths below a directory that are what a pattern says, sorted; the pattern where it is none.

    As in a shell, what begins with a dot is only matched by a dot; links are matched, and ``**`` does not go through
    them. Raises UsageError where there is too much to look at.
    """
    if not is_pattern(pattern):
        return [pattern]
    first = "/" if pattern.startswith("/") else ""
    budget = iter(range(_MOST_ENTRIES))
    found = _below(directory, first, [part for part in pattern.split("/") if part not in ("", ".")], budget)
    return list(dict.fromkeys(found))


def _below(directory: str, path: str, parts: list[str], budget: Iterator[int]) -> Iterator[str]:
    """Yield the paths that match the parts, from a path that matches what stood before them."""
    if not parts:
        yield path
        return
    part, *rest = parts
    if part == _ANY and not rest:  # a directory is all that is in it
        yield path.rstrip("/") or (path and "/") or "."
    elif part == _ANY:
        yield from _below(directory, path, rest, budget)
        for name, is_directory in _entries(os.path.join(directory, path), budget):
            if is_directory and not name.startswith("."):
                yield from _below(directory, f"{path}{name}/", parts, budget)
    elif is_pattern(part):
        matches = re.compile(translate(part)).match
        for name, _ in _entries(os.path.join(directory, path), budget):
            if matches(name) and (not name.startswith(".") or part.startswith(".")):
                yield from _onward(directory, f"{path}{name}", rest, budget)
    elif os.path.lexists(os.path.join(directory, path, part)):
        yield from _onward(directory, f"{path}{part}", rest, budget)


def _onward(directory: str, path: str, rest: list[str], budget: Iterator[int]) -> Iterator[str]:
    if not rest:
        yield path
    elif os.path.isdir(os.path.join(directory, path)):
        yield from _below(directory, f"{path}/", rest, budget)


def _entries(directory: str, budget: Iterator[int]) -> list[tuple[str, bool]]:
    """Return the names in a directory, sorted, each with whether it is a directory itself and no link to one."""
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if next(budget, None) is None:
                    raise UsageError(f"more than {_MOST_ENTRIES} files lie where a pattern of the subjects looks")
                found.append((entry.name, entry.is_dir(follow_symlinks=False)))
    except OSError:
        return []
    return sorted(found)
