"""Environments searched for files that are stored again: what there is, which are equal, why, and what is to be done.

The walk finds stored files and the marks of environments; what has one size is compared; of what is equal one file
stays, and of each other one it is told whose it is, why it is there and what keeps it from being shared. Nothing is
changed here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runworthy.engine.dedupe.ground import ground_of
from runworthy.engine.results import Cell, result_of
from runworthy.model.finding import Result
from runworthy.model.records import dataclass, field
from runworthy.model.storage import Clash, Copies, Environment, Idle, Partial, Spare, StorageReport, Waste
from runworthy.storage.planning import Wish, spares_of
from runworthy.storage.telling import told

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["Search", "dedupe_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched, and what is wanted of it. ``min_size`` is in bytes, ``unused`` in seconds, 0 for not asked."""

    paths: tuple[str, ...]
    min_size: int = 64 << 10
    only: tuple[str, ...] = ()
    wish: Wish = field(default_factory=Wish)
    caches: bool = True
    index: bool = True
    advise: bool = False
    unused: int = 0
    new: bool = False
