"""What is searched, and the first half of a search: what is there, and what of it is equal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from runworthy.model.records import dataclass, field
from runworthy.model.storage import Copies, StorageReport
from runworthy.storage.planning import Wish
from runworthy.targets.kept import cache_directory
from runworthy.targets.storage.copies import Found, find_copies
from runworthy.targets.storage.index import Index
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.walk import Selection, Walk, walk

if TYPE_CHECKING:
    from runworthy.targets.trees import Watch

__all__ = ["Finding", "Search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched, and what is wanted of it. ``min_size`` is in bytes, ``unused`` in seconds, 0 for not asked.

    ``thorough``: what takes long is asked however little it brings, as it is where sharing is about to be done. Without
    ``reasons`` equal files are found, and no more is asked about them. ``recorded``: what records of installers say is
    taken for it, and nothing is read.
    """

    paths: tuple[str, ...]
    min_size: int = 64 << 10
    only: tuple[str, ...] = ()
    wish: Wish = field(default_factory=Wish)
    caches: bool = True
    index: bool = True
    advise: bool = False
    unused: int = 0
    libraries: bool = False
    thorough: bool = False
    reasons: bool = True
    recorded: bool = False
    new: bool = False


class Finding:
    """A search for equal files. Each part of what it finds is looked for when it is first asked for."""

    def __init__(self, search: Search, watch: Watch | None) -> None:
        self._search = search
        self._watch = watch
        self._places = Places()
        self._problems: list[tuple[str, str]] = []
        self._index = Index(cache_directory()) if search.index else None

    def report(self) -> StorageReport:
        """Return what is there and what is equal."""
        return self._found(self._equal, again=self._equal.again())

    def _found(self, copies: Sequence[Copies], *, again: int = 0) -> StorageReport:
        """Return a report without reasons."""
        sizes = self._walked.sizes.values()
        return StorageReport(
            paths=self._walked.tops,
            environments=(),
            copies=copies,
            spares=(),
            results=(),
            files=sum(files for files, _ in sizes),
            allocated=sum(allocated for _, allocated in sizes),
            again=again,
            min_size=self._search.min_size,
            only=self._search.only,
            passed_over=self._walked.passed_over,
            problems=(*self._walked.problems, *self._problems),
            reasons=self._search.reasons,
            given=self._given,
        )

    @cached_property
    def _given(self) -> dict[str, str]:
        """The paths as they were written, by what they are: those that hold others come last."""
        written = {os.path.realpath(path): os.path.normpath(path) for path in self._search.paths}
        return dict(sorted(written.items(), key=lambda item: -len(item[0])))

    @cached_property
    def _walked(self) -> Walk:
        return self._walk()

    @cached_property
    def _equal(self) -> Found:
        return self._compare()

    def _walk(self) -> Walk:
        search = self._search
        return walk(search.paths, Selection(min_size=search.min_size, only=search.only), self._watch)

    def _compare(self) -> Found:
        """Return what has the same bytes."""
        for path in self._walked.devices:
            self._places.place(path)
        return find_copies(
            self._walked,
            filesystem_of=self._places.filesystem_of,
            index=self._index,
            watch=self._watch,
            problems=self._problems,
        )
