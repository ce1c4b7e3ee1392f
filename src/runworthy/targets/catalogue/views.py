"""Roots out of the catalogue: closed ones as they were read, core ones composed from recipes."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Mapping

from runworthy.formats.content import BytesContent, Content
from runworthy.model.arch import Architecture
from runworthy.model.errors import FormatError
from runworthy.targets.catalogue.pack import Pack
from runworthy.targets.catalogue.record import Record, RecordedElf, parse_record
from runworthy.targets.view import Entry, FileView, failure

__all__ = ["CatalogueView", "ClosedView", "CoreLibrary", "CoreView"]

# A directory entry's value in a listing begins with one of these letters:
#   d MODE CHUNK         directory and its listing    f MODE SIZE         regular file
#   e MODE SIZE CHUNK    ELF file and its record      s MODE SIZE CHUNK   script and its first line
#   t MODE SIZE CHUNK    text, recorded in full       l TARGET            symbolic link


class CatalogueView(FileView):
    """A root of the catalogue.

    ``open_versions`` are version nodes that its libraries define and whose symbols are not known: a symbol that is
    not found under such a version is unknown, not absent.
    """

    open_versions: frozenset[str] = frozenset()

    def __init__(self, pack: Pack, arch: Architecture) -> None:
        """Make a root of ``arch`` over ``pack``."""
        super().__init__()
        self._pack = pack
        self._arch = arch
        self._listings: dict[str, Mapping[str, str]] = {}

    def listing(self, directory: str) -> Mapping[str, str]:
        """Return the entries of a real directory as stored. Raises OSError when there is no such directory."""
        held = self._listings.get(directory)
        if held is None:
            held = self._listings[directory] = self._listing(directory)
        return held

    def _listing(self, directory: str) -> Mapping[str, str]:
        parent, _, name = directory.rpartition("/")
        value = self.listing(parent or "/").get(name, "")
        if value[:1] != "d":
            raise failure(errno.ENOTDIR if value else errno.ENOENT, directory)
        return self._pack.mapping(int(value.split()[1]))

    def entry(self, directory: str, name: str) -> Entry | None:
        """Return the entry ``name`` of the real directory, None when there is none. Raises OSError."""
        value = self.listing(directory).get(name)
        if value is None:
            return None
        if value[0] == "l":
            return Entry("link", 0o777, len(value) - 1, value[1:])
        fields = value[1:].split()
        mode = int(fields[0], 8)
        return Entry("dir", mode) if value[0] == "d" else Entry("file", mode, int(fields[1]))

    def names(self, directory: str) -> Iterable[str]:
        """Return the names in a real directory. Raises OSError."""
        return self.listing(directory)

    def content(self, real: str) -> Content:
        """Return a recorded text, or of a script its first line. Raises OSError (ENODATA: bytes not recorded)."""
        value = self._value(real)
        if value[0] in "st":
            return BytesContent(self._pack.chunk(int(value.split()[2]))[1:])
        if value[0] == "f" and value.endswith(" 0"):
            return BytesContent(b"")
        raise failure({"d": errno.EISDIR, "l": errno.ELOOP}.get(value[0], errno.ENODATA), real)

    def load_elf(self, real: str) -> RecordedElf:
        """Return the recorded facts of an ELF file. Raises FormatError when the file is none, OSError."""
        value = self._value(real)
        if value[0] == "d":
            raise failure(errno.EISDIR, real)
        if value[0] != "e":
            raise FormatError("is no ELF file", path=real, offset=0)
        _, size, chunk = value[1:].split()
        return RecordedElf(self._pack, self._record(real, int(chunk)), self._arch, int(size))

    def _record(self, real: str, chunk: int) -> Record:  # noqa: ARG002 - a composed root asks by path
        return parse_record(self._pack.lines(chunk))

    def _value(self, real: str) -> str:
        parent, _, name = real.rpartition("/")
        value = self.listing(parent or "/").get(name)
        if value is None:
            raise failure(errno.ENOENT, real)
        return value


class ClosedView(CatalogueView):
    """The root of an image of which every file is known, or, with an ``authority``, of images built on it."""

    def __init__(self, pack: Pack, arch: Architecture, listing: int, authority: frozenset[str] | None = None) -> None:
        """Take the chunk of its top directory; ``authority`` opens the root (FileView.authority)."""
        super().__init__(pack, arch)
        self._listings["/"] = pack.mapping(listing)
        self.authority = authority


class CoreLibrary:
    """One library of a composed root: where it lies and what is added to or kept of its record.

    ``kept``: version nodes to keep, None for all. ``added``: nodes to define without symbols.
    """

    __slots__ = ("added", "chunk", "kept", "path")

    def __init__(
        self, path: str, chunk: int, *, kept: Collection[str] | None = None, added: tuple[str, ...] = ()
    ) -> None:
        self.path = path
        self.chunk = chunk
        self.kept = kept
        self.added = added

    def apply(self, record: Record) -> Record:
        """Return the record as this root has it."""
        kept = self.kept
        if kept is not None:
            record = record._replace(defs=tuple(row for row in record.defs if row[0] in kept))
        if self.added:
            record = record._replace(defs=(*record.defs, *((name, -1) for name in self.added)))
        return record


class CoreView(CatalogueView):
    """A composed root: the libraries of a recipe at the places that its family gives them, and nothing else."""

    def __init__(
        self,
        pack: Pack,
        arch: Architecture,
        libraries: Iterable[CoreLibrary],
        links: Mapping[str, str],
        *,
        authority: frozenset[str],
        open_versions: frozenset[str] = frozenset(),
    ) -> None:
        """Lay out ``libraries`` and symbolic ``links`` (path to text)."""
        super().__init__(pack, arch)
        self.authority = authority
        self.open_versions = open_versions
        self._libraries = {library.path: library for library in libraries}
        self._tree: dict[str, dict[str, str]] = {"/": {}}
        for library in self._libraries.values():
            self._place(library.path, f"e755 -1 {library.chunk}")
        for path, target in links.items():
            self._place(path, f"l{target}")
        self._listings.update(self._tree)

    def _place(self, path: str, value: str) -> None:
        parent, _, name = path.rpartition("/")
        parent = parent or "/"
        if parent not in self._tree:
            self._tree[parent] = {}
            self._place(parent, "d755 -1")
        self._tree[parent][name] = value

    def _record(self, real: str, chunk: int) -> Record:
        return self._libraries[real].apply(super()._record(real, chunk))
