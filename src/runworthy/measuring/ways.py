"""The ways in which one file can be started: as it is now, natively, and through an interpreter that is proposed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from runworthy.model.binfmt import Handler, Handlers
from runworthy.model.errors import FormatError, SubjectError, UsageError
from runworthy.model.measurement import Way
from runworthy.model.program import APE_LOADER, ApeLoader, FileFacts, FileType
from runworthy.model.records import dataclass
from runworthy.simulate.purpose import purpose_of

if TYPE_CHECKING:
    from runworthy.formats.content import FileContent

__all__ = ["Ways", "find_program", "handlers_here", "ways"]

_SHELL = "/bin/sh"
_PROPOSAL = "the handler that `runworthy check` proposes starts it so, too"
_READ_BY_SHELLS = ("ape", "text")
_WORDS: dict[FileType, str] = {
    "elf": "ELF file",
    "ape": "Actually Portable Executable",
    "pe": "program for Windows",
    "mach-o": "program for macOS",
    "script": "script",
    "jar": "Java archive",
    "zip": "zip archive",
    "wasm": "WebAssembly module",
    "python-bytecode": "Python bytecode",
    "archive": "archive",
    "text": "text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways of starting ``program``, first as it is now; notes tell of those that are not there.

    ``kind`` says what the file is.
    """

    program: str
    ways: tuple[Way, ...]
    kind: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: str
    arguments: tuple[str, ...]
    facts: FileFacts
    handlers: Handlers
    scratch: str

    @property
    def taken(self) -> Handler | None:
        """The handler that is expected to take it."""
        return self.handlers.taking(self.facts.head, self.path)

    @property
    def read_by_shells(self) -> bool:
        """Whether a shell reads it as a script once execve has answered ENOEXEC."""
        return self.facts.type in _READ_BY_SHELLS

    @property
    def rewritten_by_shells(self) -> bool:
        """Whether its script would turn the file itself into another, having no loader for this machine."""
        return self.facts.ape is not None and self.facts.ape.rewrites_itself and not self.loaders

    @property
    def loaders(self) -> list[ApeLoader]:
        """The loaders for this machine that it carries as programs."""
        import platform
        import sys

        from runworthy.model.arch import architecture

        here = architecture(platform.machine())
        held = self.facts.ape.loaders if self.facts.ape and here else ()
        fitting = [one for one in held if here and one.arch == here.name and one.system == sys.platform]
        return [one for one in fitting if one.form != "source"]

    @property
    def script(self) -> tuple[str, ...]:
        """What the kernel executes for its `#!` line, as words."""
        line = self.facts.script
        if line is None or line.refused or not line.interpreter:
            return ()
        return (line.interpreter, *([line.argument] if line.argument is not None else []))

    def way(self, label: str, before: Sequence[str], why: str, handler: str = "") -> Way:
        """Return a way that puts these words before the file and its arguments."""
        return Way(label=label, argv=(*before, self.path, *self.arguments), why=why, handler=handler)


def find_program(word: str) -> str:
    """Return the path of a file as it is to be executed: the file of this name, else one in PATH. Raises SubjectError.

    A name without a slash gets one, so that it stays the file that was found.
    """
    if os.path.lexists(word):
        return word if "/" in word else f"./{word}"
    if "/" not in word and word:
        for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
            path = os.path.join(directory or ".", word)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
    raise SubjectError([word])


def ways(
    path: str,
    arguments: Sequence[str] = (),
    *,
    handlers: Handlers | None = None,
    loader: str = "",
    through: Sequence[str] = (),
    scratch: str = "",
) -> Ways:
    """Return the ways of starting the file at ``path``.

    ``handlers`` are those of this machine where they are not given. ``loader`` is a program that starts the file as its
    own loader would, ``through`` are programs that are proposed; where none is, an APE loader that this machine has is,
    since `runworthy check` proposes to register it. Into the directory ``scratch`` the loader that an APE
    carries is written. Raises UsageError where a program that is named is not there, and where no way is left.
    """
    held = handlers_here() if handlers is None else handlers
    file = _File(path=path, arguments=tuple(arguments), facts=_identify(path), handlers=held, scratch=scratch)
    now, native = _now(file), _native(file, _named("--loader", loader) if loader else "")
    proposed = list(_proposed(file, through))
    found = [way for way in (now, native) if isinstance(way, Way)] + proposed
    notes = [note for note in (now, native) if isinstance(note, str)]
    if not found:
        raise UsageError(f"{path}: {notes[0]}", hint="--loader PROGRAM names an APE loader to start it through")
    if held.unknown:
        notes.append(f"which handlers this machine has is not certain: {held.unknown}")
    kind = _WORDS.get(file.facts.type, "file")
    return Ways(program=path, ways=tuple(found), kind=kind, notes=tuple(notes))


def _now(file: _File) -> Way | str:
    """Return what happens when a person starts it: execve, and the shell where that answers ENOEXEC."""
    if file.taken:
        why = f"the handler `{file.taken.name}` of binfmt_misc gives it to {file.taken.interpreter}"
        return file.way("now", (), why, file.taken.name)
    if file.rewritten_by_shells:
        return "it is not started as it is now: the shell that reads it would rewrite the file itself"
    if file.read_by_shells:
        return file.way("now", (_SHELL,), "no handler takes it: execve answers ENOEXEC, and a shell reads it")
    if file.script:
        return file.way("now", (), f"no handler takes it: the kernel gives it to {' '.join(file.script)}")
    return file.way("now", (), "no handler takes it: the kernel executes it itself, or refuses it")


def _native(file: _File, loader: str) -> Way | str:
    """Return how it is started without a foreign handler; where there is no such way, the note that says why."""
    if loader:
        return file.way("native", (loader,), "through the loader that was named")
    if embedded := _embedded_loader(file):
        why = "through the loader that it carries, which is what its script unpacks"
        return file.way("native", (embedded,), f"{why}; {_PROPOSAL}" if _lacks_its_loader(file) else why)
    if file.taken is None:
        return "there is no other native way" if file.rewritten_by_shells else "no handler takes it: `now` is native"
    if file.rewritten_by_shells:
        return "there is no native way past the handler: a shell that reads the file would rewrite it"
    if file.read_by_shells:
        return file.way("native", (_SHELL,), "a shell reads it, and no handler is asked")
    if file.script:
        return file.way("native", file.script, "the interpreter that its first line names, and no handler is asked")
    if file.facts.type == "elf":
        return _by_its_loader(file)
    return f"there is no native way: the kernel executes no {_WORDS.get(file.facts.type, 'such file')}"


def _embedded_loader(file: _File) -> str:
    """Write the loader that an APE carries for this machine into the scratch directory; return its path, or nothing."""
    loaders = file.loaders
    if not loaders or not file.scratch:
        return ""
    from runworthy.formats.ape import extract_loader

    try:
        data = extract_loader(_content(file.path), loaders[0])
    except (FormatError, OSError):
        return ""
    path = os.path.join(file.scratch, "ape")
    with open(path, "wb") as stream:
        stream.write(data)
    os.chmod(path, stat.S_IRWXU)
    return path


def _by_its_loader(file: _File) -> Way | str:
    """Return the way through the loader that an ELF file names, when the machine and the handlers let that be."""
    interpreter, here = _elf(file.path)
    if not here:
        return "there is no native way: it is not for the processor of this machine"
    if not interpreter:
        return "there is no native way past the handler: the file is static, and names no loader"
    try:
        head = _identify(interpreter).head
    except UsageError:
        return f"there is no native way: its loader {interpreter} is not there"
    if taken := file.handlers.taking(head, interpreter):
        return f"there is no native way past the handler: `{taken.name}` takes its loader {interpreter} too"
    return file.way("native", (interpreter,), "its own loader starts it, and no handler is asked")


def _lacks_its_loader(file: _File) -> bool:
    """Whether an APE is not given to a loader, nor has this machine one."""
    return not os.path.isfile(APE_LOADER) and (file.taken is None or purpose_of(file.taken).kind != "ape-loader")


def _proposed(file: _File, through: Sequence[str]) -> Iterator[Way]:
    """Yield the ways through programs that are named, else through what `runworthy check` would register."""
    taken = file.taken is not None and purpose_of(file.taken).kind == "ape-loader"
    if not through and file.facts.ape is not None and not taken and os.path.isfile(APE_LOADER):
        yield file.way("proposed", (APE_LOADER,), f"through this machine's APE loader; {_PROPOSAL}")
    for at, word in enumerate(through, 1):
        label = "proposed" if len(through) == 1 else f"proposed {at}"
        yield file.way(label, (_named("--through", word),), "through the program that was named")


def _named(option: str, word: str) -> str:
    """Return the path of a program that an option names. Raises UsageError."""
    try:
        return find_program(word)
    except SubjectError as error:
        raise UsageError(f"{option} {word}: no such program", option=option) from error


def handlers_here() -> Handlers:
    """Return the handlers of this machine's kernel, as this process sees them."""
    import sys

    if sys.platform != "linux":
        return Handlers()
    from runworthy.targets.binfmt.live import handlers_of, read_binfmt_misc

    return handlers_of(read_binfmt_misc())


def _identify(path: str) -> FileFacts:
    """Return what a file is. Raises UsageError when it cannot be read."""
    from runworthy.formats.identify import identify

    try:
        return identify(_content(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _content(path: str) -> FileContent:
    """Return its bytes, to be read when they are asked for. Raises OSError."""
    from runworthy.formats.content import FileContent

    return FileContent(path, os.stat(path).st_size)


def _elf(path: str) -> tuple[str, bool]:
    """Return the loader that an ELF file names, and whether the file is for the processor of this machine."""
    import platform

    from runworthy.formats.elf import read_elf
    from runworthy.model.arch import architecture

    try:
        facts = read_elf(_content(path), path).facts
    except (FormatError, OSError):
        return "", False
    return facts.interpreter or "", facts.architecture == architecture(platform.machine())
