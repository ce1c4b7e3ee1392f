"""Environments searched for files that are stored again: what there is, which are equal, why, and what is to be done.

The walk finds stored files and the marks of environments; what has one size is compared; of what is equal one file
stays, and of each other one it is told whose it is, why it is there and what keeps it from being shared. Nothing is
changed here.
"""

from runworthy.engine.dedupe.search import Search, dedupe_of

__all__ = ["Search", "dedupe_of"]
