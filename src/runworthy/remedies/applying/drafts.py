"""What an edit of a file comes to: which entries of which directories change, from what to what."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runworthy.model.edit import (
    BringFile,
    CopyFile,
    Edit,
    EditText,
    LinkFile,
    PatchBytes,
    PatchElf,
    RemoveDirectory,
    RemoveFile,
    SetMode,
    WriteFile,
    WriteLoader,
)
from runworthy.model.errors import RemedyError
from runworthy.model.records import dataclass, replace
from runworthy.remedies.applying.ground import Ground, Place
from runworthy.remedies.applying.inodes import CAPABILITY, Content, from_bytes, from_file, is_same, look
from runworthy.remedies.applying.troubles import changed
from runworthy.remedies.applying.walking import Folder, Spot, find
from runworthy.remedies.journal import ABSENT, FileChange, Held

__all__ = ["FILE_EDITS", "IN_PLACE", "Draft", "Paths", "drafts", "fingerprint", "paths_of"]

IN_PLACE = (EditText, PatchBytes, PatchElf, SetMode)
"""Edits of what lies at the end of a path; others put something else there, and follow no link that lies there."""

FILE_EDITS = (*IN_PLACE, WriteFile, WriteLoader, CopyFile, BringFile, LinkFile, RemoveFile, RemoveDirectory)
Paths = frozenset[tuple[str, str]]
"""Places as pairs of a base and a path below it."""

_LARGEST_TEXT = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One change and the bytes that it needs. ``notes`` are what a person should know of it."""

    change: FileChange
    content: Content | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Source:
    """The file that an edit is about, as it lies there now: not always where the result goes."""

    folder: Folder
    name: str
    held: Held
    path: str

    def content(self, splices: tuple[tuple[int, bytes], ...] = ()) -> Content:
        return from_file(self.folder, self.name, self.held, splices)

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of the file; fewer where it ends. Raises OSError."""
        opened = self.content().open
        fd = opened() if opened else -1
        try:
            return os.pread(fd, size, offset)
        finally:
            os.close(fd)


@contextlib.contextmanager
def drafts(edit: Any, ground: Ground, made: Paths = frozenset()) -> Iterator[list[Draft]]:  # noqa: ANN401 - one of FILE_EDITS
    """Give what an edit comes to as long as the files that it reads are open; nothing where all is as it should be.

    ``made`` are the places that earlier edits of the same remedy wrote. Raises OSError, RemedyError: also for what is
    not as the edit says that it was judged.
    """
    place = ground.place(edit.path)
    with _found(place, follow=isinstance(edit, IN_PLACE)) as spot:
        here = (place.base, spot.path)
        if isinstance(edit, (RemoveFile, RemoveDirectory)) and ground.copies and here not in made:
            yield []
            return
        before = ABSENT if spot.missing else look(spot.folder, spot.name)
        if isinstance(edit, RemoveDirectory) and before.kind == "directory" and _is_used(spot):
            yield []
            return
        wanted = _source_place(edit, ground, place, here in made)
        if wanted is None:
            yield _changes(edit, place.base, spot, before, None)
        elif (wanted.base, wanted.path) == (place.base, place.path) and isinstance(edit, IN_PLACE):
            own = _Source(folder=spot.folder, name=spot.name, held=before, path=edit.path)
            yield _changes(edit, place.base, spot, before, own)
        else:
            with _found(wanted, follow=True) as other:
                held = ABSENT if other.missing else look(other.folder, other.name)
                source = _Source(folder=other.folder, name=other.name, held=held, path=wanted.here)
                yield _changes(edit, place.base, spot, before, source)


def paths_of(edit: Edit) -> tuple[str, ...]:
    """Return the paths of the target that an edit of a file reads or writes."""
    if isinstance(edit, CopyFile):
        return edit.path, edit.source
    return (edit.path,) if isinstance(edit, FILE_EDITS) else ()


def fingerprint(ground: Ground, edit: Any) -> str:  # noqa: ANN401 - one of FILE_EDITS
    """Return in words what lies where an edit of a file is to be made. Raises OSError, RemedyError."""
    place = ground.original(edit.path)
    with _found(place, follow=isinstance(edit, IN_PLACE)) as spot:
        held = ABSENT if spot.missing else look(spot.folder, spot.name)
    return f"{held.kind} {held.mode:04o} {held.uid} {held.gid} {held.sha256}{held.text}"


@contextlib.contextmanager
def _found(place: Place, *, follow: bool) -> Iterator[Spot]:
    if place.strict:
        follow = False
    spot = find(place.base, place.path, follow=follow, strict=place.strict)
    with spot.folder:
        yield spot


def _is_used(spot: Spot) -> bool:
    with find(spot.folder.base, f"{spot.path}/.any", follow=False, strict=True).folder as inside:
        return bool(os.listdir(inside.fd))


def _source_place(edit: object, ground: Ground, place: Place, made: bool) -> Place | None:  # noqa: FBT001 - what is known of the place
    """Return where the file lies that an edit begins with; None where it begins with none."""
    if isinstance(edit, CopyFile):
        return ground.original(edit.source)
    if isinstance(edit, IN_PLACE):
        return place if made else ground.original(edit.path)
    return None


# -- changes ---------------------------------------------------------------------------------


def _changes(edit: Any, base: str, spot: Spot, before: Held, source: _Source | None) -> list[Draft]:  # noqa: ANN401
    draft = _MAKERS[type(edit)](edit, before, source)
    if draft is None:
        return []
    words = draft.change.words.replace(edit.path, posixpath.join(base, spot.path.lstrip("/")))
    main = replace(draft.change, words=words, base=base, path=spot.path, after=_owned(draft.change, spot))
    return [*_directories(base, spot, main.words), replace(draft, change=main)]


def _owned(change: FileChange, spot: Spot) -> Held:
    """Return what is made with the owner that it gets: a set-group-id directory gives its group to new files."""
    status = os.fstat(spot.folder.fd)
    new = change.before.kind == "absent" and change.after.kind == "file"
    return replace(change.after, gid=status.st_gid) if new and status.st_mode & 0o2000 else change.after


def _directories(base: str, spot: Spot, words: str) -> Iterator[Draft]:
    """Yield the directories that have to be made first."""
    path = spot.folder.path.rstrip("/")
    status = os.fstat(spot.folder.fd)
    inherits = status.st_mode & 0o2000  # a set-group-id directory gives its group, and the bit, to those made in it
    owner = Held(
        kind="directory", mode=0o755 | inherits, uid=os.geteuid(), gid=status.st_gid if inherits else os.getegid()
    )
    for name in spot.missing:
        path = f"{path}/{name}"
        made = FileChange(
            words=f"make the directory {path} to {words}", base=base, path=path, before=ABSENT, after=owner
        )
        yield Draft(change=made)


def _write(edit: WriteFile | WriteLoader, before: Held, _source: _Source | None) -> Draft | None:
    return _put(edit.words, before, edit.mode, from_bytes(edit.content))


def _copy(edit: CopyFile, before: Held, source: _Source | None) -> Draft | None:
    held = _file(source)
    return _put(edit.words, before, edit.mode, held.content(((0, edit.head),) if edit.head else ()))


def _bring(edit: BringFile, before: Held, _source: _Source | None) -> Draft | None:
    return _put(edit.words, before, edit.mode, _of_this_machine(edit.source), edit.sha256)


def _edit_text(edit: EditText, before: Held, source: _Source | None) -> Draft | None:
    held = _file(source)
    if len(edit.before) > _LARGEST_TEXT or held.read(0, len(edit.before) + 1) != edit.before:
        raise changed()
    return _in_place(edit.words, before, held, from_bytes(edit.after))


def _patch_bytes(edit: PatchBytes, before: Held, source: _Source | None) -> Draft | None:
    held = _file(source)
    if held.read(edit.offset, len(edit.before)) != edit.before:
        raise changed()
    return _in_place(edit.words, before, held, held.content(((edit.offset, edit.after),)))


def _patch_elf(edit: PatchElf, before: Held, source: _Source | None) -> Draft | None:
    held = _file(source)
    if held.held.sha256 != edit.before:
        raise changed()
    return _in_place(edit.words, before, held, _of_this_machine(edit.made), edit.after)


def _link(edit: LinkFile, before: Held, _source: _Source | None) -> Draft | None:
    _no_directory(before)
    if before.kind == "link" and before.text == edit.text:
        return None
    return _draft(edit.words, before, Held(kind="link", text=edit.text))


def _remove(edit: RemoveFile, before: Held, _source: _Source | None) -> Draft | None:
    _no_directory(before)
    if before.kind == "absent":
        raise FileNotFoundError(2, os.strerror(2), edit.path)
    return _draft(edit.words, before, ABSENT)


def _remove_directory(edit: RemoveDirectory, before: Held, _source: _Source | None) -> Draft | None:
    if before.kind != "directory":
        raise NotADirectoryError(20, os.strerror(20), edit.path)
    return _draft(edit.words, before, ABSENT)


def _set_mode(edit: SetMode, before: Held, source: _Source | None) -> Draft | None:
    held = source.held if source else ABSENT
    if held.kind not in ("file", "directory"):
        raise FileNotFoundError(2, os.strerror(2), edit.path)
    if source is not None and not is_same(held, before):  # a copy is written
        return _put(edit.words, before, edit.mode, source.content())
    if before.mode == edit.mode:
        return None
    draft = _draft(edit.words, before, replace(before, mode=edit.mode))
    return replace(draft, change=replace(draft.change, in_place=True))


_MAKERS: Mapping[type, Callable[[Any, Held, _Source | None], Draft | None]] = {
    WriteFile: _write,
    WriteLoader: _write,
    CopyFile: _copy,
    BringFile: _bring,
    EditText: _edit_text,
    PatchBytes: _patch_bytes,
    PatchElf: _patch_elf,
    LinkFile: _link,
    RemoveFile: _remove,
    RemoveDirectory: _remove_directory,
    SetMode: _set_mode,
}


def _draft(words: str, before: Held, after: Held, content: Content | None = None) -> Draft:
    return Draft(change=FileChange(words=words, base="", path="", before=before, after=after), content=content)


def _put(words: str, before: Held, mode: int, content: Content, sha256: str = "") -> Draft:
    """Return the draft of a file whose bytes come from elsewhere: it has the mode that it is given.

    Owner and attributes are those of the file that it replaces. Capabilities are not: they were given to other bytes.
    """
    _no_directory(before)
    owner = before if before.kind == "file" else _mine()
    kept = tuple(pair for pair in owner.xattrs if pair[0] != CAPABILITY)
    after = Held(kind="file", mode=mode, uid=owner.uid, gid=owner.gid, sha256=sha256, xattrs=kept)
    dropped = ("the capabilities of the old file are not given to the new one",) if kept != owner.xattrs else ()
    return replace(_draft(words, before, after, content), notes=dropped)


def _in_place(words: str, before: Held, source: _Source, content: Content, sha256: str = "") -> Draft:
    """Return the draft of a file that is the same as before but for some of its bytes: all else stays."""
    like = source.held
    if not is_same(like, before):  # a copy is written: it belongs to whoever writes it, without privileges
        return _put(words, before, like.mode & 0o777, content, sha256)
    after = Held(kind="file", mode=like.mode, uid=like.uid, gid=like.gid, sha256=sha256, xattrs=like.xattrs)
    return _draft(words, before, after, content)


def _mine() -> Held:
    return Held(kind="file", uid=os.geteuid(), gid=os.getegid())


def _file(source: _Source | None) -> _Source:
    if source is None or source.held.kind == "absent":
        raise FileNotFoundError(2, os.strerror(2))
    if source.held.kind != "file":
        raise RemedyError(f"{source.path} is no regular file")
    return source


def _no_directory(held: Held) -> None:
    if held.kind == "directory":
        raise IsADirectoryError(21, os.strerror(21))


def _of_this_machine(path: str) -> Content:
    """Return the bytes of a file that a planner made or named. What they are is told by their hash, once written."""
    return Content(open=lambda: os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)))
