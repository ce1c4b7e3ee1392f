"""A remedy as an Ansible playbook. Run again, it changes nothing; only modules of ansible.builtin are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
from runworthy.model.errors import UsageError
from runworthy.model.finding import Remedy
from runworthy.remedies.export.portable import portable
from runworthy.remedies.export.words import comment, copying, fresh, kernel_line, quoted, readable
from runworthy.remedies.export.yaml import Unsafe, Value, emit
from runworthy.targets.binfmt.units import MISC

__all__ = ["playbook"]

Task = dict[str, Value]
_TEMPLATES = ("{{", "{%", "{#")
# What packages only recommend does not come along, as it was judged.
_ANY: tuple[str, dict[str, Value]] = ("package", {})
_PACKAGES: dict[str, tuple[str, dict[str, Value]]] = {
    "apt": ("apt", {"install_recommends": False}),
    "dnf": ("dnf", {"install_weak_deps": False}),
}
_THERE = {"InstallPackages": "present", "RemovePackages": "absent"}


def playbook(remedy: Remedy) -> str:
    """Return the playbook. Raises UsageError for names that are no UTF-8 or that Ansible would change."""
    for path in (getattr(edit, name, "") for edit in portable(remedy) for name in ("path", "text")):
        if "$" in path or path.startswith("~"):
            raise UsageError(
                f"Ansible would put a variable into {comment(path)}", hint="--export sh does not", option="--export"
            )
    tasks: list[Value] = [
        {"name": _text(comment(edit.words)), **task}
        for number, edit in enumerate(portable(remedy), 1)
        for task in _tasks(f"runworthy_{number}", edit)
    ]
    play: Value = [{"name": _text(comment(remedy.title)), "hosts": "all", "become": True, "tasks": tasks}]
    return f"---\n{emit(play)}"


def _text(text: str) -> Value:
    """Return text as Ansible is to take it: never as a template."""
    return Unsafe(text) if any(mark in text for mark in _TEMPLATES) else text


def _module(name: str, /, **options: Value) -> Task:
    """Return a task that calls a module."""
    held = {key: _text(value) if isinstance(value, str) else value for key, value in options.items()}
    return {f"ansible.builtin.{name}": held}


def _tasks(name: str, edit: PortableEdit) -> Iterator[Task]:
    """Yield the tasks of an edit; ``name`` is what they call the results that they ask of each other."""
    if isinstance(edit, (InstallPackages, RemovePackages)):
        module, options = _PACKAGES.get(edit.manager, _ANY)
        yield _module(module, name=list(edit.names), state=_THERE[type(edit).__name__], **options)
    elif isinstance(edit, RunCommand):
        # It is run each time, and comes to the same each time.
        yield _command(edit.argv) | {"changed_when": False}
    elif isinstance(edit, RegisterHandler):
        yield _module("stat", path=f"{MISC}/{edit.handler.name}") | {"register": name}
        yield _module("shell", cmd=kernel_line(edit)) | {"changed_when": f"not {name}.stat.exists"}
    elif isinstance(edit, (UnregisterHandler, DisableHandler, EnableHandler, SwitchHandlers)):
        yield _module("shell", cmd=kernel_line(edit)) | {"changed_when": False}
    elif isinstance(edit, (WriteFile, WriteLoader)):
        yield _module("file", path=_parent(edit.path), state="directory")
        yield from _written(name, edit.path, edit.content, edit.mode)
    else:
        yield from _file_tasks(name, edit)


def _file_tasks(
    name: str, edit: CopyFile | EditText | LinkFile | SetMode | RemoveFile | RemoveDirectory
) -> Iterator[Task]:
    if isinstance(edit, CopyFile):
        yield _module("shell", cmd=copying(edit), creates=edit.path)
    elif isinstance(edit, EditText):
        from hashlib import sha256

        before = sha256(edit.before).hexdigest()
        yield _stat(name, edit.path)
        yield from _decoded(edit.path, edit.after, f"{name}.stat.checksum | default('') == '{before}'")
    elif isinstance(edit, LinkFile):
        yield _module("file", path=_parent(edit.path), state="directory")
        yield _module("file", src=edit.text, dest=edit.path, state="link", force=True, follow=False)
    elif isinstance(edit, SetMode):
        yield _module("file", path=edit.path, mode=f"{edit.mode:04o}")
    elif isinstance(edit, RemoveFile):
        yield _module("file", path=edit.path, state="absent")
    else:
        yield _module("command", argv=["rmdir", "--", _text(edit.path)], removes=edit.path) | {"failed_when": False}


def _command(argv: Sequence[str]) -> Task:
    """Return a task that runs a command, by a shell where Ansible would put variables and home directories into it."""
    if any("$" in word or word.startswith("~") for word in argv):
        return _module("shell", cmd=" ".join(map(quoted, argv)))
    return _module("command", argv=[_text(word) for word in argv])


def _written(name: str, path: str, content: bytes, mode: int) -> Iterator[Task]:
    """Yield what writes a file: text by the module for that, other bytes through base64, which it cannot read."""
    if readable(content):
        yield _module("copy", dest=path, content=content.decode(), mode=f"{mode:04o}")
        return
    from hashlib import sha256

    yield _stat(name, path)
    yield from _decoded(path, content, f"{name}.stat.checksum | default('') != '{sha256(content).hexdigest()}'")
    yield _module("file", path=path, mode=f"{mode:04o}")


def _stat(name: str, path: str) -> Task:
    return _module("stat", path=path, checksum_algorithm="sha256") | {"register": name}


def _decoded(path: str, content: bytes, when: str) -> Iterator[Task]:
    """Yield what puts bytes at a path, keeping owner and mode of a file that is there."""
    from base64 import b64encode

    new = quoted(f"{path}.new")
    old = quoted(path)
    owner = f'chown "$(stat -Lc %u:%g -- {old})" {new}'
    keep = f'if [ -e {old} ]; then {owner}; chmod "$(stat -Lc %a -- {old})" {new}; fi'
    cmd = f"{fresh(f'{path}.new', 'base64 -d')} && {keep} && mv -f -- {new} {old}"
    options: Mapping[str, Value] = {"cmd": cmd, "stdin": b64encode(content).decode()}
    yield _module("shell", **options) | {"when": when}


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"
