"""One directory of a snapshot: its entries in columns, so that what is alike lies together and compresses.

Layout (little endian)::

    head     u32 entries, u64 number of the first entry, u16 state, u16 errno, u32 length of the link texts
    columns  kinds (one letter each), u16 modes, i64 sizes, u64 places, u64 of each kind's own, then the texts of
             symbolic links joined by NUL, then the names joined by NUL, in order

The place of a directory is that of its listing, and its own column says how many directories are in that tree, itself
included: a listing is taken only if its directories add up to what the one above it said, so that no tree of a hostile
file goes in circles or is larger than it says. The place of a file is that of what is known of its bytes (0: no ELF
file, and nothing a loader would take); its own column is the number of the entry that it is another name of (0: none).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from runworthy.model.errors import FormatError
from runworthy.targets.view import NAME_MAX, Entry, FileKind

__all__ = [
    "COMPLETE",
    "LEFT_OUT",
    "LETTERS",
    "LISTING_LIMIT",
    "REFUSED",
    "SMALLEST",
    "UNKNOWN",
    "UNSEARCHABLE",
    "Listing",
    "Row",
    "pack_listing",
]

COMPLETE: Final = 0
"""Every entry is there: another name is absent."""
LEFT_OUT: Final = 1
"""What is in the directory was not looked at, or could not be: no question about a name in it can be answered. With an
errno: who lists it gets that."""
REFUSED: Final = 2
"""Whoever lists the directory or asks for any name in it gets the errno."""
UNSEARCHABLE: Final = 3
"""The directory can be listed; whoever asks for a name that is not there gets the errno."""

LISTING_LIMIT: Final = 32 << 20
"""Largest listing (bytes); a directory of a million files is within."""

KINDS: Final[dict[str, FileKind]] = {"f": "file", "d": "dir", "l": "link", "o": "other"}
LETTERS: Final = {kind: letter for letter, kind in KINDS.items()}
UNKNOWN: Final = "x"
"""The letter of an entry that could not be looked at: its size is the errno (ENOENT: it was gone by then)."""

_HEAD: Final = struct.Struct("<IQHHI")
SMALLEST: Final = _HEAD.size
"""Length of the listing of an empty directory (bytes)."""
_WIDTH: Final = 1 + 2 + 8 + 8 + 8
_MODE: Final = struct.Struct("<H")
_SIZE: Final = struct.Struct("<q")
_PLACE: Final = struct.Struct("<Q")


class Row(NamedTuple):
    """One entry: ``own`` is the number of directories in it, or the number of the entry it is another name of."""

    name: str
    letter: str
    mode: int = 0
    size: int = 0
    place: int = 0
    own: int = 0
    target: str = ""


def pack_listing(rows: Sequence[Row], first: int, state: int = COMPLETE, number: int = 0) -> bytes:
    """Return the bytes of a listing. ``number`` is the errno of its state."""
    count = len(rows)
    texts = b"\0".join(_bytes(row.target) for row in rows if row.letter == "l")
    return b"".join(
        (
            _HEAD.pack(count, first, state, number, len(texts)),
            "".join(row.letter for row in rows).encode("ascii"),
            struct.pack(f"<{count}H", *(row.mode for row in rows)),
            struct.pack(f"<{count}q", *(row.size for row in rows)),
            struct.pack(f"<{count}Q", *(row.place for row in rows)),
            struct.pack(f"<{count}Q", *(row.own for row in rows)),
            texts,
            b"\0".join(_bytes(row.name) for row in rows),
        )
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


class Listing:
    """A directory that was read: which names it has is known at once, what they are when it is asked."""

    def __init__(self, data: bytes, directories: int) -> None:
        """Take a listing whose tree is said to have as many ``directories``. Raises FormatError."""
        if len(data) < _HEAD.size:
            raise _damage()
        self._data = data
        self._count, self._first, self.state, self.errno, texts = _HEAD.unpack_from(data)
        self._kinds = _HEAD.size
        self._texts = _HEAD.size + self._count * _WIDTH
        if self._texts + texts > len(data):
            raise _damage()
        self._names = self._texts + texts
        below = sum(self._value(at, 19) for at in self._of_kind(b"d"))
        if below + 1 != directories or directories < 1:
            raise _damage()

    @cached_property
    def index(self) -> dict[str, int]:
        """The names and where they stand. Raises FormatError for names that no directory has."""
        joined = self._data[self._names :]
        names = _text(joined).split("\0") if self._count else []
        found = {name: at for at, name in enumerate(names)}
        if len(names) != self._count or len(found) != self._count or b"/" in joined:
            raise _damage()
        if not found.keys().isdisjoint(("", ".", "..")) or max(map(len, names), default=0) > NAME_MAX:
            raise _damage()
        return found

    def names(self) -> Collection[str]:
        """Return the names of what is there. Raises FormatError."""
        gone = {at for at in self._of_kind(UNKNOWN.encode()) if self.size(at) == errno.ENOENT}
        return [name for name, at in self.index.items() if at not in gone] if gone else self.index.keys()

    @cached_property
    def _links(self) -> tuple[dict[int, int], list[bytes]]:
        places = {at: number for number, at in enumerate(self._of_kind(b"l"))}
        texts = self._data[self._texts : self._names].split(b"\0")
        if len(texts) != (len(places) or 1):
            raise _damage()
        return places, texts

    def _of_kind(self, letter: bytes) -> list[int]:
        kinds = self._data[self._kinds : self._kinds + self._count]
        found, at = [], kinds.find(letter)
        while at >= 0:
            found.append(at)
            at = kinds.find(letter, at + 1)
        return found

    def _value(self, at: int, column: int) -> int:
        """Return a number of 8 bytes in the column that begins so many bytes after the kinds, for one entry."""
        value: int = _PLACE.unpack_from(self._data, self._kinds + self._count * column + 8 * at)[0]
        return value

    def letter(self, at: int) -> str:
        """Return the letter of what an entry is."""
        return chr(self._data[self._kinds + at])

    def entry(self, at: int) -> Entry:
        """Return an entry as views show it. Raises FormatError; KeyError never: an unknown letter is damage."""
        kind = KINDS.get(self.letter(at))
        if kind is None:
            raise _damage()
        mode: int = _MODE.unpack_from(self._data, self._kinds + self._count + 2 * at)[0]
        return Entry(kind, mode, self.size(at), self._target(at) if kind == "link" else "")

    def size(self, at: int) -> int:
        """Return an entry's size in bytes, or the errno of one that could not be looked at."""
        size: int = _SIZE.unpack_from(self._data, self._kinds + self._count * 3 + 8 * at)[0]
        return size

    def place(self, at: int) -> int:
        """Return where a directory's listing or a file's facts stand."""
        return self._value(at, 11)

    def directories(self, at: int) -> int:
        """Return how many directories are in the tree of a directory, itself included."""
        return self._value(at, 19)

    def number(self, at: int) -> int:
        """Return what is equal for two names of one file."""
        return self._value(at, 19) or self._first + at

    def _target(self, at: int) -> str:
        places, texts = self._links
        return _text(texts[places[at]])


def _damage() -> FormatError:
    return FormatError("is a snapshot that is damaged")
