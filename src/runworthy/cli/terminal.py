"""Streams: what goes to stdout, in which encoding, with colour or without."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from runworthy.model.errors import UsageError

if TYPE_CHECKING:
    from typing import TextIO

    from runworthy.model.finding import Report
    from runworthy.report.words import Style

NOTHING_FOUND = 3

__all__ = [
    "NOTHING_FOUND",
    "complain_of_empty",
    "complain_of_missing",
    "deliver",
    "emit",
    "emit_blocks",
    "give_up",
    "style_for",
    "width",
]


def style_for(wish: str, *, to_file: bool = False, stream: TextIO | None = None) -> Style:
    """Return how the report is drawn on ``stream`` (stdout). ``wish`` is auto, always or never.

    NO_COLOR (https://no-color.org) and FORCE_COLOR decide where the user has not.
    """
    from runworthy.report.words import Style

    stream = stream or sys.stdout
    encoding = "utf-8" if to_file else (getattr(stream, "encoding", None) or "ascii")
    columns = None if to_file else width(stream)
    return Style(colour=_colour(wish, None if to_file else stream), unicode=_takes(encoding, "✓✗·"), width=columns)


def emit(text: str) -> None:
    """Write the report to stdout. A reader that went away is no error: what was judged stays judged.

    Raises UsageError where it cannot be written, as where a file system is full.
    """
    stream = sys.stdout
    if stream is None:
        return
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        give_up(stream, error)


def give_up(stream: TextIO, error: OSError) -> None:
    """Write nothing more to stdout. Raises UsageError unless its reader went away."""
    # Python flushes stdout once more at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if not isinstance(error, BrokenPipeError):
        raise UsageError(f"the standard output cannot be written: {error.strerror or error}") from error


def emit_blocks(blocks: Iterable[Iterable[str]]) -> None:
    """Write blocks of lines to stdout, an empty line between them."""
    emit("\n".join("".join(f"{line}\n" for line in block) for block in blocks))


def complain_of_missing(names: Sequence[str]) -> int:
    """Say on stderr that nothing lies at any of these names, and return the exit code for it."""
    from runworthy.report.words import clean

    for name in names:
        print(f"error: {clean(name)}: no such file", file=sys.stderr)
    return NOTHING_FOUND


def complain_of_empty(report: Report) -> bool:
    """Say on stderr in which directories and archives there was nothing to judge; return whether there are such."""
    from runworthy.report.words import clean, count

    filled = {tree.name for tree in report.trees if tree.subjects}
    filled |= {result.subject for result in report.results}
    for tree in reversed(report.trees):  # what lies in another comes after it
        if tree.name in filled:
            filled.add(tree.within)
    empty = [tree for tree in report.trees if tree.name not in filled and not tree.within]
    for tree in empty:
        told = [f"{count(tree.files, 'file')} looked at"]
        told += [f"{count(number, kind)} passed over" for kind, number in tree.passed_over.items()]
        told += [f"{count(tree.links, 'symbolic link')} not followed"] if tree.links else []
        print(f"error: {clean(tree.name)}: no ELF program or library in it, {', '.join(told)}", file=sys.stderr)
    return bool(empty)


def deliver(text: str, output_file: str | None) -> None:
    """Write the report to the file, else to stdout. Raises UsageError when the file cannot be written."""
    if output_file is None or output_file == "-":
        emit(text)
        return
    try:
        with open(output_file, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {output_file}: {error.strerror or error}") from error


def _colour(wish: str, stream: TextIO | None) -> bool:
    if wish != "auto":
        return wish == "always"
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def width(stream: TextIO | None = None) -> int | None:
    """Return the columns of the terminal that ``stream`` (stdout) is; None where nobody will wrap the lines."""
    stated = os.environ.get("COLUMNS", "")
    if stated.isascii() and stated.isdigit() and int(stated):
        return int(stated)
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns or None
    except (AttributeError, OSError, ValueError):
        return None


def _takes(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
