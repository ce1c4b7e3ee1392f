"""Directories that lie in one another: which of some is the innermost that holds a path."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Nest"]

_MOST_KEPT = 1 << 17


class Nest:
    """Directories without links on their way. What was asked of before is answered from a table."""

    __slots__ = ("_known", "_paths")

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = frozenset(paths)
        self._known: dict[str, str] = {}

    def innermost(self, directory: str) -> str:
        """Return the innermost one that is ``directory`` or holds it, empty where none does."""
        found = self._known.get(directory)
        if found is not None:
            return found
        passed = []
        at = directory
        while (found := self._known.get(at)) is None and at not in self._paths:
            passed.append(at)
            if at == "/" or not at:
                found = ""
                break
            at = at.rpartition("/")[0] or "/"
        found = at if found is None else found
        if len(self._known) + len(passed) > _MOST_KEPT:
            self._known.clear()
        self._known.update(dict.fromkeys(passed, found))
        return found
