"""The ``#!`` line, cut out of the first 256 bytes exactly as the kernel does it.

Source: Linux ``fs/binfmt_script.c``, ``load_script``, with its helpers ``next_non_spacetab`` and ``next_terminator``,
which look at their last byte too. A NUL ends the search for the end of the line (``strnchr``).
"""

from __future__ import annotations

from runworthy.model.program import ScriptLine

__all__ = ["BUFFER", "read_script_line"]

BUFFER = 256
"""What the kernel reads of a file to tell what it is, in bytes (``BINPRM_BUF_SIZE``); NULs after the file's end."""

_BLANKS = b" \t"
_TERMINATORS = b" \t\0"
_REFUSED = ScriptLine(interpreter="", refused="ENOEXEC")


def read_script_line(head: bytes) -> ScriptLine | None:
    """Return what the kernel takes out of the first bytes of a file, None where they are not ``#!``.

    A file of nothing but ``#!`` has an empty interpreter, which is not refused here: opening it fails with EACCES.
    """
    buffer = head[:BUFFER].ljust(BUFFER, b"\0")
    if buffer[:2] != b"#!":
        return None
    text = buffer.partition(b"\0")[0]
    end = newline = text.find(b"\n")
    if newline < 0:
        end = BUFFER - 1
        start = _first_not(buffer, _BLANKS, 2, end)
        if start is None or _first(buffer, _TERMINATORS, start, end) is None:
            return _REFUSED  # all blank, or the path may go on after the buffer
    while buffer[end - 1] in _BLANKS:
        end -= 1
    name = _first_not(buffer, _BLANKS, 2, end)
    if name is None or name == end:
        return _REFUSED
    break_at = _first(buffer, _TERMINATORS, name, end)
    argument = None
    if break_at is not None and buffer[break_at]:
        argument = _first_not(buffer, _BLANKS, break_at, end)
    interpreter = _string(buffer, name, end if break_at is None else break_at)
    given = None if argument is None else _string(buffer, argument, end)
    return ScriptLine(
        interpreter=interpreter,
        argument=given,
        cut=newline < 0 and len(text) == BUFFER,
        carriage_return=(interpreter if given is None else given).endswith("\r"),
    )


def _first_not(buffer: bytes, letters: bytes, start: int, last: int) -> int | None:
    return next((at for at in range(start, last + 1) if buffer[at] not in letters), None)


def _first(buffer: bytes, letters: bytes, start: int, last: int) -> int | None:
    return next((at for at in range(start, last + 1) if buffer[at] in letters), None)


def _string(buffer: bytes, start: int, end: int) -> str:
    """Return the C string from ``start``; the kernel has put a NUL at ``end``."""
    return buffer[start:end].partition(b"\0")[0].decode("utf-8", "surrogateescape")
