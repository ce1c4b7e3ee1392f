"""ELF facts as bytes: what snapshots and the facts cache keep in place of a file.

A record is a head of nine lengths and as many parts, one for each question that :class:`ElfFile` answers. A part is
JSON, or JSON and columns (names joined by NUL, numbers as they stand in memory). A part that is not there was not
asked for; one that begins with ``!`` is the error that the reader gave. Records are read as hostile bytes: every part
is checked before anything is made of it.
"""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, NoReturn, TypeVar

from runworthy.formats.elf.eager import facts_of_json, json_of_facts
from runworthy.model.elf import Binding, BuildInfo, ElfFacts, ElfFile, Exports, GoBuild, ImportGroup, Relocations
from runworthy.model.errors import FormatError

__all__ = ["VERSION", "RecordedElf", "decode", "encode", "encode_known", "known_parts"]

VERSION = 1
"""Of the form of a record. One of another version is not read."""

PARTS = ("facts", "imports", "exports", "copies", "relocations", "bindings", "go", "build", "mentions")
_HEAD = struct.Struct(f"<{len(PARTS)}I")
_ABSENT = 0xFFFFFFFF
_FAILED = b"!"
_JSON_LIMIT = 8 << 20
"""Largest part (bytes) that is JSON; what real files take is some ten KiB."""
_BINDINGS = (Binding.UNUSED, Binding.LAZY, Binding.NOW)
_NUMBERS = {binding: number for number, binding in enumerate(_BINDINGS)}

T = TypeVar("T")
Groups = tuple[ImportGroup, ...]


# -- writing ---------------------------------------------------------------------------------


def encode(elf: ElfFile) -> bytes:
    """Return the record of a file, which is asked every question. Raises OSError."""
    return _encode(elf, PARTS)


def encode_known(elf: ElfFile, parts: Collection[str]) -> bytes:
    """Return the record of a file with the answers to ``parts`` alone. Raises OSError."""
    return _encode(elf, parts)


def known_parts(elf: ElfFile) -> frozenset[str]:
    """Return which parts of a record a file that was read has at hand, since it was asked for them."""
    if isinstance(elf, RecordedElf):
        return elf.parts | (known_parts(elf.asked) if elf.asked else frozenset())
    answered = getattr(elf, "__dict__", {})
    return frozenset(["facts", *(name for name in PARTS if f"_{name}" in answered)])


def _encode(elf: ElfFile, wanted: Collection[str]) -> bytes:
    if isinstance(elf, RecordedElf) and elf.parts.issuperset(wanted):
        return bytes(elf.data)
    parts = [_part(elf, name) if name in wanted else None for name in PARTS]
    head = _HEAD.pack(*(_ABSENT if part is None else len(part) for part in parts))
    return b"".join((head, *filter(None, parts)))


def _part(elf: ElfFile, name: str) -> bytes:
    try:
        return _WRITERS[name](elf)
    except FormatError as error:
        return _FAILED + _dump([error.message, error.offset])


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _facts_part(elf: ElfFile) -> bytes:
    return _dump(json_of_facts(elf.facts))


def _groups_part(groups: Groups) -> bytes:
    """Return groups as one line of JSON and the names; each set is sorted, so that equal facts are equal bytes."""
    head = [[group.file, group.version, len(group.strong), len(group.weak)] for group in groups]
    return _dump(head) + b"\n" + b"\0".join(_ordered(groups))


def _ordered(groups: Groups) -> list[bytes]:
    return [name for group in groups for names in (group.strong, group.weak) for name in sorted(names)]


def _exports_part(elf: ElfFile) -> bytes:
    names, indexes, kinds, versions = elf.exports().columns()
    head = [len(names), indexes is not None, [[index, name] for index, name in versions.items()]]
    return b"".join((_dump(head), b"\n", b"" if indexes is None else _shorts(indexes), kinds, b"\0".join(names)))


def _shorts(numbers: Sequence[int]) -> bytes:
    column = array("H", numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _relocations_part(elf: ElfFile) -> bytes:
    found = elf.relocations()
    return _dump([sorted(found.kinds), found.count, found.irelative, found.copy])


def _bindings_part(elf: ElfFile) -> bytes:
    """Return one byte for each name that a loader may fail to find: its imports, then what it hides."""
    names = [*_ordered(elf.imports()), *_hidden(elf)]
    found = elf.bindings(frozenset(names)) if names else {}
    return bytes(_NUMBERS[found.get(name, Binding.UNUSED)] for name in names)


def _hidden(elf: ElfFile) -> list[bytes]:
    """Return the names that the file defines so that musl does not see them: it looks its own symbols up too."""
    exports = elf.exports()
    return sorted(exports.names - exports.default)


def _json_of_go(go: GoBuild | None) -> object:
    return None if go is None else [go.version, go.path, go.module, list(map(list, go.settings.items()))]


def _build_part(elf: ElfFile) -> bytes:
    build = elf.build()
    return _dump([_json_of_go(build.go), build.rust, list(build.comments)])


_WRITERS: Mapping[str, Callable[[ElfFile], bytes]] = {
    "facts": _facts_part,
    "imports": lambda elf: _groups_part(elf.imports()),
    "exports": _exports_part,
    "copies": lambda elf: _groups_part(elf.copies()),
    "relocations": _relocations_part,
    "bindings": _bindings_part,
    "go": lambda elf: _dump(_json_of_go(elf.go())),
    "build": _build_part,
    "mentions": lambda elf: b"\0".join(sorted(elf.mentions())),
}


# -- reading ---------------------------------------------------------------------------------


def decode(data: bytes, path: str = "", facts: ElfFacts | None = None) -> RecordedElf:
    """Return the file of a record; its answers are read when they are asked for.

    ``facts`` are the eager facts where they are known beforehand. Raises FormatError with ``path`` for damage.
    """
    if len(data) < _HEAD.size:
        raise FormatError("the record is cut off", path=path)
    parts: dict[str, memoryview] = {}
    start, view = _HEAD.size, memoryview(data)
    for name, length in zip(PARTS, _HEAD.unpack_from(data), strict=True):
        if length != _ABSENT:
            parts[name] = view[start : start + length]
            start += length
    if start != len(data) or (facts is None and "facts" not in parts):
        raise FormatError("the record is damaged", path=path)
    if facts is None:
        facts = _guarded(lambda: facts_of_json(_parsed(_told(parts["facts"], path))), path)
    return RecordedElf(data, facts, parts, path=path)


def _told(part: memoryview, path: str) -> bytes:
    """Return the bytes of a part. Raises the FormatError that it holds."""
    data = bytes(part)
    if data[:1] == _FAILED:
        message, offset = _guarded(lambda: _error_of(_parsed(data[1:])), path)
        raise FormatError(message, path=path, offset=offset)
    return data


def _guarded(work: Callable[[], T], path: str) -> T:
    """Do what is done with bytes from elsewhere; whatever is wrong with them is one kind of error."""
    try:
        return work()
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError) as error:
        raise FormatError(f"the record is damaged: {type(error).__name__}", path=path) from None


def _error_of(value: Any) -> tuple[str, int | None]:  # noqa: ANN401 - JSON is of any type until it has been looked at
    message, offset = value
    return _text(message), None if offset is None else _number(offset)


class RecordedElf:
    """The ElfFile of a record.

    ``source`` gives the file itself, for what is not recorded; ``asked`` is that file, once it was needed.
    """

    def __init__(self, data: bytes, facts: ElfFacts, parts: Mapping[str, memoryview], *, path: str) -> None:
        self.data = data
        self.facts = facts
        self.source: Callable[[], ElfFile] | None = None
        self.asked: ElfFile | None = None
        self._parts = parts
        self._path = path

    @property
    def parts(self) -> frozenset[str]:
        """What is recorded."""
        return frozenset(self._parts)

    def imports(self) -> Groups:
        """Return the undefined symbols. Raises FormatError, OSError."""
        return self._imports

    @cached_property
    def _imports(self) -> Groups:
        return self._answer("imports", _groups_of, lambda elf: elf.imports())

    def exports(self) -> Exports:
        """Return the defined symbols. Raises FormatError, OSError."""
        return self._exports

    @cached_property
    def _exports(self) -> Exports:
        return self._answer("exports", _exports_of, lambda elf: elf.exports())

    def copies(self) -> Groups:
        """Return the variables that a program copies out of its libraries. Raises FormatError, OSError."""
        return self._answer("copies", _groups_of, lambda elf: elf.copies())

    def relocations(self) -> Relocations:
        """Return the relocation kinds in use. Raises FormatError, OSError."""
        return self._answer("relocations", _relocations_of, lambda elf: elf.relocations())

    def bindings(self, names: Collection[bytes]) -> Mapping[bytes, Binding]:
        """Return how names that a loader looks up are bound; any other is unused. Raises FormatError, OSError."""
        if "bindings" not in self._parts:
            return self._file("bindings").bindings(names)
        return {name: self._bound.get(name, Binding.UNUSED) for name in names}

    @cached_property
    def _bound(self) -> Mapping[bytes, Binding]:
        def read(data: bytes) -> Mapping[bytes, Binding]:
            told = _ordered(self.imports())
            if len(told) < len(data):
                told += _hidden(self)
            return dict(zip(told, (_BINDINGS[number] for number in data), strict=True))

        return self._answer("bindings", read, lambda _: {})

    def go(self) -> GoBuild | None:
        """Return the Go build information alone. Raises FormatError, OSError."""
        return self._answer("go", lambda data: _go_of(_parsed(data)), lambda elf: elf.go())

    def build(self) -> BuildInfo:
        """Return what the compilers left. Raises FormatError, OSError."""
        return self._answer("build", _build_of, lambda elf: elf.build())

    def mentions(self) -> frozenset[bytes]:
        """Return which of ``MENTIONS`` the constants hold. Raises FormatError, OSError."""
        return self._answer("mentions", lambda data: frozenset(_names(data)), lambda elf: elf.mentions())

    def _answer(self, name: str, read: Callable[[bytes], T], ask: Callable[[ElfFile], T]) -> T:
        part = self._parts.get(name)
        if part is None:
            return ask(self._file(name))
        data = _told(part, self._path)
        return _guarded(lambda: read(data), self._path)

    def _file(self, name: str) -> ElfFile:
        if self.asked is None:
            if self.source is None:
                raise FormatError(f"its {name} were not recorded", path=self._path)
            self.asked = self.source()
        return self.asked


def _groups_of(data: bytes) -> Groups:
    head, _, joined = data.partition(b"\n")
    rows = _parsed(head)
    count = sum(_number(strong) + _number(weak) for _, _, strong, weak in rows)
    names = _names(joined, count)
    if len(names) != count:
        _refuse()
    groups: list[ImportGroup] = []
    at = 0
    for file, version, strong, weak in rows:
        middle = at + strong
        end = middle + weak
        groups.append(
            ImportGroup(
                file=_text_or_none(file),
                version=_text_or_none(version),
                strong=frozenset(names[at:middle]),
                weak=frozenset(names[middle:end]),
            )
        )
        at = end
    return tuple(groups)


def _exports_of(data: bytes) -> Exports:
    head, _, columns = data.partition(b"\n")
    count, versioned, versions = _parsed(head)
    start = 2 * _number(count) if versioned else 0
    names = _names(columns[start + count :], count)
    indexes = array("H")
    indexes.frombytes(columns[:start])
    if sys.byteorder == "big":
        indexes.byteswap()
    kinds = columns[start : start + count]
    if not len(names) == len(kinds) == count:
        _refuse()
    named = {_number(index): _text(name) for index, name in versions}
    return Exports.of_columns(names, indexes if versioned else None, kinds, named)


def _relocations_of(data: bytes) -> Relocations:
    kinds, count, irelative, copy = _parsed(data)
    return Relocations(
        kinds=frozenset(map(_number, kinds)), count=_number(count), irelative=bool(irelative), copy=bool(copy)
    )


def _go_of(value: Any) -> GoBuild | None:  # noqa: ANN401 - JSON is of any type until it has been looked at
    if value is None:
        return None
    version, path, module, settings = value
    told = {_text(key): _text(setting) for key, setting in settings}
    return GoBuild(version=_text(version), path=_text(path), module=_text(module), settings=told)


def _build_of(data: bytes) -> BuildInfo:
    go, rust, comments = _parsed(data)
    return BuildInfo(go=_go_of(go), rust=_text_or_none(rust), comments=tuple(map(_text, comments)))


def _names(data: bytes, count: int = -1) -> list[bytes]:
    return data.split(b"\0") if data or count > 0 else []


def _parsed(data: bytes) -> Any:  # noqa: ANN401 - JSON is of any type until it has been looked at
    return json.loads(data) if len(data) <= _JSON_LIMIT else _refuse()


def _text(value: object) -> str:
    return value if isinstance(value, str) else _refuse()


def _text_or_none(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else _refuse()


def _number(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else _refuse()


def _refuse() -> NoReturn:
    raise ValueError
