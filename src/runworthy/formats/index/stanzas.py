"""Indexes that are texts of stanzas with an empty line between them: they are looked through once, and read on demand.

Both apk and dpkg write such. A stanza is parsed when somebody asks for what it tells of: an index holds some 60,000.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from runworthy.formats.content import Content
from runworthy.model.errors import FormatError
from runworthy.model.package import Package

__all__ = ["Names", "Parse", "StanzaIndex", "stanzas"]

_PIECE: Final = 1 << 20
_LONGEST: Final = 32 << 20  # apk's database names each file of a package: linux-firmware has 2 MiB
_MOST: Final = 1_000_000

Parse = Callable[[bytes, int], Package]
"""Reads a stanza, which stands at this offset. Raises FormatError."""
Names = Callable[[bytes], Sequence[str]]
"""Returns the name of the package of a stanza, and the names that it provides; nothing where it tells of none."""


def stanzas(content: Content) -> Iterator[tuple[int, bytes]]:
    """Yield each stanza with its offset, without the empty lines. Raises FormatError, OSError."""
    start, held, at, count = 0, b"", 0, 0
    while True:
        data = content.pread(at, _PIECE)
        at += len(data)
        *parts, held = (held + data).split(b"\n\n")
        if not data:
            parts.append(held)
        for part in parts:
            text = part.lstrip(b"\n")
            if text:
                yield start + len(part) - len(text), text.rstrip(b"\n")
                count += 1
            start += len(part) + 2
        if not data:
            return
        if len(held) > _LONGEST or count > _MOST:
            what = f"has more than {_MOST} entries" if count > _MOST else f"has an entry of over {_LONGEST} bytes"
            raise FormatError(what, offset=start)


class StanzaIndex:
    """The packages of one text."""

    def __init__(self, content: Content, names: Names, parse: Parse) -> None:
        """Look the text through. Raises FormatError, OSError."""
        self._content = content
        self._parse = parse
        self._places = array("Q")
        self._lengths = array("L")
        self._by_name: dict[str, list[int]] = {}
        self._read: dict[int, Package] = {}
        for offset, text in stanzas(content):
            called = names(text)
            if not called:
                continue
            for name in called if len(called) == 1 else dict.fromkeys(called):
                self._by_name.setdefault(name, []).append(len(self._places))
            self._places.append(offset)
            self._lengths.append(len(text))

    def __len__(self) -> int:
        return len(self._places)

    def find(self, name: str) -> tuple[Package, ...]:
        """Return the packages that are called so, or provide it. Raises FormatError, OSError."""
        return tuple(self._package(number) for number in self._by_name.get(name, ()))

    def names(self) -> Iterator[str]:
        """Yield each name by which something is found."""
        return iter(self._by_name)

    def packages(self) -> Iterator[Package]:
        """Yield every package. Raises FormatError, OSError."""
        return (self._package(number) for number in range(len(self._places)))

    def _package(self, number: int) -> Package:
        held = self._read.get(number)
        if held is None:
            offset = self._places[number]
            text = self._content.pread(offset, self._lengths[number])
            held = self._read[number] = self._parse(text, offset)
        return held
