"""A remedy as user-data for cloud-init: files by write_files, the rest by runcmd, once, at an instance's first boot."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.edit import (
    CopyFile,
    DisableHandler,
    EditText,
    EnableHandler,
    InstallPackages,
    LinkFile,
    PortableEdit,
    RegisterHandler,
    RemoveDirectory,
    RemoveFile,
    RemovePackages,
    RunCommand,
    SetMode,
    SwitchHandlers,
    UnregisterHandler,
    WriteFile,
    WriteLoader,
)
from runworthy.model.finding import Remedy
from runworthy.remedies.export.portable import portable
from runworthy.remedies.export.words import argv_of, base64_lines, comment, copying, kernel_line, quoted, readable
from runworthy.remedies.export.yaml import Value, emit

__all__ = ["user_data"]


def user_data(remedy: Remedy) -> str:
    """Return the user-data. Raises UsageError for names that are no UTF-8."""
    files = [_file(edit.path, edit.content, edit.mode) for edit in portable(remedy) if isinstance(edit, _WRITTEN)]
    commands = [command for edit in portable(remedy) for command in _commands(edit)]
    data: dict[str, Value] = {}
    if files:
        data["write_files"] = files
    if commands:
        data["runcmd"] = commands
    return f"#cloud-config\n# {comment(remedy.title)}\n{emit(data)}"


_WRITTEN = (WriteFile, WriteLoader)
_END = "end_of_text"


def _file(path: str, content: bytes, mode: int) -> Value:
    row: dict[str, Value] = {"path": path, "owner": "root:root", "permissions": f"{mode:04o}"}
    if readable(content):
        return row | {"content": content.decode()}
    from base64 import b64encode

    return row | {"encoding": "b64", "content": b64encode(content).decode()}


def _commands(edit: PortableEdit) -> Iterator[Value]:
    """Yield the commands of an edit as argument lists, or as text of a shell."""
    if isinstance(edit, (RunCommand, InstallPackages, RemovePackages)):
        yield list(argv_of(edit))
    elif isinstance(edit, (RegisterHandler, UnregisterHandler, DisableHandler, EnableHandler, SwitchHandlers)):
        yield ["sh", "-c", kernel_line(edit)]
    elif isinstance(edit, LinkFile):
        yield ["mkdir", "-p", "--", edit.path.rpartition("/")[0] or "/"]
        yield ["ln", "-sfn", "--", edit.text, edit.path]
    elif isinstance(edit, CopyFile):
        yield ["sh", "-c", copying(edit)]
    elif isinstance(edit, EditText):
        yield from _edit_text(edit)
    elif isinstance(edit, SetMode):
        yield ["chmod", f"{edit.mode:o}", "--", edit.path]
    elif isinstance(edit, RemoveFile):
        yield ["rm", "-f", "--", edit.path]
    elif isinstance(edit, RemoveDirectory):
        yield ["sh", "-c", 'rmdir -- "$1" 2>/dev/null || :', "sh", edit.path]


def _edit_text(edit: EditText) -> Iterator[Value]:
    """Yield what edits a file that is still the one that was looked at.

    These are lines of the shell that runs all commands: a word of a command has room for 128 KiB (execve(2)).
    """
    from hashlib import sha256

    path, before = quoted(edit.path), sha256(edit.before).hexdigest()
    asked = f'if [ "$(sha256sum <{path})" = "{before}  -" ]; then'
    yield f"{asked}\nbase64 -d >{path} <<'{_END}'\n{base64_lines(edit.after)}{_END}\nfi\n"
