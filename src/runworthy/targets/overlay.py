"""Edits over any root, in memory: what a root would be if a file were added, moved, linked or removed.

Subjects are placed, packages are laid out and remedies are judged on overlays. Nothing is written anywhere.
"""

from __future__ import annotations

import errno
from collections.abc import Hashable, Iterable, Iterator

from runworthy.formats.content import BytesContent, Content
from runworthy.model.credentials import Owner
from runworthy.model.elf import ElfFile
from runworthy.model.records import dataclass, field
from runworthy.targets.view import Entry, FileView, Resolved, failure

__all__ = ["Overlay"]

Layer = tuple[FileView, str]
"""A view and the real path of one of its directories."""


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    """An added entry: its bytes, recorded facts, or the file of another view that it stands for."""

    entry: Entry
    content: Content | None = None
    elf: ElfFile | None = None
    source: Layer | None = None


@dataclass(slots=True, eq=False)
class _Directory:
    """A directory of the overlay: edits above the layers that have it too, the uppermost layer first.

    The edit None takes a name away. A directory without edits is not held by the one above it: the layers tell.
    """

    entry: Entry
    layers: tuple[Layer, ...] = ()
    edits: dict[str, _Node | _Directory | None] = field(default_factory=dict)


class Overlay(FileView):
    """A root made of ``base`` and edits. Each edit takes effect at once; the base is never changed."""

    def __init__(self, base: FileView) -> None:
        super().__init__()
        self.base = base
        self.authority = base.authority
        self.relisted = base.relisted
        self.open_versions = base.open_versions
        self._top = _Directory(Entry("dir", 0o755), ((base, "/"),))
        self._known: dict[str, _Directory] = {"/": self._top}

    # -- edits: parents are made, links on the way are followed, the last component is replaced ------------------

    def add_file(self, path: str, data: bytes | Content, *, mode: int = 0o755) -> None:
        """Put a regular file at ``path``. Raises OSError when a parent is no directory, or ``path`` is one."""
        content = BytesContent(data) if isinstance(data, bytes) else data
        self._add(path, _Node(Entry("file", mode, content.size), content=content))

    def add_elf(self, path: str, elf: ElfFile, *, mode: int = 0o755) -> None:
        """Put a file of which only the facts are known at ``path``. Raises OSError."""
        self._add(path, _Node(Entry("file", mode, elf.facts.size), elf=elf))

    def add_from(self, path: str, view: FileView, source: str) -> None:
        """Put the file ``source`` (a real path) of another view at ``path``. Raises OSError."""
        self._add(path, _Node(view.lstat(source).entry, source=(view, source)))

    def add_link(self, path: str, target: str) -> None:
        """Put a symbolic link with the text ``target`` at ``path``. Raises OSError."""
        self._add(path, _Node(Entry("link", 0o777, len(target), target)))

    def add_hard_link(self, path: str, other: str) -> None:
        """Give the file ``other`` the second name ``path``. Raises OSError."""
        found = self.lstat(other)
        if found.entry.kind == "dir":
            raise failure(errno.EPERM, other)
        held = self._locate(found.path)
        self._add(path, _Node(found.entry, source=held) if isinstance(held, tuple) else held)

    def add_special(self, path: str, *, mode: int = 0o600) -> None:
        """Put a device, FIFO or socket at ``path``. Raises OSError."""
        self._add(path, _Node(Entry("other", mode)))

    def add_directory(self, path: str) -> None:
        """Make a directory and its parents. Raises OSError."""
        self._make_directories(path)

    def remove(self, path: str) -> None:
        """Take ``path`` away; links are not followed. Raises OSError when it is not there."""
        found = self.lstat(path)
        if found.path == "/":
            raise failure(errno.EBUSY, path)
        self._edit(found.path, None)

    def mount(self, path: str, view: FileView, source: str = "/") -> None:
        """Show the directory ``source`` (a real path) of another view at ``path``, over what is there.

        It is as if the tree had been copied: directories merge, links of the tree are resolved in this root. What is
        uppermost at ``path`` already is not mounted again.
        """
        real = self._make_directories(path)
        if self._directory_at(real).layers[:1] != ((view, source),):
            self._lay(real, (view, source))
            self._known = {"/": self._top}
            self._elf = {}
            self._forget_walks()

    # -- the root -----------------------------------------------------------------------------------------------

    def entry(self, directory: str, name: str) -> Entry | None:
        """Return the entry ``name`` of a real directory, None when there is none. Raises OSError."""
        held = self._known.get(directory) or self._directory_at(directory)
        if name in held.edits:
            edit = held.edits[name]
            return edit.entry if edit else None
        for view, path in held.layers:
            found = view.entry(path, name)
            if found is not None:
                return found
        return None

    def names(self, directory: str) -> Iterable[str]:
        """Return the names in a real directory. Raises OSError."""
        held = self._directory_at(directory)
        found: set[str] = set()
        for view, path in held.layers:
            found.update(view.names(path))
        for name, edit in held.edits.items():
            (found.add if edit else found.discard)(name)
        return found

    def content(self, real: str) -> Content:
        """Return the bytes of the regular file at a real path. Raises OSError."""
        held = self._locate(real)
        if isinstance(held, tuple):
            return held[0].content(held[1])
        if held.content is None:
            raise failure(errno.ENODATA if held.elf else errno.EACCES, real)
        return held.content

    def load_elf(self, real: str) -> ElfFile:
        """Return the ELF file at a real path; the view that holds it reads it once. Raises FormatError, OSError."""
        held = self._locate(real)
        if isinstance(held, tuple):
            return held[0].elf(held[1])
        return held.elf or super().load_elf(real)

    def identity(self, found: Resolved) -> Hashable:
        """Return what makes two names one file in the view that holds it."""
        held = self._locate(found.path)
        if isinstance(held, tuple):
            return (id(held[0]), held[0].identity(Resolved(held[1], found.entry)))
        return held

    def origin(self, real: str) -> Layer | None:
        """Return the view that holds a file and its real path there, None for what was made here. Raises OSError."""
        held = self._locate(real)
        return held if isinstance(held, tuple) else None

    def owner(self, real: str) -> Owner | None:
        """Return to whom an entry belongs, None for one of the overlay itself. Raises OSError."""
        directory, _, name = real.rpartition("/")
        edit = self._directory_at(directory or "/").edits.get(name) if name else self._top
        if isinstance(edit, _Directory):
            return next((view.owner(path) for view, path in edit.layers), None)
        held = self._locate(real)
        return held[0].owner(held[1]) if isinstance(held, tuple) else None

    # -- inside -------------------------------------------------------------------------------------------------

    def _directory_at(self, real: str) -> _Directory:
        """Return the directory at a real path. Raises OSError."""
        held = self._known.get(real)
        if held is not None:
            return held
        held, prefix = self._top, ""
        for name in real[1:].split("/"):
            prefix = f"{prefix}/{name}"
            known = self._known.get(prefix)
            if known is None:
                known = self._known[prefix] = _below(held, name, real)
            held = known
        return held

    def _editable(self, real: str) -> _Directory:
        """Return the directory at a real path, held by those above it. Raises OSError."""
        held, prefix = self._top, ""
        for name in real[1:].split("/") if real != "/" else ():
            prefix = f"{prefix}/{name}"
            below = self._directory_at(prefix)
            held.edits[name] = below
            held = below
        return held

    def _locate(self, real: str) -> _Node | Layer:
        """Return the added file at a real path, or the view that holds it and its path there. Raises OSError."""
        directory, _, name = real.rpartition("/")
        held = self._directory_at(directory or "/")
        if name in held.edits:
            edit = held.edits[name]
            if isinstance(edit, _Directory):
                raise failure(errno.EISDIR, real)
            if edit is not None:
                return edit.source or edit
        else:
            for view, path in held.layers:
                if view.entry(path, name) is not None:
                    return view, _join(path, name)
        raise failure(errno.ENOENT, real)

    def _add(self, path: str, node: _Node) -> None:
        parent, _, name = path.rstrip("/").rpartition("/")
        if not path.startswith("/") or name in ("", ".", ".."):
            raise failure(errno.EISDIR if path.startswith("/") else errno.ENOENT, path)
        real = _join(self._make_directories(parent), name)
        self._edit(real, node)

    def _edit(self, real: str, edit: _Node | _Directory | None) -> None:
        """Make the edit, and forget what was walked or read and is another thing now."""
        directory, _, name = real.rpartition("/")
        before = self.entry(directory or "/", name)
        if before and before.kind == "dir" and isinstance(edit, _Node):
            raise failure(errno.EISDIR, real)
        self._editable(directory or "/").edits[name] = edit
        self._elf.pop(real, None)
        if before and before.kind == "dir":
            self._known = {"/": self._top}
            self._elf = {}
        self._forget_walks(failed_only=before is None or before.kind in ("file", "other"))

    def _make_directories(self, path: str) -> str:
        """Make ``path`` and its parents where they are missing; return its real path. Raises OSError."""
        prefix, pending = path.rstrip("/"), list[str]()
        if prefix and not prefix.startswith("/"):
            raise failure(errno.ENOENT, path)
        where, _ = self._walk(prefix, 0)
        while where == errno.ENOENT:
            prefix, _, name = prefix.rpartition("/")
            pending.append(name)
            where, _ = self._walk(prefix, 0)
        if isinstance(where, int):
            raise failure(where, path)
        while pending:
            where = self._make_directory(where, pending.pop(), path)
        return where

    def _make_directory(self, directory: str, name: str, path: str) -> str:
        """Make one directory, through a link that leads to nothing where that is what is there."""
        real = _join(directory, name)
        entry = None if name in ("", ".", "..") else self.entry(directory, name)
        if entry is None and name not in ("", ".", ".."):
            self._edit(real, _Directory(Entry("dir", 0o755)))
            return real
        found, _ = self._walk(real, 0)
        if found == errno.ENOENT and entry and entry.kind == "link":
            target = entry.target
            return self._make_directories(target if target.startswith("/") else _join(directory, target))
        if isinstance(found, int):
            raise failure(found, path)
        return found

    def _lay(self, real: str, layer: Layer) -> None:
        """Put a layer over the directory ``real``: what it has counts, not the edits that were there before."""
        held = self._editable(real)
        held.layers = (layer, *held.layers)
        for name, edit in list(held.edits.items()):
            entry = layer[0].entry(layer[1], name)
            if entry is None:
                continue
            below = (layer[0], _join(layer[1], name))
            if entry.kind != "dir":
                del held.edits[name]
            elif isinstance(edit, _Directory):
                self._lay(_join(real, name), below)
            else:
                held.edits[name] = _Directory(entry, (below,))


def _below(above: _Directory, name: str, path: str) -> _Directory:
    """Return the directory ``name``: the one that was made, else what the layers have down to the first that hides."""
    if name in above.edits:
        edit = above.edits[name]
        if isinstance(edit, _Directory):
            return edit
        raise failure(errno.ENOTDIR if edit else errno.ENOENT, path)
    seen = list(_layers_below(above.layers, name))
    if not seen:
        raise failure(errno.ENOENT, path)
    return _Directory(seen[0][0], tuple(layer for _, layer in seen))


def _layers_below(layers: tuple[Layer, ...], name: str) -> Iterator[tuple[Entry, Layer]]:
    for view, path in layers:
        entry = view.entry(path, name)
        if entry is not None:
            if entry.kind != "dir":
                return
            yield entry, (view, _join(path, name))


def _join(directory: str, name: str) -> str:
    return f"/{name}" if directory == "/" else f"{directory}/{name}"
