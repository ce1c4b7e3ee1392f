"""The eager facts of an ELF file as plain lists for JSON, and back; what comes back is checked field by field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from runworthy.model.elf import DlopenNote, ElfFacts, ElfHeader, Segment, VersionDef, VersionNeed

__all__ = ["facts_of_json", "json_of_facts"]

T = TypeVar("T")
Json = Any
"""What JSON gave, of any type until it has been looked at."""


def json_of_facts(facts: ElfFacts) -> list[Json]:
    """Return the facts as lists, strings and numbers."""
    head = facts.header
    return [
        [getattr(head, name) if name != "ident" else head.ident.hex() for name in _HEADER],
        list(map(list, facts.segments)),
        list(map(list, facts.version_needs)),
        [[one.name, one.index, one.base] for one in facts.version_defs],
        [[one.feature, one.description, one.priority, list(one.sonames)] for one in facts.dlopen_notes],
        [_plain(getattr(facts, name)) for name in (_PLAIN if facts.system else _PLAIN[:-1])],
    ]


def facts_of_json(value: Json) -> ElfFacts:
    """Return the facts. Raises ValueError, TypeError, KeyError or IndexError for anything else than was written."""
    head, segments, needs, defs, notes, plain = value
    if len(plain) == len(_PLAIN) - 1:
        plain = [*plain, ""]
    checked: list[Any] = [check(field) for check, field in zip(_CHECKS, plain, strict=True)]
    return ElfFacts(
        header=_header(head),
        segments=tuple([Segment(*_numbers(row)) for row in segments]),
        version_needs=tuple([VersionNeed(_text(file), _text(name), _truth(weak)) for file, name, weak in needs]),
        version_defs=tuple(
            [VersionDef(name=_text(name), index=_number(index), base=_truth(base)) for name, index, base in defs]
        ),
        dlopen_notes=tuple(
            [
                DlopenNote(
                    feature=_text(feature), description=_text(told), priority=_text(priority), sonames=_texts(names)
                )
                for feature, told, priority, names in notes
            ]
        ),
        **dict(zip(_PLAIN, checked, strict=True)),
    )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _header(row: Json) -> ElfHeader:
    named = dict(zip(_HEADER, row, strict=True))
    named["ident"] = bytes.fromhex(named["ident"])
    if named["endian"] not in ("little", "big") or named["elf_class"] not in (32, 64) or len(named["ident"]) != 16:
        raise ValueError
    for name, field in named.items():
        if name not in ("ident", "endian"):
            _number(field)
    return ElfHeader(**named)


def _number(value: Json) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _numbers(row: Json) -> list[int]:
    return [_number(value) for value in row]


def _text(value: Json) -> str:
    if type(value) is not str:
        raise ValueError
    return value


def _texts(row: Json) -> tuple[str, ...]:
    return tuple([_text(value) for value in row])


def _truth(value: Json) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _or_none(check: Callable[[Json], T]) -> Callable[[Json], T | None]:
    return lambda value: None if value is None else check(value)


def _release(row: Json) -> tuple[int, int, int]:
    major, minor, patch = _numbers(row)
    return major, minor, patch


_HEADER = tuple(ElfHeader.__annotations__)
_BY_TYPE: dict[str, Callable[[Json], Any]] = {
    "int": _number,
    "str": _text,
    "bool": _truth,
    "str | None": _or_none(_text),
    "int | None": _or_none(_number),
    "bool | None": _or_none(_truth),
    "tuple[str, ...]": _texts,
    "tuple[int, int, int] | None": _or_none(_release),
}
_NESTED = frozenset(("header", "segments", "version_needs", "version_defs", "dlopen_notes"))
_PLAIN = tuple(name for name in ElfFacts.__annotations__ if name not in _NESTED)
"""The last of them, ``system``, is left out where it is empty, as it is from records that were made before it."""
_CHECKS = tuple(_BY_TYPE[ElfFacts.__annotations__[name]] for name in _PLAIN)
