"""binfmt_misc as it fills while a system boots: what is written to it, and what becomes of that."""

from __future__ import annotations

import errno

from runworthy.formats.binfmt.registration import RegistrationError, parse_registration
from runworthy.model.binfmt import BootNote, Handler
from runworthy.model.records import replace
from runworthy.targets.view import FileView, UnseenError

__all__ = ["Registry", "is_there", "names_nothing", "small_text"]

TEXT_LIMIT = 256 << 10
"""Longest file of configuration that is read (bytes)."""
_WRITES = 10_000
_NOTES = 1000
_EXECUTE = 0o111


class Registry:
    """The handlers so far, and what was noted on the way. ``full``: more was written than is looked at."""

    __slots__ = ("_entries", "_notes", "_writes", "enabled", "view")

    def __init__(self, view: FileView) -> None:
        self.view = view
        self.enabled = True
        self._entries: dict[str, Handler] = {}
        self._notes: dict[BootNote, None] = {}
        self._writes = 0

    @property
    def entries(self) -> tuple[Handler, ...]:
        """The handlers, the newest first."""
        return tuple(reversed(self._entries.values()))

    @property
    def notes(self) -> tuple[BootNote, ...]:
        """What was noted, each once."""
        return tuple(self._notes)

    @property
    def full(self) -> bool:
        """Whether more has been written than is looked at."""
        return self._writes >= _WRITES

    def note(self, kind: str, path: str, text: str, line: int = 0) -> None:
        """Write down what is worth knowing, once."""
        if len(self._notes) < _NOTES:
            self._notes[BootNote(kind=kind, path=path, text=text, line=line)] = None

    def find(self, name: str) -> Handler | None:
        """Return the handler of this name."""
        return self._entries.get(name)

    def add(self, handler: Handler) -> None:
        """Put a handler before all others, whatever it is; one of its name gives way."""
        self._entries.pop(handler.name, None)
        self._entries[handler.name] = handler

    def change(self, handler: Handler) -> None:
        """Put a handler in the place of the one of its name."""
        self._entries[handler.name] = handler

    def flush(self) -> None:
        """Delete all handlers."""
        self._entries = {}

    def write(self, text: bytes, path: str, line: int = 0) -> Handler | None:
        """Write to ``register`` for a file at ``path``; return the handler, None where the kernel refuses it."""
        self._writes += 1
        if self.full:
            return None
        try:
            handler = parse_registration(text, path)
        except RegistrationError as error:
            self.note("refused", path, error.message, line)
            return None
        if "F" in handler.flags and (refused := self._unopenable(handler.interpreter, path, line)):
            self.note("refused", path, f"{refused}: {handler.name} has the flag F, by which it is opened now", line)
            return None
        if handler.name in self._entries:
            self.note("refused", path, f"EEXIST: a handler {handler.name} is there already", line)
            return None
        self.add(handler)
        return handler

    def delete(self, name: str) -> None:
        """Write -1 to a handler: ``status`` stands for all of them."""
        if name == "status":
            self.flush()
        self._entries.pop(name, None)

    def switch(self, name: str, *, on: bool) -> None:
        """Write 1 or 0 to a handler: ``status`` switches binfmt_misc itself."""
        if name == "status":
            self.enabled = on
        if name in self._entries:
            self.change(replace(self._entries[name], enabled=on))

    def _unopenable(self, interpreter: str, path: str, line: int) -> str:
        """Return why the kernel cannot open an interpreter to execute it, empty where it can (do_open_execat)."""
        at = interpreter if interpreter.startswith("/") else f"/{interpreter}"  # services are started in /
        try:
            found = self.view.find(at)
        except UnseenError:
            self.note("unknown", path, f"whether {interpreter} can be opened is not known", line)
            return ""
        number = found if isinstance(found, int) else 0
        if not isinstance(found, int) and not (found.entry.kind == "file" and found.entry.mode & _EXECUTE):
            number = errno.EACCES
        return f"{errno.errorcode[number]}: {interpreter}" if number else ""


def small_text(view: FileView, path: str) -> bytes | None:
    """Return the bytes of a small file, None where there is none that is known. Raises FormatError where it is long."""
    try:
        return view.read(path, TEXT_LIMIT)
    except (OSError, UnseenError):
        return None


def is_there(view: FileView, path: str, kind: str = "") -> bool:
    """Whether a path is known to lead to something, of a kind where one is given."""
    try:
        found = view.find(path)
    except UnseenError:
        return False
    return not isinstance(found, int) and kind in ("", found.entry.kind)


def names_nothing(view: FileView, directory: str, name: str) -> bool:
    """Whether an entry is a link to /dev/null, or an empty file, by which systemd has a file masked.

    Links are judged by their text first: a root that is no running system has no devices in /dev.
    """
    import posixpath

    try:
        entry = view.lstat(f"{directory}/{name}").entry
        if entry.kind == "link":
            if posixpath.normpath(posixpath.join(directory, entry.target)) == "/dev/null":
                return True
            found = view.find(f"{directory}/{name}")
            if isinstance(found, int):
                return False
            entry = found.entry
    except (OSError, UnseenError):
        return False
    return entry.kind == "file" and entry.size == 0
