"""What a project's file asks to be checked: which subjects, with which options, as paths of the working directory."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from runworthy.configuration import patterns
from runworthy.configuration.keys import OPTIONS
from runworthy.configuration.model import Check, Configuration, Place, Value
from runworthy.model.errors import TargetError, UsageError
from runworthy.model.records import dataclass
from runworthy.targets.names import expand

__all__ = ["Part", "argument", "blame", "named_sets", "own_options", "parts", "shown"]

_OF_PATHS = ("rootfs:", "snapshot:", "oci:", "oci-archive:", "docker-archive:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Subjects with the same targets and options; these are arguments, those of the file and those that are stated.

    ``origins`` are the places in the file of those that are its own, by the names of the options.
    """

    subjects: list[str]
    targets: list[str]
    options: dict[str, object]
    origins: Mapping[str, Place]


def argument(key: str) -> str:
    """Return the name of the argument that a key of the file stands for, as ``page_size``."""
    return "with_" if key == "with" else key.replace("-", "_")


def own_options(configuration: Configuration) -> dict[str, Value]:
    """Return what the top of a file states about all subjects."""
    known = {key.name for key in OPTIONS}
    return {name: value for name, value in configuration.options.items() if name in known}


def parts(configuration: Configuration, subjects: Sequence[str], stated: Mapping[str, object]) -> Iterator[Part]:
    """Yield what is to be checked: the file's subjects, or those that are named; what is stated comes before the file.

    Subjects that are named have the options of the first `[[check]]` that is of them.
    """
    if not subjects:
        for check in configuration.checks:
            found = [path for pattern in check.subjects for path in _paths(configuration, pattern)]
            yield _part(configuration, check, [shown(configuration, path) for path in found], stated)
        return
    rest = Check(subjects=(), options=own_options(configuration))
    groups: dict[Place, tuple[Check, list[str]]] = {}
    for name in subjects:
        check = _check_of(configuration, name) or rest
        groups.setdefault(check.place, (check, []))[1].append(name)
    for check, names in groups.values():
        yield _part(configuration, check, names, stated)


def _paths(configuration: Configuration, pattern: str) -> list[str]:
    """Return the paths that a pattern comes to; where there are none, itself, as a subject that is not there."""
    return patterns.expand(pattern, configuration.directory) or [pattern]


def _check_of(configuration: Configuration, name: str) -> Check | None:
    path = os.path.relpath(os.path.abspath(name), configuration.directory).replace(os.sep, "/")
    tables = [check for check in configuration.checks if check.place]
    return next((one for one in tables if any(patterns.covers(pattern, path) for pattern in one.subjects)), None)


def _part(configuration: Configuration, check: Check, names: list[str], stated: Mapping[str, object]) -> Part:
    options: dict[str, object] = {}
    origins: dict[str, Place] = {}
    for name, value in check.options.items():
        if argument(name) in stated:
            continue
        options[argument(name)] = _from_here(configuration, name, value)
        own = (*check.place, name)
        origins[name] = own if own in configuration.lines or not check.place else (name,)
    options |= stated
    targets = expand(_texts(options.pop("on", ())), named_sets(configuration))
    return Part(subjects=list(dict.fromkeys(names)), targets=targets, options=options, origins=origins)


def named_sets(configuration: Configuration) -> dict[str, list[str]]:
    """Return the sets of the file, directories in them as paths of the working directory."""
    return {name: [_target(configuration, one) for one in held] for name, held in configuration.sets.items()}


def shown(configuration: Configuration, path: str) -> str:
    """Return a path of the file as one of the working directory."""
    try:
        base = os.path.relpath(configuration.directory).replace(os.sep, "/")
    except (OSError, ValueError):
        base = configuration.directory
    return path if base == "." else posixpath.join(base, path.removeprefix("./"))


def _from_here(configuration: Configuration, name: str, value: Value) -> Value:
    """Return an option's value with its paths as those of the working directory."""
    if isinstance(value, tuple) and name == "on":
        return tuple(_target(configuration, one) for one in value)
    if isinstance(value, tuple) and name == "with":
        return tuple(shown(configuration, one) for one in value)
    return value


def _target(configuration: Configuration, name: str) -> str:
    prefix = next((prefix for prefix in _OF_PATHS if name.startswith(prefix)), "")
    path = name.removeprefix(prefix)
    near = name.startswith(".") or name.endswith(".runworthy")
    if prefix or near or (os.sep in path and os.path.isdir(configuration.at(path))):
        moved = shown(configuration, path)
        return prefix + (moved if prefix or moved.startswith((".", "/")) else f"./{moved}")
    return name


def _texts(value: object) -> list[str]:
    """Return one target, or each of several, as texts; commas stand between targets as on the command line."""
    held = [value] if isinstance(value, (str, os.PathLike)) else list(value) if isinstance(value, (list, tuple)) else []
    texts = [os.fspath(one) for one in held]
    return [part for text in texts for part in (text.split(",") if "@" in text else [text])]


@contextmanager
def blame(configuration: Configuration, part: Part) -> Iterator[None]:
    """Add to an error where in the file the option stands that it speaks of, and which sets there are."""
    try:
        yield
    except UsageError as error:
        option = (error.option or ("--on" if isinstance(error, TargetError) else "")).removeprefix("--")
        if option in part.origins:
            error.add_note(f"--{option} is taken from {configuration.place(part.origins[option])}")
        if option == "on" and "@" in str(error) and configuration.sets:
            error.add_note(f"{configuration.name} has the sets {', '.join(f'@{name}' for name in configuration.sets)}")
        raise
