"""What a journal may hold: others than this program could have written it, and what it tells is done.

A record is taken where each field is of its kind and possible, and a line of the log where it names nothing that this
program would not have named.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from runworthy.model.records import replace
from runworthy.remedies.journal.records import (
    SCHEMA,
    UNFINISHED,
    Change,
    Entry,
    FileChange,
    Held,
    KernelChange,
    ProgramChange,
    ShareChange,
    TouchedDirectory,
)

__all__ = ["entry_from", "line_from"]

_CHANGES: Mapping[str, type] = {
    "file": FileChange,
    "kernel": KernelChange,
    "program": ProgramChange,
    "share": ShareChange,
}
_HELD = {"before": Held, "after": Held}
_NESTED: Mapping[str, Mapping[str, type]] = {"FileChange": _HELD, "ShareChange": _HELD}
_STATES = {"Entry": (*UNFINISHED, "applied", "rolled-back", "undone"), "Change": ("begun", "done", "undone")}


def entry_from(name: str, held: Any) -> Entry:  # noqa: ANN401 - what JSON may hold
    """Return an entry from JSON. Raises ValueError, TypeError and KeyError for what is none."""
    if not isinstance(held, dict) or held.pop("schema", None) != SCHEMA:
        raise ValueError("it is not of this version")
    changes = tuple(_change(one) for one in held.pop("changes", ()))
    directories = tuple(_record(TouchedDirectory, one) for one in held.pop("directories", ()))
    entry: Entry = replace(_record(Entry, held), changes=changes, directories=directories)
    if entry.id != name or entry.state not in _STATES["Entry"] or not re.fullmatch(r"[0-9a-f]{16}", entry.token):
        raise ValueError("it is damaged")
    return entry


def line_from(held: Any, token: str) -> ShareChange | TouchedDirectory:  # noqa: ANN401 - what JSON may hold
    """Return what a line of a log tells, from JSON. Raises ValueError, TypeError and KeyError for what is none."""
    if not isinstance(held, dict):
        raise ValueError("its log is damaged")  # noqa: TRY004 - as for all else that is damaged
    if "kind" not in held:
        directory: TouchedDirectory = _record(TouchedDirectory, held)
        return directory
    change = _change(held)
    if not isinstance(change, ShareChange) or not _is_sound(change, token):
        raise ValueError("its log is damaged")
    return change


_IN_PLACE, _PUT_THERE = frozenset({"extents", "ranges"}), frozenset({"clone", "hardlink", "symlink"})
_SET_ID = 0o6000


def _is_sound(change: ShareChange, token: str) -> bool:
    """Whether a line can be one of ours: others would have us write where they like, or make what they like."""
    if change.base != "/" or not all(_is_plain(one) for one in (change.path, change.kept)):
        return False
    if change.how in _IN_PLACE:
        return not change.temporary
    ours = change.temporary == f".runworthy-{token}-{change.number}.tmp"
    return ours and change.how in _PUT_THERE and change.before.kind == "file" and not change.before.mode & _SET_ID


def _is_plain(path: str) -> bool:
    return path.startswith("/") and not path.startswith("//") and posixpath.normpath(path) == path


def _change(held: dict[str, Any]) -> Change:
    made: Change = _record(_CHANGES[held["kind"]], held)
    if made.state not in _STATES["Change"]:
        raise ValueError("it is damaged")
    return made


def _record(cls: type, held: dict[str, Any]) -> Any:  # noqa: ANN401 - an instance of cls
    """Return a record whose fields are of the kinds that they are by default. Raises ValueError, TypeError."""
    if not isinstance(held, dict):
        raise TypeError("it is damaged")
    nested = _NESTED.get(cls.__name__, {})
    made = cls(**{key: _record(nested[key], one) if key in nested else _tuples(one) for key, one in held.items()})
    for key in made.__slots__:
        wanted = _KINDS.get(cls.__annotations__[key].partition("[")[0])
        value = getattr(made, key)
        if wanted is not None and (type(value) is not wanted or not _is_possible(key, value)):
            raise ValueError(f"its {key} is damaged")
    return made


_TIME = 10**27
"""More nanoseconds than any file system counts, and fewer than seconds in 64 bits hold."""
_NUMBERS: Mapping[str, tuple[int, int]] = {
    "mode": (0, 0o7777),
    "uid": (0, 2**32 - 2),
    "gid": (0, 2**32 - 2),
    "atime": (-_TIME, _TIME),
    "mtime": (-_TIME, _TIME),
    "after": (-_TIME, _TIME),
    "size": (0, 2**63 - 1),
}
_PATHS = frozenset({"base", "path", "kept", "text"})


def _is_possible(key: str, value: Any) -> bool:  # noqa: ANN401 - what JSON may hold
    """Whether the system takes such a value, which has the right type, for what it is."""
    if key == "told":
        return len(value) in (0, 5) and all(type(one) is int and 0 <= one < 2**32 for one in value)
    if key == "xattrs":
        return all(_is_attribute(one) for one in value)
    if key in _PATHS:
        os.fsencode(value)
        return "\0" not in value
    if type(value) is not int or key not in _NUMBERS:  # what programs and kernels did has an ``after`` that is no time
        return True
    low, high = _NUMBERS[key]
    return bool(low <= value <= high)


def _is_attribute(pair: Any) -> bool:  # noqa: ANN401 - what JSON may hold
    if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
        return False
    return _BASE64.fullmatch(pair[1]) is not None and bool(pair[0]) and "\0" not in pair[0]


_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


_KINDS: Mapping[str, type] = {"str": str, "int": int, "bool": bool, "tuple": tuple, "Literal": str}


def _tuples(value: Any) -> Any:  # noqa: ANN401 - what JSON may hold
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
