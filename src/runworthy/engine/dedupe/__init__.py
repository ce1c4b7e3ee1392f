"""Environments searched for files that are stored again: what there is, which are equal, why, and what is to be done.

The walk finds stored files and the marks of environments; what has one size is compared; of what is equal one file
stays, and of each other one it is told whose it is, why it is there and what keeps it from being shared. Nothing is
changed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runworthy.engine.dedupe.search import Finding, Search
from runworthy.targets.storage.crew import collecting_later

if TYPE_CHECKING:
    from runworthy.model.storage import StorageReport
    from runworthy.targets.trees import Watch

__all__ = ["Search", "dedupe_of"]


def dedupe_of(search: Search, watch: Watch | None = None) -> StorageReport:
    """Return what is stored again below the paths of a search. Raises UsageError."""
    with collecting_later():
        return _made(search, watch).report()


def _made(search: Search, watch: Watch | None) -> Finding:
    if not (search.reasons or search.recorded):
        return Finding(search, watch)
    from runworthy.engine.dedupe.reasoning import Reasoning  # most of what can be imported, which takes as long as

    return Reasoning(search, watch)  # looking through a small tree
