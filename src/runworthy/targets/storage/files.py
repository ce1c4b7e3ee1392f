"""Stored files in a table: 80 bytes and a name for each, for trees have hundreds of thousands of them."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from struct import Struct

from runworthy.model.storage import StoredFile

__all__ = ["ALLOCATED", "CTIME", "DEVICE", "INODE", "LINKS", "SIZE", "Files", "Identity", "fields_of", "row_of"]

Identity = tuple[int, int]
"""st_dev and st_ino."""

DEVICE, INODE, SIZE, CTIME, ALLOCATED, LINKS = 0, 1, 2, 4, 5, 9
"""Fields of a row, which are those of a stored file but for its names."""

_ROW = Struct("=3Q2q5Q")
_SIGNATURE = Struct("=3Q2q")
_SIGNED = Struct("40s40x")
_FIELDS = 10

_fields = attrgetter(*StoredFile._fields[:-1])

fields_of = _ROW.unpack
"""The fields of a row."""


def row_of(status: os.stat_result) -> bytes:
    """Return the row of a file by its status."""
    return _ROW.pack(
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_blocks * 512,
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_nlink,
    )


class Files(Mapping[Identity, StoredFile]):
    """Stored files by device and inode; also by number, in the order in which they were found.

    ``rows`` holds the fields of each, ``names`` its base name. Files from one of ``starts`` to the next are those of
    one of ``directories``. ``further`` are the whole paths of other names.
    """

    __slots__ = ("_index", "_places", "_prefixes", "directories", "further", "names", "rows", "starts")

    def __init__(self) -> None:
        self.rows = bytearray()
        self.names: list[str] = []
        self.directories: list[str] = []
        self.starts: list[int] = []
        self.further: dict[int, list[str]] = {}
        self._index: dict[Identity, int] | None = None
        self._places = array("I")
        self._prefixes: list[str] = []

    @classmethod
    def of(cls, files: Iterable[StoredFile]) -> Files:
        """Return files that are known already."""
        made = cls()
        for number, file in enumerate(files):
            made.append(file.names[0], _fields(file))
            if len(file.names) > 1:
                made.further[number] = list(file.names[1:])
        return made

    def append(self, path: str, fields: tuple[int, ...]) -> None:
        """Add one file, in a place of its own."""
        directory, _, name = path.rpartition("/")
        self.directories.append(directory)
        self.starts.append(len(self.names))
        self.rows += _ROW.pack(*fields)
        self.names.append(name)

    def copy(self) -> Files:
        """Return files to which more can be added."""
        made = Files()
        made.rows, made.names, made.directories = self.rows[:], self.names[:], self.directories[:]
        made.starts = self.starts[:]
        made.further = {number: names[:] for number, names in self.further.items()}
        return made

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Identity]:
        return iter(zip(self.column(DEVICE), self.column(INODE), strict=True))

    def __getitem__(self, identity: Identity) -> StoredFile:
        number = self.number(identity)
        if number is None:
            raise KeyError(identity)
        return self.stored(number)

    def number(self, identity: Identity) -> int | None:
        """Return the number of a file, None where it is not among these."""
        if self._index is None or len(self._index) != len(self):
            self._index = {identity: number for number, identity in enumerate(self)}
        return self._index.get(identity)

    def column(self, number: int) -> list[int]:
        """Return one field of every file: DEVICE, INODE, SIZE, CTIME, ALLOCATED, LINKS."""
        return memoryview(self.rows).cast("Q")[number::_FIELDS].tolist()

    def path(self, number: int) -> str:
        """Return the name of a file that was found first."""
        if len(self._places) != len(self.names):
            self._places = self._placed()
            self._prefixes = [directory if directory == "/" else f"{directory}/" for directory in self.directories]
        return self._prefixes[self._places[number]] + self.names[number]

    def first(self, numbers: Sequence[int]) -> tuple[str, int]:
        """Return the least name that one of some files has, and the file."""
        if self.further.keys().isdisjoint(numbers):
            names = list(map(self.path, numbers))
        else:
            names = [min(self.names_of(number)) for number in numbers]
        least = min(names)
        return least, numbers[names.index(least)]

    def _placed(self) -> array[int]:
        """Return the place of each file's directory among the directories."""
        places = array("I")
        ends = [*self.starts[1:], len(self.names)]
        for place, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            places.extend([place] * (end - start))
        return places

    def is_same(self, number: int, status: os.stat_result) -> bool:
        """Whether device, inode, size and times of a file are still what they were."""
        return _SIGNATURE.unpack_from(self.rows, number * _ROW.size) == (
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )

    def signatures(self) -> list[bytes]:
        """Return of each file device, inode, size and the times of the last changes of contents and of status."""
        return [signature for (signature,) in _SIGNED.iter_unpack(self.rows)]

    def digest(self, besides: str) -> bytes:
        """Return 16 bytes that are others as soon as a name or a field of a file is another, or ``besides`` is."""
        from hashlib import blake2b

        told = blake2b(self.rows, digest_size=16)
        told.update(array("Q", self.starts).tobytes())
        for text in ("\0".join(self.names), "\0".join(self.directories), repr(sorted(self.further.items())), besides):
            told.update(f"{len(text)} {text}".encode("utf-8", "surrogateescape"))
        return told.digest()

    def names_of(self, number: int) -> tuple[str, ...]:
        """Return the names of a file that are known, in no order."""
        further = self.further.get(number)
        return (self.path(number), *further) if further else (self.path(number),)

    def fields(self, number: int) -> tuple[int, ...]:
        """Return device, inode, size, the times of the last changes, blocks in bytes, mode, owner, group and links."""
        return _ROW.unpack_from(self.rows, number * _ROW.size)

    def stored(self, number: int) -> StoredFile:
        """Return a file with all names that are known."""
        fields = _ROW.unpack_from(self.rows, number * _ROW.size)
        if number in self.further:
            return StoredFile._make((*fields, tuple(sorted(self.names_of(number)))))
        return StoredFile._make((*fields, (self.path(number),)))
