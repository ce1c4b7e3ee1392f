"""The command line: one module for each command, imported only when it is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from runworthy.model.errors import RunworthyError, UsageError

__all__ = ["main", "refusal"]

USAGE_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (DESIGN section 5). Nothing but a code comes out of it."""
    try:
        return _ended(list(sys.argv[1:] if arguments is None else arguments))
    except (MemoryError, OSError, ImportError) as error:  # also where there is too little to say how else it ended
        told = refusal(error) or "there is too little memory for this"
        notes = (*_notes(error), *(_notes(error.__context__) if error.__context__ else ()))
    _say(f"error: {told}", *(f"note: {note}" for note in notes))  # what filled the memory has gone
    return USAGE_ERROR


def _ended(arguments: list[str]) -> int:
    """Run a command, say why it did not end well, and return the exit code.

    Raises MemoryError, and whatever keeps even that from being said.
    """
    try:
        return _run(arguments)
    except SystemExit as end:  # argparse ends `--help` so
        return end.code if isinstance(end.code, int) else USAGE_ERROR
    except KeyboardInterrupt as error:
        _complain("interrupted", "", _notes(error))
        return INTERRUPTED
    except RunworthyError as error:
        _complain(f"error: {error}", error.hint if isinstance(error, UsageError) else "", _notes(error))
        return USAGE_ERROR
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a person gets one line, never a traceback
        _internal(error)
        return USAGE_ERROR


def _run(arguments: list[str]) -> int:
    first = arguments[0] if arguments else "--help"
    if first in ("-V", "--version"):
        from runworthy import __version__
        from runworthy.cli.terminal import emit

        emit(f"runworthy {__version__}\n")
        return 0
    from runworthy.cli import commands

    if first in ("-h", "--help", "help"):
        from runworthy.cli.terminal import emit

        emit(commands.overview())
        return 0 if arguments else USAGE_ERROR
    command = commands.find(first)
    return command.run(arguments[1:])


def _notes(error: BaseException) -> Sequence[str]:
    """Return the facts that were added to an error on its way, as PEP 678 holds them."""
    return getattr(error, "__notes__", ())


def _complain(message: str, hint: str, notes: Sequence[str] = ()) -> None:
    """Say what is wrong on stderr."""
    from runworthy.report.words import clean

    _say(clean(message), *(f"note: {clean(note)}" for note in notes), *([f"hint: {clean(hint)}"] if hint else []))


def _say(*lines: str) -> None:
    """Write lines to stderr, which may itself be closed, or full."""
    try:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return


def _internal(error: Exception) -> None:
    """Say what the system refuses, or that something is wrong with this program."""
    if os.environ.get("RUNWORTHY_DEBUG"):
        import traceback

        traceback.print_exception(error)
    refused = refusal(error)
    if refused:
        _say(f"error: {refused}", *(f"note: {note}" for note in _notes(error)))
        return
    message = str(error).partition("\n")[0]
    _complain(
        f"error: internal error: {type(error).__name__}: {message}",
        "RUNWORTHY_DEBUG=1 shows the traceback; a report with it is welcome",
    )


def refusal(error: BaseException) -> str:
    """Return in words what the system refuses to whoever asks, empty where an error is of another kind.

    It imports nothing that is not there already: that might be refused as well.
    """
    import errno

    too_little_memory = "there is too little memory for this"
    no_more_processes = "no more processes or threads can be started (ulimit -u)"
    if isinstance(error, ImportError):
        # glibc, elf/dl-map-segments.h: nothing else is said where there is no room, and why is where nothing may be run
        return too_little_memory if str(error).endswith("failed to map segment from shared object") else ""
    if isinstance(error, SystemError):
        # CPython, Objects/call.c and Python/errors.c: its compiler forgets to say that there was no room
        return too_little_memory if "without" in str(error) else ""
    if not isinstance(error, OSError):
        # CPython, Modules/_threadmodule.c: a RuntimeError, and no other is so worded.
        return no_more_processes if str(error) == "can't start new thread" else ""
    told = {
        errno.ENOMEM: too_little_memory,
        errno.ENOSPC: "there is no room left where something has to be written",
        errno.EDQUOT: "the quota is used up where something has to be written",
        errno.EROFS: "something has to be written where nothing can be",
        errno.EMFILE: "too many files are open at once (ulimit -n)",
        errno.ENFILE: "too many files are open on this system",
        errno.EIO: "a device cannot be read or written",
        errno.EAGAIN: no_more_processes,
    }.get(error.errno or 0, "")
    path = error.filename if isinstance(error.filename, str) else ""
    return f"{told}: {path if path.isprintable() else ascii(path)}" if told and path else told
