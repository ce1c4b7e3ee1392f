"""How far the work is, on one line of a terminal that is gone at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from runworthy.targets.trees import Watch

__all__ = ["progress"]

_FIRST_AFTER = 0.4
_EVERY = 0.1
_ERASE = "\r\x1b[K"
_WORDS = {
    "find": "looked at {:,} files, {:,} to judge",
    "judge": "judged {:,} of {:,}",
    "measure": "run {:,} of {:,}",
    "receive": "received {:,} entries",
    "capture": "captured {:,} entries",
    "plan": "asked about {:,} of {:,} sets of equal files",
    "scan": "looked at {:,} files, {:,} of a size to compare",
}
_BYTES = {
    "compare": "compared {} of {}, {} a second",
}
"""What is counted in bytes, and told with its rate."""


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Watch | None]:
    """Give what is to be told of the progress: nothing unless stderr is a terminal that can erase a line."""
    stream = sys.stderr
    if quiet or stream is None or not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield None
        return
    line = _Line(stream)
    try:
        yield line.tell
    finally:
        line.erase()


class _Line:
    """The line: written at most ten times a second, and not at all for what is done at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._due = monotonic() + _FIRST_AFTER
        self._shown = False
        self._began: dict[str, float] = {}

    def tell(self, what: str, done: int, total: int) -> None:
        """Show what is done and how far it is, if it is time to."""
        now = monotonic()
        began = self._began.setdefault(what, now)
        if now < self._due:
            return
        self._due = now + _EVERY
        if what in _BYTES:
            from runworthy.report.words import bytes_of

            rate = int(done / max(now - began, _EVERY))
            text = _BYTES[what].format(bytes_of(done), bytes_of(total), bytes_of(rate))
        else:
            text = _WORDS[what].format(done, total)
        self._write(_ERASE + text)
        self._shown = True

    def erase(self) -> None:
        """Leave nothing behind."""
        if self._shown:
            self._write(_ERASE)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # a terminal that has gone away
            self._shown = False
