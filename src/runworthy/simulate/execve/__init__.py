"""What execve(2) does with a file, as a pure function: which program takes the place of which, and what is loaded.

Source: Linux ``fs/exec.c`` (exec_binprm, search_binary_handler), ``fs/binfmt_misc.c`` (load_misc_binary),
``fs/binfmt_script.c``, ``fs/binfmt_elf.c``. What a file cannot tell is left out: ETXTBSY, E2BIG, security modules.
"""

from __future__ import annotations

from collections.abc import Sequence

from runworthy.formats.script import read_script_line
from runworthy.model.binfmt import HEAD_SIZE, Handler
from runworthy.model.execution import Execution, Rewrite
from runworthy.model.records import replace
from runworthy.simulate.execve.image import load_elf
from runworthy.simulate.execve.opening import Opened, Opener, RefusalError
from runworthy.targets.target import Target

__all__ = ["execve"]

_REWRITES = 5
_SHORT_HEAD, _SHORT_HEAD_UNTIL = 128, (5, 1, 0)


def execve(
    target: Target,
    path: str,
    argv: Sequence[str],
    *,
    cwd: str = "/",
    root_user: bool = True,
    called: str = "",
) -> Execution:
    """Return what becomes of executing ``path`` with ``argv``, which begins with argv[0], on a target.

    ``cwd`` is the absolute path at which relative ones start. ``root_user``: it is done by one who may do anything;
    else by a user who is not known, for whom a permission that not everybody has cannot be told. Where the handlers
    of the machine are not known, a file that the kernel itself takes is taken by it; whether one of those takes a file
    that are known cannot be told then. ``called`` is what ``path`` was
    called where a link led to it: the name by which handlers tell extensions.
    """
    return _Process(target, argv or ("",), Opener(target, cwd, root_user=root_user)).run(path, called)


class _Process:
    """A process between its old program and its new one (``struct linux_binprm``)."""

    def __init__(self, target: Target, argv: Sequence[str], opener: Opener) -> None:
        self._target = target
        self._opener = opener
        self._argv = tuple(argv)
        self._rewrites: list[Rewrite] = []
        self._keeps_open = False
        self._at = ""
        kernel = target.machine.kernel
        self._old = kernel is not None and kernel < _SHORT_HEAD_UNTIL

    def run(self, path: str, called: str = "") -> Execution:
        """Return how it ends."""
        self._at = path
        if not path:
            return Execution(errno="ENOENT", detail="the path is empty")
        try:
            file = self._opener.open(path)
            return self._load(replace(file, name=called) if called else file)
        except RefusalError as error:
            return Execution(
                rewrites=tuple(self._rewrites),
                errno=error.errno,
                refused=self._at,
                detail=error.detail,
                why=error.why,
            )

    def _load(self, file: Opened | None) -> Execution:
        """Go round until something is loaded. ``file`` is None where it is held open and nothing is known of it."""
        while file is not None:
            self._at = file.name
            step = self._rewrite(file)
            if step is None:
                return self._image(file)
            file = self._open_interpreter(file, step)
        detail = "the interpreter is a file that was opened when its handler was registered, outside this root"
        return Execution(rewrites=tuple(self._rewrites), argv=self._argv, detail=detail)

    def _rewrite(self, file: Opened) -> Rewrite | None:
        """Return by what a file is taken first, None where that is no interpreter. Raises RefusalError."""
        handler = self._handler(file)
        if handler is not None:
            kept = self._argv if "P" in handler.flags else self._argv[1:]
            argv = (handler.interpreter, file.name, *kept)
            return Rewrite(path=file.name, real=file.real, interpreter=handler.interpreter, argv=argv, handler=handler)
        line = read_script_line(file.head)
        if line is None:
            return None
        if self._old and b"\n" not in file.head[:_SHORT_HEAD]:
            raise RefusalError("", "what Linux before 5.1 makes of a line of 128 bytes or more", why="not-modelled")
        if line.refused:
            raise RefusalError(line.refused, "its #! line names no interpreter that the kernel could read whole")
        argument = () if line.argument is None else (line.argument,)
        argv = (line.interpreter, *argument, file.name, *self._argv[1:])
        return Rewrite(path=file.name, real=file.real, interpreter=line.interpreter, argv=argv)

    def _handler(self, file: Opened) -> Handler | None:
        handlers = self._target.handlers
        if not handlers.enabled:
            return None
        seen = _SHORT_HEAD if self._old else HEAD_SIZE
        asked = (one for one in handlers.entries if one.enabled and one.offset + len(one.magic) <= seen)
        found = next((one for one in asked if one.matches(file.head, file.name)), None)
        if found is not None and handlers.unknown:  # this one may not be in force, or another come before it
            raise RefusalError("", handlers.unknown, why="machine-unstated")
        return found

    def _open_interpreter(self, file: Opened, step: Rewrite) -> Opened | None:
        """Return the interpreter, opened. Raises RefusalError."""
        handler = step.handler
        flags = handler.flags if handler else ""
        self._rewrites.append(step)
        self._argv = step.argv
        self._at = step.interpreter
        # A relative path was looked for where the one was who registered it.
        absolute = step.interpreter.startswith("/")
        held = "F" in flags and not (absolute and self._opener.find(step.interpreter) is not None)
        opened = None if held else self._opener.open(step.interpreter, pinned="F" in flags)
        if opened is not None:
            self._rewrites[-1] = replace(step, opened=opened.real)
        self._at = file.name
        if self._keeps_open:
            raise RefusalError("ENOEXEC", "a handler with O or C keeps the file open, and its interpreter is a script")
        self._keeps_open = "O" in flags or "C" in flags
        if len(self._rewrites) > _REWRITES:
            raise RefusalError("ELOOP", f"more than {_REWRITES} interpreters, each run by the next")
        return opened

    def _image(self, file: Opened) -> Execution:
        """Return what becomes of a file that no interpreter takes. Raises RefusalError."""
        try:
            image = load_elf(file, self._target.machine, self._open_loader)
        except RefusalError as error:
            if error.errno == "ENOEXEC" and self._target.handlers.unknown:
                raise RefusalError("", self._target.handlers.unknown, why="machine-unstated") from None
            raise
        return Execution(
            rewrites=tuple(self._rewrites),
            image=file.real,
            loader=image.interpreter,
            argv=self._argv,
            dies=image.dies,
            detail=image.detail,
        )

    def _open_loader(self, name: str) -> Opened:
        """Return the program interpreter of an ELF file, opened. Raises RefusalError."""
        try:
            return self._opener.open(name)
        except RefusalError as error:
            raise RefusalError(error.errno, f"its interpreter {name}: {error.detail}", why=error.why) from None
