"""Edits over any root, in memory: what a root would be if a file were added, moved, linked or removed.

Subjects are placed and remedies are judged on overlays. Nothing is written anywhere.
"""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from runworthy.formats.content import BytesContent, Content
from runworthy.model.elf import ElfFile
from runworthy.targets.view import Entry, FileView, Resolved, failure

__all__ = ["Overlay"]


@dataclass(frozen=True, slots=True)
class _Node:
    """An added entry: its bytes, recorded facts, or the file of another view that it stands for."""

    entry: Entry
    content: Content | None = None
    elf: ElfFile | None = None
    source: tuple[FileView, str] | None = None


_DIRECTORY = _Node(Entry("dir", 0o755))


class Overlay(FileView):
    """A root made of ``base`` and edits. Each edit takes effect at once; the base is never changed."""

    def __init__(self, base: FileView) -> None:
        super().__init__()
        self.base = base
        self.authority = base.authority
        self._nodes: dict[str, dict[str, _Node | None]] = {}
        self._mounts: list[tuple[str, FileView, str]] = []

    # -- edits ------------------------------------------------------------------------------

    def add_file(self, path: str, data: bytes | Content, *, mode: int = 0o755) -> None:
        """Put a regular file at ``path`` (parents are made). Raises OSError when a parent is no directory."""
        content = BytesContent(data) if isinstance(data, bytes) else data
        self._put(path, _Node(Entry("file", mode, content.size), content=content))

    def add_elf(self, path: str, elf: ElfFile, *, mode: int = 0o755) -> None:
        """Put a file of which only the facts are known at ``path``. Raises OSError."""
        self._put(path, _Node(Entry("file", mode, elf.facts.size), elf=elf))

    def add_from(self, path: str, view: FileView, source: str) -> None:
        """Put the file ``source`` (a real path) of another view at ``path``. Raises OSError."""
        entry = view.lstat(source).entry
        self._put(path, _Node(entry, source=(view, source)))

    def add_link(self, path: str, target: str) -> None:
        """Put a symbolic link with the text ``target`` at ``path``. Raises OSError."""
        self._put(path, _Node(Entry("link", 0o777, len(target), target)))

    def add_directory(self, path: str) -> None:
        """Make a directory and its parents. Raises OSError."""
        self._make_directories(posixpath.normpath(path))

    def remove(self, path: str) -> None:
        """Take ``path`` away; links are not followed. Raises OSError when it is not there."""
        found = self.lstat(path)
        parent, name = posixpath.split(found.path)
        self._nodes.setdefault(parent, {})[name] = None
        self._changed()

    def mount(self, path: str, view: FileView, source: str = "/") -> None:
        """Show the directory ``source`` (a real path) of another view at ``path``, over what the base has there.

        Links of the mounted tree are resolved in this root, as they would be had the tree been copied.
        """
        self.add_directory(path)
        real = self._directory(posixpath.normpath(path), [40])
        self._mounts.append((real, view, source.rstrip("/")))
        self._changed()

    # -- the root ---------------------------------------------------------------------------

    def entry(self, directory: str, name: str) -> Entry | None:
        """Return the entry ``name`` of a real directory, None when there is none. Raises OSError."""
        nodes = self._nodes.get(directory)
        if nodes is not None and name in nodes:
            node = nodes[name]
            return node.entry if node else None
        for view, path in self._layers(directory):
            found = _entry(view, path, name)
            if found is not None:
                return found
        return None

    def names(self, directory: str) -> Iterable[str]:
        """Return the names in a real directory. Raises OSError."""
        found: set[str] = set()
        known = directory in self._nodes
        for view, path in self._layers(directory):
            try:
                found.update(view.names(path))
                known = True
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
        if not known:
            raise failure(errno.ENOENT, directory)
        for name, node in self._nodes.get(directory, {}).items():
            (found.add if node else found.discard)(name)
        return found

    def content(self, real: str) -> Content:
        """Return the bytes of the regular file at a real path. Raises OSError."""
        node = self._node(real)
        if node is not None and node.content is not None:
            return node.content
        if node is not None and node.elf is not None:
            raise failure(errno.ENODATA, real)
        view, path = self._origin(real)
        return view.content(path)

    def load_elf(self, real: str) -> ElfFile:
        """Return the ELF file at a real path; the view that holds it reads it once. Raises FormatError, OSError."""
        node = self._node(real)
        if node is not None and node.elf is not None:
            return node.elf
        if node is not None and node.content is not None:
            return super().load_elf(real)
        view, path = self._origin(real)
        return view.elf(path)

    def identity(self, found: Resolved) -> Hashable:
        """Return what makes two names one file in the view that holds it."""
        node = self._node(found.path)
        if node is not None and node.source is None:
            return found.path
        view, path = self._origin(found.path)
        return (id(view), view.identity(Resolved(path, found.entry)))

    # -- inside -----------------------------------------------------------------------------

    def _layers(self, directory: str) -> Iterable[tuple[FileView, str]]:
        """Yield (view, path) of each layer that may hold ``directory``, the uppermost first."""
        for at, view, source in reversed(self._mounts):
            if directory == at:
                yield view, source or "/"
            elif directory.startswith(f"{at}/"):
                yield view, source + directory[len(at) :]
        yield self.base, directory

    def _node(self, real: str) -> _Node | None:
        parent, name = posixpath.split(real)
        return self._nodes.get(parent, {}).get(name)

    def _origin(self, real: str) -> tuple[FileView, str]:
        node = self._node(real)
        if node is not None and node.source is not None:
            return node.source
        parent, name = posixpath.split(real)
        for view, path in self._layers(parent):
            if _entry(view, path, name) is not None:
                return view, posixpath.join(path, name)
        raise failure(errno.ENOENT, real)

    def _put(self, path: str, node: _Node) -> None:
        parent, name = posixpath.split(posixpath.normpath(path))
        directory = self._make_directories(parent)
        self._nodes.setdefault(directory, {})[name] = node
        self._changed()

    def _make_directories(self, path: str) -> str:
        """Make ``path`` and its parents where they are missing; return its real path. Raises OSError."""
        try:
            return self._directory(path, [40])
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        parent, name = posixpath.split(path)
        directory = self._make_directories(parent)
        self._nodes.setdefault(directory, {})[name] = _DIRECTORY
        self._nodes.setdefault(posixpath.join(directory, name), {})
        self._changed()
        return posixpath.join(directory, name)

    def _changed(self) -> None:
        """Forget what was walked or read before the edit."""
        self._directories = {"/": "/"}
        self._elf = {}


def _entry(view: FileView, directory: str, name: str) -> Entry | None:
    """Return an entry of a layer that may not have the directory at all."""
    try:
        if view.real_directory(directory) != directory:
            return None
        return view.entry(directory, name)
    except NotADirectoryError:
        return None
