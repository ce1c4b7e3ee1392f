"""A root that is built from what a stream tells, entry by entry. Nothing is ever written under a name of the stream.

What a stream says is refused where unpacking it as root would write outside of the directory, or where no file system
could have sent it: a path with ``..``, an entry below what is no directory, a hard link to nothing.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Hashable, Iterable
from typing import Final, NamedTuple

from runworthy.formats.content import BytesContent, Content
from runworthy.formats.elf import read_elf
from runworthy.formats.elf.record import decode
from runworthy.formats.package.streams import Spool
from runworthy.formats.stream import StreamError
from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError
from runworthy.targets.snapshot.sparse import HEAD, Sparse, unpack_runs
from runworthy.targets.stream.kept import Kept
from runworthy.targets.view import NAME_MAX, Entry, FileView, Resolved, UnseenError, failure

__all__ = ["StreamRoot"]

ENTRIES: Final = 4_000_000
"""Entries of one root. A large image has 500,000, a large server 3,000,000; each costs some 300 bytes of memory."""
NAMES: Final = 512 << 20
"""Characters of all paths of directories, names and link texts together: what entries cost besides."""
KEPT: Final = 8 << 30
"""Bytes that are kept of the files of one root, in a temporary file: facts are a tenth of a library's size."""


class _Node(NamedTuple):
    """An entry; ``number`` is equal for the names of one file; ``kept`` is what is known of its bytes.

    ``kept`` is None where they were seen and no loader would take them, "unseen" where they were not seen.
    """

    entry: Entry
    number: Hashable
    kept: tuple[str, int, int] | str | None = None


class StreamRoot(FileView):
    """The files of a stream as a root."""

    def __init__(self) -> None:
        super().__init__()
        self._directories: dict[str, dict[str, _Node]] = {"/": {}}
        self._spool = Spool()
        self._count = 0
        self._names = 0
        self.closed: set[str] = set()
        """Directories of whose contents the stream does not tell."""

    # -- what a stream tells ------------------------------------------------------------------

    def put(self, path: str, entry: Entry, *, kept: Kept | str | None = None, number: Hashable = None) -> None:
        """Put an entry at a path relative to the root; it takes the place of what is there. Raises StreamError."""
        if not path:
            if entry.kind != "dir":
                raise StreamError("says that the root is no directory")
            return
        parent, _, name = path.rpartition("/")
        self._count += 1
        names = self._names_in(parent, name)
        if entry.kind == "dir":
            self._put_directory(parent, name, entry)
            return
        real = f"/{path}"
        if real in self._directories:
            if self._directories[real]:
                raise StreamError(f"puts `{path[:200]}` in the place of a directory that is not empty")
            del self._directories[real]
        self._spend(len(name) + len(entry.target))
        place = kept if kept is None or isinstance(kept, str) else self._keep(kept)
        names[name] = _Node(entry, self._count if number is None else number, place)

    def put_again(self, path: str, other: str) -> None:
        """Put a hard link: ``path`` is another name of the file at ``other``. Raises StreamError."""
        parent, _, name = other.rpartition("/")
        node = self._directories.get(f"/{parent}" if parent else "/", {}).get(name)
        if node is None or node.entry.kind == "dir" or not path:
            raise StreamError(f"makes `{path[:200]}` a hard link to `{other[:200]}`, which is no file that it holds")
        above, _, own = path.rpartition("/")
        self.put(path, node.entry, number=node.number)
        self._directories[f"/{above}" if above else "/"][own] = node

    def know(self, path: str, kept: Kept | str | None) -> None:
        """Tell what is known of the bytes of a file that was put before. Raises StreamError."""
        parent, _, name = path.rpartition("/")
        names = self._directories[f"/{parent}" if parent else "/"]
        node = names[name]
        names[name] = node._replace(kept=kept if kept is None or isinstance(kept, str) else self._keep(kept))

    def lead(self, path: str, target: str) -> None:
        """Tell where a symbolic link leads that was put before. Raises StreamError."""
        parent, _, name = path.rpartition("/")
        names = self._directories[f"/{parent}" if parent else "/"]
        node = names[name]
        self._spend(len(target))
        names[name] = node._replace(entry=Entry("link", node.entry.mode, node.entry.size, target))

    def has(self, path: str) -> Entry | None:
        """Return the entry at a path relative to the root, as it was put."""
        parent, _, name = path.rpartition("/")
        node = self._directories.get(f"/{parent}" if parent else "/", {}).get(name)
        return node.entry if node else None

    def __len__(self) -> int:
        return self._count

    def spread(self, numbers: Collection[Hashable]) -> None:
        """Let every name of the files with these numbers know what is known of the bytes under one of its names."""
        nodes = [
            (names, name, node)
            for names in self._directories.values()
            for name, node in names.items()
            if node.number in numbers
        ]
        told = {node.number: node.kept for _, _, node in nodes if node.kept != "unseen"}
        for names, name, node in nodes:
            if node.kept == "unseen" and node.number in told:
                names[name] = node._replace(kept=told[node.number])

    # -- what a backing provides --------------------------------------------------------------

    def entry(self, directory: str, name: str) -> Entry | None:
        """Return the entry ``name`` of a real directory. Raises OSError; UnseenError where the stream does not tell."""
        node = self._listing(directory).get(name)
        if node is None:
            if directory in self.closed:
                raise UnseenError(f"{directory} was not looked into")
            return None
        if node.entry.kind == "link" and not node.entry.target:
            raise UnseenError(f"{directory}/{name} leads nobody knows where")
        return node.entry

    def names(self, directory: str) -> Iterable[str]:
        """Return the names in a real directory. Raises OSError."""
        return self._listing(directory)

    def content(self, real: str) -> Content:
        """Return the bytes that are kept of a file. Raises OSError; UnseenError where they were not seen."""
        node = self._file(real)
        size = max(node.entry.size, 0)
        if node.kept is None:
            return Sparse(size, [(0, bytes(min(size, HEAD)))])
        _, data = self._told(node, real)
        runs, _ = unpack_runs(data, 0)
        return Sparse(size, runs)

    def load_elf(self, real: str) -> ElfFile:
        """Return the recorded facts of an ELF file. Raises FormatError when it is none, OSError, UnseenError."""
        node = self._file(real)
        if node.kept is None:
            return read_elf(BytesContent(bytes(min(max(node.entry.size, 0), HEAD))), real)
        letter, data = self._told(node, real)
        if letter == "N":
            return read_elf(self.content(real), real)
        _, end = unpack_runs(data, 0)
        if letter == "E":
            return decode(data[end:], real)
        offset, _, message = data[end:].decode("utf-8", "surrogateescape").partition(" ")
        raise FormatError(message, path=real, offset=int(offset) if offset else None)

    def identity(self, found: Resolved) -> Hashable:
        """Return what the names of one file have in common."""
        parent, _, name = found.path.rpartition("/")
        node = self._directories.get(parent or "/", {}).get(name)
        return found.path if node is None else node.number

    # -- inside -------------------------------------------------------------------------------

    def _listing(self, directory: str) -> dict[str, _Node]:
        held = self._directories.get(directory)
        if held is None:
            raise failure(errno.ENOENT, directory)
        return held

    def _file(self, real: str) -> _Node:
        parent, _, name = real.rpartition("/")
        node = self._listing(parent or "/").get(name)
        if node is None or node.entry.kind != "file":
            raise failure(errno.ENOENT if node is None else errno.EISDIR, real)
        return node

    def _told(self, node: _Node, real: str) -> tuple[str, bytes]:
        if not isinstance(node.kept, tuple):
            raise UnseenError(f"the bytes of {real} were not looked at")
        letter, at, length = node.kept
        return letter, self._spool.pread(at, length)

    def _put_directory(self, parent: str, name: str, entry: Entry) -> None:
        """Put a directory into another one that is there. Raises StreamError."""
        if len(name) > NAME_MAX:
            raise StreamError(f"holds the name `{name[:60]}...`, longer than any file system has")
        real = f"/{parent}/{name}" if parent else f"/{name}"
        if real not in self._directories:
            self._directories[real] = {}
            self._spend(len(real) + len(name))
        self._directories[f"/{parent}" if parent else "/"][name] = _Node(entry, real)

    def _names_in(self, parent: str, name: str) -> dict[str, _Node]:
        """Return what is in a directory, which is made where the stream has not named it. Raises StreamError."""
        if len(name) > NAME_MAX:
            raise StreamError(f"holds the name `{name[:60]}...`, longer than any file system has")
        held = self._directories.get(f"/{parent}" if parent else "/")
        if held is not None:
            return held
        above, held = "", self._directories["/"]
        for part in parent.split("/"):
            path = f"{above}/{part}" if above else part
            if f"/{path}" not in self._directories:
                if part in held:
                    what = "a symbolic link" if held[part].entry.kind == "link" else "no directory"
                    raise StreamError(f"puts `{name[:200]}` below `{path[:200]}`, which is {what}")
                self._count += 1
                self._put_directory(above, part, Entry("dir", 0o755))
            above, held = path, self._directories[f"/{path}"]
        return held

    def _keep(self, kept: Kept) -> tuple[str, int, int]:
        at = self._spool.size
        self._spool.append(kept.data)
        if self._spool.size > KEPT:
            raise StreamError(f"holds more than {KEPT} bytes that loaders would look at")
        return kept.letter, at, len(kept.data)

    def _spend(self, characters: int) -> None:
        self._names += characters
        if self._count > ENTRIES or self._names > NAMES:
            raise StreamError(f"holds more than {ENTRIES} files, or names longer than {NAMES} characters together")
