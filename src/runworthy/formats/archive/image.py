"""The entries of a squashfs image by PySquashfsImage, which finds what lies where.

It believes what it reads: it unpacks without bounds, follows directories in circles, and ends in whatever exception.
What it does these things by is in other hands here. Imported by ``squashed`` alone, and only for an image.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any, Final

from runworthy.formats.archive.gathering import MEMBERS
from runworthy.formats.archive.inflated import Blocks
from runworthy.formats.archive.squashed import SquashedFile
from runworthy.formats.content import BytesContent, Content
from runworthy.formats.package.lz4 import block
from runworthy.formats.package.member import MemberKind
from runworthy.formats.package.streams import pieces, reader
from runworthy.model.errors import FormatError

__all__ = ["entries"]

_SquashFsImage: Any = import_module("PySquashfsImage").SquashFsImage  # an extra, as the others of the project are

_METADATA: Final = 8 << 10
_TABLES: Final = 32 << 10  # blocks of metadata: 256 MiB
_LIST: Final = 1 << 20
_WORK: Final = 1 << 30
_PLAIN: Final = 1 << 24
_KINDS: Final[Mapping[int, MemberKind]] = {1: "dir", 2: "file", 3: "link"}
_EXTENDED: Final = 7


def entries(content: Content, packing: str) -> Iterator[SquashedFile]:
    """Yield the entries of an image, directories before what lies in them. Raises FormatError, OSError."""
    with _damage():
        image = _Image(content, packing)
        root = image._sblk.root_inode  # noqa: SLF001 - of a class of this module
    ahead = [("", root >> 16, root & 0xFFFF)]
    seen = {root}
    while ahead:
        above, start, offset = ahead.pop()
        with _damage():
            rows = image._opendir(start, offset).entries  # noqa: SLF001 - likewise
        for row in rows:
            with _damage():
                inode = image._read_inode(row["start_block"], row["offset"])  # noqa: SLF001 - likewise
            path = f"{above}{row['name'].decode('utf-8', 'surrogateescape')}"
            one = _entry(image, path, inode)
            yield one
            place = row["start_block"] << 16 | row["offset"]
            if one.kind == "dir":
                if place in seen:
                    raise FormatError("one of its directories lies in itself, or in two others")
                seen.add(place)
                ahead.append((f"{path}/", row["start_block"], row["offset"]))


def _entry(image: Any, path: str, inode: Any) -> SquashedFile:  # noqa: ANN401 - the library has no types
    number = inode.header.inode_type
    kind = _KINDS.get(number - _EXTENDED if number > _EXTENDED else number, "other")
    target = inode._symlink.decode("utf-8", "surrogateescape") if kind == "link" else ""  # noqa: SLF001 - bytes, not text
    size = inode.data if kind == "file" else 0
    return SquashedFile(path, kind, inode.header.mode & 0o7777, size, target, partial(_bytes, image, inode))


def _bytes(image: Any, inode: Any) -> Iterator[bytes]:  # noqa: ANN401 - likewise
    """Yield the bytes of a file. Raises FormatError, OSError."""
    with _damage():
        yield from image.iter_file(inode)


@contextmanager
def _damage() -> Iterator[None]:
    """Turn whatever the library raises into a FormatError, but for what reading the file raises."""
    try:
        yield
    except FormatError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # the library's own have none
            raise
        raise FormatError(f"its tables are damaged ({type(error).__name__})") from error


class _File:
    """What the library reads from."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._at = 0

    def seek(self, offset: int) -> None:
        self._at = offset

    def read(self, count: int) -> bytes:
        data = self._content.pread(self._at, count)
        self._at += len(data)
        return data


class _Image(_SquashFsImage):  # type: ignore[misc] # it has no types
    """An image whose tables are read as far as they are asked for, and no farther than they may be."""

    def __init__(self, content: Content, packing: str) -> None:
        self._packing = packing
        self._data = Blocks()
        self._data_key = self._data.key()
        self._work = _WORK
        self._rows = 0
        super().__init__(_File(content))

    def _get_compressor(self, compression_id: int) -> _Unpacker:
        del compression_id
        return _Unpacker(_UNPACKED[self._packing])

    def _dir_scan(self, start_block: int, offset: int) -> None:
        """Leave the directories alone, which would be read all at once."""

    def _read_xattrs_from_disk(self) -> None:
        """Leave the extended attributes alone, which nobody asks for."""

    def _read_directory_data(self, block: int, offset: int, length: int) -> tuple[bytes, int, int]:
        self._rows += 1
        if self._rows > 3 * MEMBERS:
            raise FormatError(f"holds more than {MEMBERS} members")
        return self._read_metadata(self._directory_table_hash, block, offset, length)

    def _read_metadata(self, table: dict[int, Any], block: int, offset: int, length: int) -> tuple[bytes, int, int]:
        self._work -= length
        if length > _LIST or self._work < 0 or len(table) > _TABLES:
            raise FormatError("its tables are larger than those of any image")
        found: tuple[bytes, int, int] = super()._read_metadata(table, block, offset, length)
        return found

    def _read_data_block(self, start: int, size: int) -> bytes:
        """Return a block, of which fragments of many files may be part."""
        data = self._data.get((self._data_key, start))
        if data is None:
            packed = self._fd._content.pread(start, size & ~_PLAIN)  # noqa: SLF001 - of a class of this module
            data = packed if size & _PLAIN else self._comp.uncompress(packed, 0, self._sblk.block_size)
            self._data.put((self._data_key, start), data)
        return data


class _Unpacker:
    """Unpacks blocks, of which none may hold more than it should."""

    def __init__(self, unpack: Callable[[bytes, int], bytes]) -> None:
        self._unpack = unpack

    def uncompress(self, src: bytes, size: int, outsize: int) -> bytes:
        """Return what comes out of ``src``, at most ``outsize`` bytes (0: a block of metadata). Raises FormatError."""
        del size
        most = max(outsize, _METADATA)
        data = self._unpack(src, most)
        if len(data) > most:
            raise FormatError(f"one of its blocks unpacks to more than {most} bytes")
        return data


def _inflate(packed: bytes, most: int) -> bytes:
    return zlib.decompressobj().decompress(packed, most + 1)


def _stream(kind: str, packed: bytes, most: int) -> bytes:
    data = b""
    for piece in pieces(reader(BytesContent(packed)), kind):
        data += piece
        if len(data) > most:
            break
    return data


_UNPACKED: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _inflate,
    "xz": partial(_stream, "xz"),
    "zstd": partial(_stream, "zstd"),
    "lz4": block,
}
