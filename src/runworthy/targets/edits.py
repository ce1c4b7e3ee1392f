"""Edits on a target: what it would be with them in place, and what takes them back.

Files are edited on an overlay, handlers as data; nothing is written anywhere.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from runworthy.formats.content import FileContent, Spliced, hash_of, read_exactly
from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.edit import (
    BringFile,
    BringLibrary,
    CopyFile,
    DisableHandler,
    Edit,
    EditText,
    EnableHandler,
    FileEdit,
    KernelEdit,
    LinkFile,
    LocalEdit,
    PatchBytes,
    PatchElf,
    RegisterHandler,
    RemoveDirectory,
    RemoveFile,
    RunCommand,
    SetMode,
    SwitchHandlers,
    UnpackPackage,
    UnregisterHandler,
    WriteFile,
    WriteLoader,
    actions,
)
from runworthy.model.records import replace
from runworthy.targets.overlay import Overlay
from runworthy.targets.view import FileView, failure

if TYPE_CHECKING:
    from runworthy.targets.target import Target

__all__ = ["after_boot", "edited", "inverse"]


def edited(target: Target, edits: Sequence[Edit]) -> Target:
    """Return the target with the edits in place, in their order, before it is started again. Raises OSError.

    What another program does is taken from what it is known to do.
    """
    overlay = Overlay(target.view)
    handlers = target.handlers
    for edit in actions(tuple(edits)):
        if isinstance(edit, (RegisterHandler, UnregisterHandler, DisableHandler, EnableHandler, SwitchHandlers)):
            handlers = _changed(handlers, edit, overlay)
        elif isinstance(edit, UnpackPackage):
            from runworthy.targets.additions import addition  # which knows archives

            addition(edit.archive)(target, overlay)
        elif isinstance(edit, BringLibrary):
            _bring_library(overlay, edit)
        else:
            _FILES[type(edit)](overlay, edit)
    return replace(target, view=overlay, handlers=handlers)


def after_boot(target: Target) -> Target:
    """Return the target as it is after its next boot: with the handlers that its files register."""
    from runworthy.targets.binfmt.boot import boot_of

    return replace(target, handlers=replace(boot_of(target).handlers, stated=True))


# -- the kernel ------------------------------------------------------------------------------


def _changed(handlers: Handlers, edit: KernelEdit, view: FileView) -> Handlers:
    """Return the handlers after an edit; one that names a handler that is not there changes nothing. Raises OSError."""
    held = handlers.entries
    if isinstance(edit, SwitchHandlers):
        return replace(handlers, enabled=edit.on)
    if isinstance(edit, RegisterHandler):
        if "F" in edit.handler.flags:  # bm_register_write opens it
            view.resolve(edit.handler.interpreter)
        # insert_binfmt puts the newest at the head of the list.
        rest = tuple(one for one in held if one.name != edit.handler.name)
        return replace(handlers, entries=(edit.handler, *rest))
    if isinstance(edit, UnregisterHandler):
        return replace(handlers, entries=tuple(one for one in held if one.name != edit.name))
    on = isinstance(edit, EnableHandler)
    return replace(handlers, entries=tuple(replace(one, enabled=on) if one.name == edit.name else one for one in held))


# -- files -----------------------------------------------------------------------------------


def _write(overlay: Overlay, edit: WriteFile | WriteLoader) -> None:
    _clear(overlay, edit.path)
    overlay.add_file(edit.path, edit.content, mode=edit.mode)


def _copy(overlay: Overlay, edit: CopyFile) -> None:
    content = overlay.content(overlay.resolve(edit.source).path)
    _clear(overlay, edit.path)
    overlay.add_file(edit.path, Spliced(content, 0, edit.head) if edit.head else content, mode=edit.mode)


def _bring(overlay: Overlay, edit: BringFile) -> None:
    _clear(overlay, edit.path)
    overlay.add_file(edit.path, _here(edit.source), mode=edit.mode)


def _bring_library(overlay: Overlay, edit: BringLibrary) -> None:
    from runworthy.targets.additions import relist
    from runworthy.targets.packages.recorded import recorded

    overlay.add_elf(edit.path, recorded(edit.library, edit.arch, edit.system))
    relist(overlay, (posixpath.dirname(overlay.resolve(edit.path).path),))


def _patch(overlay: Overlay, edit: PatchElf) -> None:
    real = overlay.resolve(edit.path).path
    if hash_of(overlay.content(real)) != edit.before:  # it is another file by now
        raise failure(errno.ESTALE, edit.path)
    overlay.add_file(real, _here(edit.made), mode=overlay.mode(real))


def _patch_bytes(overlay: Overlay, edit: PatchBytes) -> None:
    real = overlay.resolve(edit.path).path
    content = overlay.content(real)
    if content.pread(edit.offset, len(edit.before)) != edit.before:  # it is another file by now
        raise failure(errno.ESTALE, edit.path)
    overlay.add_file(real, Spliced(content, edit.offset, edit.after), mode=overlay.mode(real))


def _here(path: str) -> FileContent:
    """Return the content of a file of this machine. Raises OSError."""
    return FileContent(path, os.stat(path).st_size)


def _edit_text(overlay: Overlay, edit: EditText) -> None:
    found = overlay.resolve(edit.path)
    if _bytes(overlay, found.path) != edit.before:  # it is another file by now
        raise failure(errno.ESTALE, edit.path)
    overlay.add_file(found.path, edit.after, mode=overlay.mode(found.path))


def _link(overlay: Overlay, edit: LinkFile) -> None:
    _clear(overlay, edit.path)
    overlay.add_link(edit.path, edit.text)


def _remove(overlay: Overlay, edit: RemoveFile) -> None:
    if overlay.lstat(edit.path).entry.kind == "dir":
        raise failure(errno.EISDIR, edit.path)
    overlay.remove(edit.path)


def _remove_directory(overlay: Overlay, edit: RemoveDirectory) -> None:
    found = overlay.lstat(edit.path)
    if found.entry.kind != "dir":
        raise failure(errno.ENOTDIR, edit.path)
    if not list(overlay.names(found.path)):
        overlay.remove(edit.path)


def _set_mode(overlay: Overlay, edit: SetMode) -> None:
    real = overlay.resolve(edit.path).path
    overlay.add_file(real, overlay.content(real), mode=edit.mode)


_FILES: dict[type, Callable[..., None]] = {
    WriteFile: _write,
    WriteLoader: _write,
    CopyFile: _copy,
    BringFile: _bring,
    EditText: _edit_text,
    PatchBytes: _patch_bytes,
    PatchElf: _patch,
    LinkFile: _link,
    RemoveFile: _remove,
    RemoveDirectory: _remove_directory,
    SetMode: _set_mode,
}


def _clear(overlay: Overlay, path: str) -> None:
    """Take a symbolic link away that is to be replaced, and not followed."""
    if _kind(overlay, path) == "link":
        overlay.remove(path)


def _kind(view: FileView, path: str) -> str:
    """Return what lies at a path, links not followed; nothing where nothing does."""
    try:
        return view.lstat(path).entry.kind
    except OSError:
        return ""


def _bytes(view: FileView, real: str) -> bytes:
    content = view.content(real)
    return read_exactly(content, 0, content.size, "the file")


# -- back ------------------------------------------------------------------------------------


def inverse(target: Target, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Return the edits that lead from the target with ``edits`` in place back to the target as it is.

    They stand in the order in which they are to be made. What another program did is for that program to take back;
    where it has no word for that, what it is known to do is taken back instead. Raises FormatError, OSError.
    """
    back: list[Edit] = []
    for edit in edits:
        if isinstance(edit, RunCommand) and edit.undo:
            undone = inverse(target, edit.effects)
            back[:0] = [RunCommand(argv=edit.undo, undo=edit.argv, changes=f"undoes: {edit.changes}", effects=undone)]
        else:
            steps = target
            for one in actions((edit,)):
                if not isinstance(one, (UnpackPackage, BringLibrary)):  # for the package manager alone to take back
                    back[:0] = _inverse(steps, one)
                steps = edited(steps, (one,))
        target = edited(target, (edit,))
    return tuple(back)


def _inverse(target: Target, edit: FileEdit | LocalEdit | KernelEdit) -> Iterator[Edit]:
    if isinstance(edit, (RegisterHandler, UnregisterHandler, DisableHandler, EnableHandler, SwitchHandlers)):
        yield from _handlers_back(target.handlers, edit)
        return
    kind = _kind(target.view, edit.path)
    if kind == "link" and not isinstance(edit, (EditText, PatchBytes, PatchElf, SetMode)):
        yield LinkFile(path=edit.path, text=target.view.lstat(edit.path).entry.target)
    elif kind == "" and not isinstance(edit, (RemoveFile, RemoveDirectory)):
        yield RemoveFile(path=edit.path)
        yield from (RemoveDirectory(path=path) for path in _missing_parents(target.view, edit.path))
    elif isinstance(edit, SetMode):
        yield SetMode(path=edit.path, mode=target.view.mode(target.view.resolve(edit.path).path))
    elif isinstance(edit, EditText):
        yield EditText(path=edit.path, before=edit.after, after=edit.before, what=f"undo: {edit.what}")
    elif kind == "file":
        real = target.view.lstat(edit.path).path
        yield WriteFile(path=edit.path, content=_bytes(target.view, real), mode=target.view.mode(real))


def _missing_parents(view: FileView, path: str) -> Iterator[str]:
    """Yield the directories that are made for a file, the deepest first."""
    parent = path.rpartition("/")[0]
    while parent and not view.exists(parent):
        yield parent
        parent = parent.rpartition("/")[0]


def _handlers_back(handlers: Handlers, edit: KernelEdit) -> Iterator[Edit]:
    """Yield what restores a handler; one that lay below others comes back with those registered again above it."""
    if isinstance(edit, SwitchHandlers):
        yield SwitchHandlers(on=handlers.enabled)
        return
    name = edit.handler.name if isinstance(edit, RegisterHandler) else edit.name
    place = next((at for at, one in enumerate(handlers.entries) if one.name == name), None)
    if place is None:
        if isinstance(edit, RegisterHandler):
            yield UnregisterHandler(name=name)
        return
    held = handlers.entries[place]
    if isinstance(edit, (EnableHandler, DisableHandler)):
        yield (EnableHandler if held.enabled else DisableHandler)(name=name)
        return
    for one in reversed(handlers.entries[: place + 1]):
        yield from _registered(one)


def _registered(handler: Handler) -> Iterator[Edit]:
    """Yield what registers a handler as it was: a new one is always switched on."""
    yield RegisterHandler(handler=replace(handler, enabled=True))
    if not handler.enabled:
        yield DisableHandler(name=handler.name)
