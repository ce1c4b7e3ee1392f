"""Who asks a run to end is heard between two files, so that none is left half done and the journal tells of all."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Asked", "Patience"]

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class Asked(BaseException):
    """Somebody has asked for the end, and nothing is in the middle of being done."""


class Patience:
    """Signals that ask for the end wait meanwhile; they have their usual effect when this is left.

    Those that are ignored stay so. In another thread than the first there are none to be heard.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._asked = 0
        self._waits = True

    def __enter__(self) -> Self:
        for name in _ENDING:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                with contextlib.suppress(ValueError):  # not in the first thread
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._asked = number
        if not self._waits:
            raise Asked

    @property
    def is_over(self) -> bool:
        """Whether somebody has asked for the end."""
        return self._asked != 0

    @contextlib.contextmanager
    def idle(self) -> Iterator[None]:
        """Have nothing to wait for, for a while. Raises Asked where somebody asks for the end then."""
        self._waits = False
        try:
            yield
        finally:
            self._waits = True

    def obey(self, note: str) -> None:
        """Let what was asked for come with a note, when this is left: KeyboardInterrupt, or what the caller has set."""
        if not self._asked:
            return
        try:
            signal.raise_signal(self._asked)
        except BaseException as error:
            error.add_note(note)
            raise
