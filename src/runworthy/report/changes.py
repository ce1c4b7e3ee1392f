"""What a remedy changes, as commands and diffs that a person can read and carry out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

from runworthy.model.edit import (
    BringFile,
    Edit,
    EditText,
    InstallPackages,
    PatchBytes,
    PatchElf,
    RemovePackages,
    RunCommand,
    SetMode,
    WriteFile,
)
from runworthy.model.finding import Remedy
from runworthy.model.records import replace
from runworthy.report.words import PLAIN, Style, clean
from runworthy.targets.placement import SUBJECT_ROOT

__all__ = ["change_lines"]

_LINES, _RECIPE = 24, 60
_TEXT_LIMIT = 1 << 20


def change_lines(
    remedy: Remedy, style: Style = PLAIN, *, everything: bool = False, live: bool = False
) -> Iterator[str]:
    """Yield commands after a ``$``, and diffs, in the order in which they are made. ``live``: of this machine."""
    for edit in remedy.edits:
        lines = [clean(line) for line in _lines(_as_known(edit, live=live))]
        shown = lines if everything else lines[:_LINES]
        yield from (_painted(line, style) for line in shown)
        if len(shown) < len(lines):
            yield f"... {len(lines) - len(shown)} more lines with -v"
    yield from (clean(line) for line in (remedy.recipe if everything else remedy.recipe[:_RECIPE]))


def _as_known(edit: Edit, *, live: bool) -> Edit:
    """Return an edit with its path as a person knows it: what is placed in a target lies on this machine."""
    held: Any = edit
    path: str = getattr(edit, "path", "")
    placed = path.startswith(f"{SUBJECT_ROOT}/")
    if not placed and not live:
        return edit
    here = path.removeprefix(SUBJECT_ROOT) if placed else path
    with suppress(OSError):  # where the working directory is gone, nothing lies below it
        here = here.removeprefix(f"{os.getcwd().rstrip('/')}/")
    return cast("Edit", replace(held, path=here)) if path else edit


def _painted(line: str, style: Style) -> str:
    colours = {"+": "green", "-": "red", "$": "bold"}
    return style.paint(line, colours[line[0]]) if line[:1] in colours else line


def _lines(edit: Edit) -> Iterator[str]:
    if isinstance(edit, (InstallPackages, RemovePackages, RunCommand)):
        yield from _command(edit)
    elif isinstance(edit, EditText):
        yield from _diff(edit.path, edit.before, edit.after, edit.what)
    elif isinstance(edit, WriteFile):
        yield from _diff(edit.path, b"", edit.content, edit.words)
    elif isinstance(edit, PatchElf):
        yield _shell(("patchelf", *edit.arguments, edit.path))
    elif isinstance(edit, PatchBytes):
        yield f"{edit.path}: {edit.what}"
        yield f"- {edit.offset:#x}: {edit.before.hex(' ')}"
        yield f"+ {edit.offset:#x}: {edit.after.hex(' ')}"
    elif isinstance(edit, BringFile):
        yield _shell(("install", "-m", f"{edit.mode:04o}", edit.source, edit.path)) + f"  # {edit.origin}"
    elif isinstance(edit, SetMode):
        yield _shell(("chmod", f"{edit.mode:04o}", edit.path))
    else:
        yield edit.words


def _command(edit: InstallPackages | RemovePackages | RunCommand) -> Iterator[str]:
    from runworthy.remedies.export.words import argv_of

    yield _shell(argv_of(edit))
    if isinstance(edit, InstallPackages) and edit.with_them:
        yield f"  brings {', '.join(edit.with_them)} along"
    files = edit.archives if isinstance(edit, InstallPackages) else ()
    given = [one.archive for one in files if one.vouched == "given"]
    if given:
        yield f"  from {', '.join(given)}"


def _shell(argv: tuple[str, ...]) -> str:
    from runworthy.remedies.export.words import quoted

    return f"$ {' '.join(map(quoted, argv))}"


def _diff(path: str, before: bytes, after: bytes, what: str) -> Iterator[str]:
    """Yield a unified diff where both sides are text of a sensible size, else in words what differs."""
    from difflib import unified_diff

    old, new = _text_of(before), _text_of(after)
    if old is None or new is None:
        yield f"{path}: {what}"
    else:
        yield from unified_diff(old, new, path if before else "/dev/null", path, n=2, lineterm="")


def _text_of(content: bytes) -> list[str] | None:
    """Return the lines of a text, None where it is none or too long to be shown."""
    try:
        text = None if len(content) > _TEXT_LIMIT or b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return None
    return None if text is None else text.removesuffix("\n").split("\n") if text else []
