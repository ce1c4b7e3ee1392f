"""A project's file into a configuration: every mistake in it with its line, and the word that was meant."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from runworthy.configuration.finding import OWN, SHARED, Found, find, read, shown
from runworthy.configuration.keys import OPTIONS, SET_NAME, TOP, VARIABLE, Holds, Key
from runworthy.configuration.model import Check, Configuration, Place, Value
from runworthy.configuration.toml import lines, parse
from runworthy.model.errors import UsageError
from runworthy.model.waiver import NEVER, Waiver

__all__ = ["configuration", "load", "problems"]

_MOST_TOLD = 8
_EXIT = ("fail-on", "strict", "max-fails", "max-unknown", "max-risky")
_TABLES = ("subjects", "targets", "check", "floor", "waiver")
_LISTS = frozenset(key.name for key in OPTIONS if key.holds == "texts")
_TOOL: Place = ("tool", "runworthy")


class _Problem(NamedTuple):
    """A mistake, and what would be right. ``place`` is where it is."""

    place: Place
    text: str
    hint: str = ""


def load(path: str = "", directory: str = "") -> Configuration | None:
    """Return what a file says: the one at ``path``, else the one that is found from ``directory`` (the working one).

    None where none is found. Raises UsageError for a file that cannot be read or understood.
    """
    if path:
        path = os.path.abspath(os.path.expanduser(path))
        return configuration(Found(path=path, data=read(path)))
    try:
        found = find(os.path.abspath(directory or os.curdir))
    except FileNotFoundError:  # the working directory is gone
        return None
    return configuration(found) if found else None


def configuration(found: Found) -> Configuration:
    """Return what the bytes of a file say. Raises UsageError, with every mistake that was found."""
    name = shown(found.path)
    document: object = parse(found.data, name)
    prefix = _TOOL if os.path.basename(found.path) == SHARED else ()
    for part in prefix:
        document = document.get(part, {}) if isinstance(document, dict) else {}
    where = lines(found.data.decode())
    own = {place[len(prefix) :]: line for place, line in where.items() if place[: len(prefix)] == prefix}
    empty = Configuration(path=found.path, directory=os.path.dirname(found.path), name=name, lines=own)
    mistakes = list(problems(document))
    if mistakes:
        _refuse(empty, mistakes)
    return _understood(empty, document if isinstance(document, dict) else {}, found.beside)


def _refuse(empty: Configuration, mistakes: Sequence[_Problem]) -> None:
    first, *others = mistakes
    error = UsageError(f"{empty.place(first.place)}: {first.text}", hint=first.hint, option="--config")
    for other in others[:_MOST_TOLD]:
        error.add_note(f"{empty.place(other.place)}: {other.text}{f' ({other.hint})' if other.hint else ''}")
    if others[_MOST_TOLD:]:
        error.add_note(f"and {len(others) - _MOST_TOLD} more like these")
    raise error


# -- what may be written -----------------------------------------------------------------------


def problems(document: object) -> Iterator[_Problem]:
    """Yield every mistake in a file, as it was parsed."""
    yield from _in_table(document, TOP, ())


def _in_table(held: object, keys: tuple[Key, ...], place: Place) -> Iterator[_Problem]:
    if not isinstance(held, dict):
        yield _wrong(place, held, "a table")
        return
    known = {key.name: key for key in keys}
    for name, value in held.items():
        if name in known:
            yield from _in_value(value, known[name], (*place, name))
        else:
            yield _unknown(name, tuple(known), (*place, name))
    for key in keys:
        if key.needed and key.name not in held:
            yield _Problem(place, f"{_called(place)} has no `{key.name}`", f"it says {key.about}")


def _in_value(value: object, key: Key, place: Place) -> Iterator[_Problem]:
    if key.holds == "tables":
        if not isinstance(value, list):
            yield _wrong(place, value, "an array of tables", f"write it as [[{key.name}]]")
            return
        for number, one in enumerate(value):
            yield from _in_table(one, key.keys, (*place, number))
    elif key.holds == "table":
        yield from _in_table(value, key.keys, place)
    elif key.holds in ("sets", "variables"):
        yield from _in_named(value, key, place)
    else:
        fits, what = _SCALARS[key.holds]
        if not fits(value):
            hint = _in_quotes(value, place) if "text" in what and not isinstance(value, (str, list)) else ""
            yield _wrong(place, value, what, hint)
        elif key.choices and value not in key.choices:
            yield _Problem(place, f"`{key.name}` is {_words(value)}", f"it can be {_listed(key.choices)}")


def _in_named(value: object, key: Key, place: Place) -> Iterator[_Problem]:
    """Yield the mistakes of a table whose keys are names of people's choice."""
    if not isinstance(value, dict):
        yield _wrong(place, value, "a table")
        return
    sets = key.holds == "sets"
    for name, held in value.items():
        if not re.fullmatch(SET_NAME if sets else VARIABLE, name):
            yield _Problem((*place, name), f"`{name}` is no name for {'a set' if sets else 'a variable'}")
        elif sets and not _is_texts(held):
            yield _wrong((*place, name), held, "a text or a list of texts")
        elif not sets and not isinstance(held, str):
            yield _wrong((*place, name), held, "a text", _in_quotes(held, (*place, name)))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_texts(value: object) -> bool:
    return _is_text(value) or (isinstance(value, list) and bool(value) and all(map(_is_text, value)))


def _is_number(value: object) -> bool:
    if isinstance(value, float):  # as JSON Schema has it: 3.0 is whole
        return value.is_integer() and value >= 0
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_day(value: object) -> bool:
    if isinstance(value, str):
        if value == NEVER:
            return True
        try:
            return dt.date.fromisoformat(value).isoformat() == value
        except ValueError:
            return False
    return isinstance(value, dt.date) and not isinstance(value, dt.datetime)


_SCALARS: Mapping[Holds, tuple[Callable[[object], bool], str]] = {
    "text": (_is_text, "a text"),
    "texts": (_is_texts, "a text or a list of texts"),
    "flag": (lambda value: isinstance(value, bool), "true or false"),
    "number": (_is_number, "a whole number that is not below 0"),
    "day": (_is_day, f"a day as 2027-01-31, or `{NEVER}`"),
}


def _wrong(place: Place, value: object, wanted: str, hint: str = "") -> _Problem:
    article, _, what = wanted.partition(" ")
    not_so = f"no {what}" if article in ("a", "an") else f"not {wanted}"
    return _Problem(place, f"{_called(place)} is {_words(value)}, and {not_so}", hint)


def _unknown(name: str, known: tuple[str, ...], place: Place) -> _Problem:
    from difflib import get_close_matches

    near = get_close_matches(name.replace("_", "-"), known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are {_listed(known)}"
    inside = f" in {_called(place[:-1])}" if place[:-1] else ""
    return _Problem(place, f"there is no key `{name}`{inside}", hint)


def _called(place: Place) -> str:
    """Return a table or key as people write it."""
    if not place:
        return "the file"
    if isinstance(place[-1], int):
        return f"[[{place[-2]}]]"
    return f"`{place[-1]}`"


def _words(value: object) -> str:
    """Return a value as it may be told: never more of it than a line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an empty list" if not value else "a list"
    text = f"`{value}`" if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _in_quotes(value: object, place: Place) -> str:
    if isinstance(value, (bool, dict, list)):
        return ""
    return f'write it in quotes: {place[-1]} = "{value}"'


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


# -- what it says ------------------------------------------------------------------------------


def _understood(empty: Configuration, document: Mapping[str, object], beside: str) -> Configuration:
    from runworthy.model.records import replace

    top = {name: _value(name, value) for name, value in document.items() if name not in _TABLES}
    options = {name: value for name, value in top.items() if name not in _EXIT}
    checks = [Check(subjects=_texts(document["subjects"]), options=options)] if "subjects" in document else []
    for number, table in enumerate(_tables(document, "check")):
        own = {name: _value(name, value) for name, value in table.items() if name != "subjects"}
        checks.append(Check(subjects=_texts(table["subjects"]), options={**options, **own}, place=("check", number)))
    targets = document.get("targets", {})
    floor = document.get("floor", {})
    return replace(
        empty,
        options=top,
        checks=tuple(checks),
        sets={name: _texts(held) for name, held in targets.items()} if isinstance(targets, dict) else {},
        floor={name: _value(name, value) for name, value in floor.items()} if isinstance(floor, dict) else {},
        waivers=tuple(_waiver(empty, number, held) for number, held in enumerate(_tables(document, "waiver"))),
        notes=(f"{shown(beside)} is not read: {OWN} beside it is",) if beside else (),
    )


def _tables(document: Mapping[str, object], name: str) -> list[dict[str, object]]:
    held = document.get(name, [])
    return [table for table in held if isinstance(table, dict)] if isinstance(held, list) else []


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def _value(name: str, value: object) -> Value:
    if name in _LISTS:
        return _texts(value)
    if isinstance(value, dict):
        return {str(name): str(held) for name, held in value.items()}
    if isinstance(value, float):
        return int(value)
    return value if isinstance(value, (bool, int)) else str(value)


def _waiver(empty: Configuration, number: int, held: Mapping[str, object]) -> Waiver:
    return Waiver(
        codes=_texts(held["code"]),
        reason=str(held["reason"]),
        expires=str(held["expires"]),
        subjects=_texts(held["subject"]) if "subject" in held else (),
        targets=_texts(held["target"]) if "target" in held else (),
        fingerprint=str(held.get("fingerprint", "")),
        file=empty.name,
        line=empty.line(("waiver", number)),
    )
