"""Who executes a file, and what each makes of a refusal: reads it as a shell script, or says an error of its own.

Sources: bash 5.2 ``execute_cmd.c`` (shell_execve) and ``general.c`` (check_binary_file); dash 0.5.12 ``exec.c`` with
the patch of Debian and Ubuntu (file_is_binary); zsh 5.9 ``Src/exec.c`` (zexecve); fish 3.6 ``src/exec.cpp``
(is_thompson_shell_payload); mksh 59c ``exec.c`` (scriptexec) as in Debian; tcsh 6.24 ``sh.exec.c`` (texec); busybox
``shell/ash.c`` (tryexec); glibc ``posix/execvpe.c``, musl ``src/process/execvp.c``; Python ``_posixsubprocess.c``; Go
``syscall``; runc ``libcontainer/standard_init_linux.go``; systemd ``systemd.exec(5)``, process exit codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from runworthy.formats.script import read_script_line
from runworthy.model.execution import Execution
from runworthy.model.records import dataclass
from runworthy.targets.target import Target
from runworthy.targets.view import UnseenError

__all__ = ["CALLERS", "GROUPS", "CallerOutcome", "members", "outcome"]

How = Literal["runs", "script", "refuses", "unknown"]
"""``runs``: as the kernel says, to its end; ``script``: a shell reads the file; ``unknown``: the kernel's part is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerOutcome:
    """What a caller makes of an execve.

    ``shell`` is what reads the file where that is a script: ``/bin/sh``, or the caller's own name. ``status`` is what
    the caller itself exits with, or reports of the command, where it refuses; None where that is up to a program of
    its own. ``message`` is what it says then, without its own name before it.
    """

    caller: str
    how: How
    shell: str = ""
    status: int | None = None
    message: str = ""


Text = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What a caller sees of the file: ``head`` are its first bytes, up to 256; None: there is no file."""

    path: str
    head: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    """``text`` says which files it takes for scripts after ENOEXEC, None: it takes none.

    ``reader`` is what reads them. ``line`` returns the interpreter of a ``#!`` line that the caller cuts and executes
    itself, empty where it sees none. ``needs_glibc``: it leaves all that to the C library, and musl's does not.
    ``says`` gives status and message of an errno.
    """

    says: Callable[[str, Execution, _File], tuple[int | None, str]]
    text: Text | None = None
    reader: str = "/bin/sh"
    line: Callable[[bytes], str] | None = None
    needs_glibc: bool = False


GROUPS = ("shell", "direct")
"""What stands for callers: the shells of a root, and a bare execve."""


def members(group: str, target: Target) -> tuple[str, ...]:
    """Return the callers that a name stands for on a target; none for ``shell`` where the root has none."""
    if group != "shell":
        return (group,)
    found = [_called(target, path) for path in ("/bin/sh", "/bin/bash")]
    return tuple(dict.fromkeys(name for name in found if name))


def _called(target: Target, path: str) -> str:
    """Return which shell lies at a path: by its real name; empty where there is none, its own name if unknown."""
    try:
        found = target.view.find(path)
    except UnseenError:
        found = 2
    own = path.rpartition("/")[2]
    if isinstance(found, int):
        return "" if target.view.authority is None else own
    name = found.path.rpartition("/")[2]
    return next((shell for shell in _SHELLS if name.startswith(shell)), own)


_SHELLS = ("bash", "dash", "zsh", "mksh", "busybox", "fish", "tcsh")


def outcome(
    caller: str, execution: Execution, path: str, head: bytes | None, size: int, *, libc: str = "glibc"
) -> CallerOutcome:
    """Return what one of :data:`CALLERS` makes of executing ``path``. Raises KeyError for another name.

    ``head`` are the file's first 256 bytes, of which it has ``size`` at most; None where there is no such file.
    ``libc`` is the C library that the caller is linked with.
    """
    row = CALLERS[caller]
    if execution.why is not None:
        return CallerOutcome(caller=caller, how="unknown", message=execution.detail)
    if not execution.errno:
        return CallerOutcome(caller=caller, how="runs")
    file = _File(path=path, head=None if head is None else head[: min(size, len(head))])
    own = row.line(file.head) if row.line and file.head else ""
    if own and execution.errno == "ENOEXEC" and execution.rewrites and execution.rewrites[0].handler:
        return CallerOutcome(caller=caller, how="script", shell=own)  # it goes round the handler
    if row is CALLERS["zsh"] and execution.errno == "ENOENT" and own and own[0] != "/":
        return CallerOutcome(caller=caller, how="unknown", message=f"zsh looks for {own} in PATH")
    falls_back = row.text is not None and not (row.needs_glibc and libc == "musl")
    if execution.errno == "ENOEXEC" and falls_back and row.text and row.text(file.head or b""):
        return CallerOutcome(caller=caller, how="script", shell=_reader(row, file))
    status, message = row.says(execution.errno, execution, file)
    return CallerOutcome(caller=caller, how="refuses", status=status, message=message)


def _reader(row: _Caller, file: _File) -> str:
    """Return what reads a script: tcsh gives those that begin with a comment to itself, and those of one byte."""
    if row.reader == "tcsh":
        return "tcsh" if file.head is None or len(file.head) < 2 or file.head[:1] == b"#" else "/bin/sh"
    return row.reader


# -- what looks like a script ---------------------------------------------------------------------


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _anything(head: bytes) -> bool:
    return head is not None


def _bash_text(head: bytes) -> bool:
    """No ELF file, and no NUL in the first line (of 128 bytes)."""
    return head[:4] != b"\x7fELF" and b"\0" not in head[:128].partition(b"\n")[0]


_DASH_BINARY = frozenset((*range(9), *range(16, 27), *range(28, 32), 0x7F))


def _dash_text(head: bytes) -> bool:
    """No control character that no text has in the first line (of 128 bytes)."""
    return _DASH_BINARY.isdisjoint(head[:128].partition(b"\n")[0])


def _posix_text(head: bytes) -> bool:
    """No NUL, or before it a whole line after or in which there is a lower-case letter, a dollar or a backtick."""
    before, nul, _ = head.partition(b"\0")
    if not nul:
        return True
    letter = next((at for at, byte in enumerate(before) if 97 <= byte <= 122 or byte in b"$`"), None)
    return letter is not None and b"\n" in before[letter:]


def _zsh_text(head: bytes) -> bool:
    """As POSIX asks, within 128 bytes; a file with ``#!`` is for its interpreter, or for nobody."""
    return head[:2] != b"#!" and _posix_text(head[:128])


def _zsh_line(head: bytes) -> str:
    """Return the interpreter as zsh cuts it: behind blanks, up to a blank; the rest where the line does not end."""
    line, newline, _ = head[:128].partition(b"\n")
    if line[:2] != b"#!":
        return ""
    text = line[2:].partition(b"\0")[0]
    return _decoded(text.rstrip(b" \t").lstrip(b" ").partition(b" ")[0] if newline else text)


_MKSH_MAGICS = frozenset(
    "0107 0108 010b 00cc 4c01 0150 5001 0500 0005 425a 4d5a 4e45 4c58 0b13 4c5a 377a 1f8b 1f9d 0000 fffe feff".split()
)
_MKSH_LONG_MAGICS = (b"\x7fELF", b"\xfd7zXZ", b"\xef\xbb\xbf")


def _mksh_text(head: bytes) -> bool:
    """None of the magics that it knows; a file of fewer than five bytes is not looked at."""
    if len(head) < 5:
        return True
    seen = _mksh_seen(head)
    return not _mksh_line(head) and seen[:2].hex() not in _MKSH_MAGICS and not seen.startswith(_MKSH_LONG_MAGICS)


def _mksh_seen(head: bytes) -> bytes:
    """Return the bytes at which mksh looks: the newline that ends the first line has become a NUL."""
    line, newline, rest = head[:67].partition(b"\n")
    return line + (b"\0" if b"\0" not in line else newline) + rest if newline else line


def _mksh_line(head: bytes) -> str:
    """Return the interpreter of a ``#!`` line of up to 67 bytes."""
    line, newline, _ = head[:67].partition(b"\n")
    if len(head) < 5 or not newline or b"\0" in line or line[:2] != b"#!":
        return ""
    return _decoded((line[2:].split() or [b""])[0])


def _tcsh_text(head: bytes) -> bool:
    """A printable character, tab or newline begins it; a file of one byte is not looked at."""
    return len(head) < 2 or 32 <= head[0] < 127 or head[0] in b"\n\t"


# -- what is said ---------------------------------------------------------------------------------

_STRERROR = {
    "E2BIG": "Argument list too long",
    "EACCES": "Permission denied",
    "EINVAL": "Invalid argument",
    "EIO": "Input/output error",
    "ELIBBAD": "Accessing a corrupted shared library",
    "ELOOP": "Too many levels of symbolic links",
    "ENAMETOOLONG": "File name too long",
    "ENOENT": "No such file or directory",
    "ENOEXEC": "Exec format error",
    "ENOTDIR": "Not a directory",
    "ETXTBSY": "Text file busy",
}
_NOT_FOUND = frozenset(("ELOOP", "ENAMETOOLONG", "ENOENT", "ENOTDIR"))


def _words(name: str) -> str:
    return _STRERROR.get(name, name)


def _interpreter(file: _File) -> str:
    """Return what the ``#!`` line of the file names, empty where it has none."""
    line = read_script_line(file.head) if file.head else None
    return line.interpreter if line else ""


def _bash(name: str, done: Execution, file: _File) -> tuple[int, str]:
    if name == "ENOEXEC":
        return 126, f"{file.path}: cannot execute binary file: Exec format error"
    if name == "ENOENT":
        return 127, f"{file.path}: " + (
            _words(name) if file.head is None else "cannot execute: required file not found"
        )
    if done.detail == "it is a directory" and not done.rewrites:
        return 126, f"{file.path}: Is a directory"
    if done.rewrites and _interpreter(file):
        return 126, f"{file.path}: {_interpreter(file)}: bad interpreter: {_words(name)}"
    return 126, f"{file.path}: {_words(name)}"


def _dash(name: str, _: Execution, file: _File) -> tuple[int, str]:
    said = "not found" if name in ("ENOENT", "ENOTDIR") else _words(name)
    return 127 if name in _NOT_FOUND else 126, f"{file.path}: {said}"


def _zsh(name: str, _: Execution, file: _File) -> tuple[int, str]:
    status = 126 if name in ("EACCES", "ENOEXEC") else 127
    if name == "ENOENT" and _interpreter(file):
        return (
            status,
            f"{file.path}: bad interpreter: {_interpreter(file).replace(chr(13), '^M')}: {_words(name).lower()}",
        )
    return status, f"{_words(name).lower()}: {file.path}"


def _is_closed(name: str, done: Execution) -> bool:
    """Whether it is the file itself that may not be executed."""
    return name == "EACCES" and not done.rewrites and not done.detail.startswith("its interpreter")


def _fish(name: str, done: Execution, file: _File) -> tuple[int, str]:
    if file.head is None or _is_closed(name, done):
        missing = file.head is None and name in _NOT_FOUND
        return 127 if missing else 126, "Unknown command"
    if name == "ENOENT" and _interpreter(file).endswith("\r"):
        return 127, "The file uses Windows line endings"
    if name == "ENOENT" and _interpreter(file):
        return 127, f"The file specified the interpreter '{_interpreter(file)}', which is not an executable command."
    return 127 if name == "ENOENT" else 126, "Failed to execute process"


def _mksh(name: str, done: Execution, file: _File) -> tuple[int, str]:
    head = file.head
    if name == "ENOEXEC" and head:
        seen = _mksh_seen(head)
        if _mksh_line(head):
            return 127, f"{file.path}: {_mksh_line(head)}: {_words(name)}"
        if seen[:4] == b"\x7fELF":
            return 1, f"{file.path}: not executable: {32 * seen[4]}-bit ELF file"
        return 126, f"{file.path}: not executable: magic {seen[:2].hex().upper()}"
    if head is None and name == "ENOENT":
        return 127, f"{file.path}: inaccessible or not found"
    if _is_closed(name, done):
        said = "Is a directory" if done.detail == "it is a directory" else _words(name)
        return 126, f"{file.path}: can't execute: {said}"
    return 126, f"{file.path}: {_words(name)}"


def _tcsh(name: str, _: Execution, file: _File) -> tuple[int, str]:
    said = {"ENOENT": "Command not found", "ENOEXEC": "Exec format error. Wrong Architecture"}.get(name, _words(name))
    return 1, f"{file.path}: {said}."


def _env(name: str, _: Execution, file: _File) -> tuple[int, str]:
    return 127 if name == "ENOENT" else 126, f"'{file.path}': {_words(name)}"


def _node(name: str, _: Execution, file: _File) -> tuple[None, str]:
    return None, f"{file.path} {name}"


def _errno_words(name: str, _: Execution, __: _File) -> tuple[None, str]:
    return None, _words(name)


def _direct(name: str, _: Execution, file: _File) -> tuple[None, str]:
    return None, f"{file.path}: {_words(name)}"


def _python(name: str, _: Execution, file: _File) -> tuple[None, str]:
    return None, f"{_words(name)}: '{file.path}'"


def _go(name: str, _: Execution, file: _File) -> tuple[None, str]:
    return None, f"fork/exec {file.path}: {_words(name).lower()}"


def _runc(name: str, _: Execution, file: _File) -> tuple[None, str]:
    return None, f"exec {file.path}: {_words(name).lower()}"


def _systemd(name: str, _: Execution, file: _File) -> tuple[int, str]:
    return 203, f"Failed at step EXEC spawning {file.path}: {_words(name)}"


CALLERS: dict[str, _Caller] = {
    "bash": _Caller(says=_bash, text=_bash_text, reader="bash"),
    "dash": _Caller(says=_dash, text=_dash_text),
    "sh": _Caller(says=_dash, text=_dash_text),  # one that is not known: of those that are common, the strictest
    "zsh": _Caller(says=_zsh, text=_zsh_text, line=_zsh_line),
    "fish": _Caller(says=_fish, text=_posix_text),
    "mksh": _Caller(says=_mksh, text=_mksh_text, line=_mksh_line),
    "tcsh": _Caller(says=_tcsh, text=_tcsh_text, reader="tcsh"),
    "busybox": _Caller(says=_dash, text=_anything, reader="busybox"),
    "env": _Caller(says=_env, text=_anything, needs_glibc=True),
    "execvp": _Caller(says=_direct, text=_anything, needs_glibc=True),
    "node": _Caller(says=_node, text=_anything, needs_glibc=True),
    "perl": _Caller(says=_errno_words, text=_anything, needs_glibc=True),
    "direct": _Caller(says=_direct),
    "python": _Caller(says=_python),
    "go": _Caller(says=_go),
    "runc": _Caller(says=_runc),
    "systemd": _Caller(says=_systemd),
}
"""Who can be named as the caller."""
