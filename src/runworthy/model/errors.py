"""One exception per layer; each carries what a person needs to see."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "ArchitectureError",
    "FormatError",
    "RemedyError",
    "RunworthyError",
    "SubjectError",
    "TargetError",
    "UsageError",
]


class RunworthyError(Exception):
    """Base of every exception that this package raises on purpose."""


class UsageError(RunworthyError):
    """What was asked for cannot be understood: an option, a name, a combination.

    ``hint`` proposes. ``option`` is the option whose value it is about, as the command line spells it.
    """

    def __init__(self, message: str, *, hint: str = "", option: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.option = option


class SubjectError(RunworthyError):
    """There is nothing to judge: nothing lies at any of ``names``."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("; ".join(f"{name}: no such file" for name in names))
        self.names = tuple(names)


class TargetError(UsageError):
    """A target cannot be found or is no target."""


class ArchitectureError(TargetError):
    """A target exists, but its facts are not known for this architecture."""


class RemedyError(UsageError):
    """A remedy cannot be carried out or taken back, or what is known of it cannot be read.

    The message says what is wrong with which path, and what became of the rest. ``entry`` is the entry of the journal
    that tells of it, empty where nothing was begun.
    """

    def __init__(self, message: str, *, hint: str = "", entry: str = "") -> None:
        super().__init__(message, hint=hint)
        self.entry = entry


class FormatError(RunworthyError):
    """Bytes are not what their format says. ``path`` and ``offset`` (bytes) tell where."""

    def __init__(self, message: str, *, path: str = "", offset: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.offset = offset

    def __str__(self) -> str:
        place = self.path if self.offset is None else f"{self.path} at offset {self.offset:#x}".lstrip()
        return f"{place}: {self.message}" if place else self.message

    def at(self, path: str) -> FormatError:
        """Return the same error with the path filled in, where the reader did not know it."""
        return self if self.path else FormatError(self.message, path=path, offset=self.offset)
