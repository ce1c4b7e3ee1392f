"""Writing a snapshot: every entry of a root, the facts of its files, and the machine it was found on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import BinaryIO, Literal

from runworthy.model.host import MachineFacts
from runworthy.targets.view import FileView

__all__ = ["Captured", "Source", "capture"]

Source = Literal["host", "directory", "stream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a capture met. ``unreadable`` are files and directories that could not be read; ``size`` is in bytes."""

    entries: int
    elf_files: int
    unreadable: int
    left_out: tuple[str, ...]
    size: int


def capture(
    view: FileView,
    machine: MachineFacts | None,
    out: BinaryIO,
    *,
    source: Source,
    exclude: Collection[str] = (),
    progress: Callable[[int, str], None] | None = None,
) -> Captured:
    """Write the snapshot of a root to ``out``, which need not be seekable. Raises OSError of ``out``.

    ``machine`` is None where only files are known: the target then has its architecture's baseline. ``exclude`` are
    real directories whose contents are left out: asking about them later is refused, never answered "absent".
    ``progress`` is told how many entries have been written, and the directory it is at.
    """
    raise NotImplementedError
