"""Which of Debian's packages brings a file: lists with a path and its packages in each line, half a gigabyte of them.

Source: wiki.debian.org, "DebianRepository/Format", section "Contents indices".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from runworthy.formats.content import Content
from runworthy.formats.package.streams import compression_of, pieces, reader
from runworthy.model.errors import FormatError

__all__ = ["owners"]

_PIECE: Final = 1 << 20
_LINE: Final = 1 << 16
_MOST: Final = 3 << 30  # the list of sid's amd64 is 0.6 GiB; this bounds the time that a hostile one takes
_HITS: Final = 10_000


def owners(content: Content, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return of each path (absolute) whose last component is one of ``names`` the packages that bring it.

    The list is passed through once. Raises FormatError, OSError.
    """
    wanted = {name: name.encode("utf-8", "surrogateescape") for name in names}
    found: dict[str, tuple[str, ...]] = {}
    for block in _blocks(content):
        for raw in wanted.values():
            for line in _lines(block, raw):
                path, _, packages = line.rstrip().rpartition(b" ") if b"\t" not in line else _tabbed(line)
                text = path.strip().decode("utf-8", "surrogateescape")
                if text.rpartition("/")[2] in wanted:
                    found[f"/{text.lstrip('./')}"] = _packages(packages)
        if len(found) > _HITS:
            raise FormatError(f"names more than {_HITS} files of the same name")
    return found


def _tabbed(line: bytes) -> tuple[bytes, bytes, bytes]:
    path, tab, packages = line.rstrip().rpartition(b"\t")
    return path, tab, packages


def _packages(text: bytes) -> tuple[str, ...]:
    """Return the names of packages, without the sections that stand before them."""
    words = text.decode("utf-8", "surrogateescape").split(",")
    return tuple(word.strip().rpartition("/")[2] for word in words if word.strip())


def _lines(block: bytes, name: bytes) -> Iterator[bytes]:
    """Yield the lines in which ``name`` is followed by white space."""
    at = block.find(name)
    while at >= 0:
        end = at + len(name)
        start = block.rfind(b"\n", 0, at) + 1
        if block[end : end + 1] in (b" ", b"\t") and (at == start or block[at - 1 : at] == b"/"):
            stop = block.find(b"\n", end)
            yield block[start : stop if stop >= 0 else len(block)]
        at = block.find(name, end)


def _blocks(content: Content) -> Iterator[bytes]:
    """Yield the text in blocks of whole lines. Raises FormatError, OSError."""
    kind = compression_of(content.pread(0, 8))
    read = reader(content)
    held, seen = b"", 0
    for piece in pieces(read, kind) if kind else iter(lambda: read(_PIECE), b""):
        seen += len(piece)
        if seen > _MOST:
            raise FormatError(f"is longer than {_MOST} bytes")
        whole, newline, rest = piece.rpartition(b"\n")
        if newline:
            yield held + whole
            held = rest
        else:
            held += piece
            if len(held) > _LINE + _PIECE:
                raise FormatError(f"has a line of more than {_LINE} bytes", offset=seen)
    if held:
        yield held
