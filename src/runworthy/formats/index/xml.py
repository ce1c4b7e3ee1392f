"""Parts of large XML files, by where they begin and end.

The standard library's expat reads them. A document type is refused, and with it every entity that somebody could
declare: what is left are the five of XML itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final
from xml.parsers import expat  # nosec - entities are refused below

from runworthy.formats.content import Content
from runworthy.formats.package.streams import Read
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass, field

__all__ = ["Element", "parse", "scan", "whole"]

_PIECE: Final = 1 << 18
_DEPTH: Final = 64
_TEXT: Final = 1 << 20

Start = Callable[[str, Mapping[str, str], int], None]
End = Callable[[str, int], None]


@dataclass(slots=True, eq=False)
class Element:
    """An element: its name without a prefix, its attributes, its own text, and what is in it."""

    name: str
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def child(self, name: str) -> Element:
        """Return the first child that is called so, an empty one where there is none."""
        return next((one for one in self.children if one.name == name), Element(name, {}))

    def get(self, name: str, fallback: str = "") -> str:
        """Return an attribute."""
        return self.attributes.get(name, fallback)


def scan(read: Read, start: Start, end: End) -> None:
    """Call ``start`` and ``end`` for each element with its offset. Raises FormatError, OSError."""
    parser = _parser()
    depth = 0

    def begun(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise FormatError("is nested too deeply", offset=parser.CurrentByteIndex)
        start(name.rpartition(":")[2], attributes, parser.CurrentByteIndex)

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name.rpartition(":")[2], parser.CurrentByteIndex)

    parser.StartElementHandler = begun
    parser.EndElementHandler = ended
    _feed(parser, read)


def parse(data: bytes, offset: int = 0) -> Element:
    """Return a small document, or a stretch of one, as a tree. Raises FormatError."""
    parser = _parser()
    top = Element("", {})
    open_ones = [top]

    def begun(name: str, attributes: Mapping[str, str]) -> None:
        if len(open_ones) > _DEPTH:
            raise FormatError("is nested too deeply", offset=offset)
        made = Element(name.rpartition(":")[2], attributes)
        open_ones[-1].children.append(made)
        open_ones.append(made)

    def ended(_: str) -> None:
        open_ones.pop()

    def text(more: str) -> None:
        if len(open_ones[-1].text) < _TEXT:
            open_ones[-1].text += more

    parser.StartElementHandler = begun
    parser.EndElementHandler = ended
    parser.CharacterDataHandler = text
    parser.buffer_text = True
    rest: Iterator[bytes] = iter((data, b""))
    _feed(parser, lambda _: next(rest), offset)
    return top.children[0]


def whole(content: Content) -> Element:
    """Return a small file as a tree. Raises FormatError, OSError."""
    if content.size > _TEXT * 16:
        raise FormatError(f"is {content.size} bytes, too many for its kind")
    return parse(content.pread(0, content.size))


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise FormatError("declares a document type, which is refused", offset=parser.CurrentByteIndex)

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    return parser


def _feed(parser: expat.XMLParserType, read: Read, offset: int = 0) -> None:
    try:
        while data := read(_PIECE):
            parser.Parse(data)
        parser.Parse(b"", True)  # noqa: FBT003 - expat's own way
    except expat.ExpatError as error:
        at = offset + parser.CurrentByteIndex
        raise FormatError(f"is no XML: {expat.ErrorString(error.code)}, line {error.lineno}", offset=at) from None
    except (LookupError, ValueError) as error:  # CPython, Modules/pyexpat.c, PyUnknownEncodingHandler
        if isinstance(error, (KeyError, IndexError)):  # a mistake of ours
            raise
        raise FormatError(f"is in an encoding that cannot be read: {error}", offset=offset) from None
