"""Two targets compared in what loaders and kernels look at."""

from __future__ import annotations

from runworthy.model.difference import SymbolChange
from runworthy.model.records import dataclass

__all__ = ["Fact", "LibraryDifference", "LibrarySide", "TargetDifference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that is known of a target, in words; None where a target has no such thing.

    ``counts``: a difference in it makes the targets different. It does not where it is assumed or not known of one of
    them, nor in what is told for people only.
    """

    name: str
    old: str | None
    new: str | None
    counts: bool = True

    @property
    def same(self) -> bool:
        """Whether both have the same."""
        return self.old == self.new


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySide:
    """A library as the loader of one target finds it by its name. ``isa`` is the level that it requires.

    ``path`` is the one by which it is found, without symbolic links on the way. ``symbols`` is how many it exports,
    None where they were not counted.
    """

    path: str
    soname: str | None = None
    symbols: int | None = None
    isa: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryDifference:
    """One name of a library. ``old`` or ``new`` is None where the loader finds none by it.

    ``known``: that it is not found is certain; it is not where it may lie outside what is known of the target.
    ``removed`` and ``added`` are symbols and their versions, from the old target to the new one; those of versions that
    a target has without their symbols being known are left out, and what only files of one C library may use of each
    other. ``moved`` are not in this library any more, but in the C library itself, where a loader finds them as well.
    """

    name: str
    old: LibrarySide | None
    new: LibrarySide | None
    known: bool = True
    versions_removed: tuple[str, ...] = ()
    versions_added: tuple[str, ...] = ()
    removed: tuple[SymbolChange, ...] = ()
    moved: tuple[SymbolChange, ...] = ()
    added: tuple[SymbolChange, ...] = ()
    problem: str = ""

    @property
    def differs(self) -> bool:
        """Whether it is certain that the targets differ in it."""
        if self.old is None or self.new is None:
            return self.known
        changed = self.versions_removed or self.versions_added or self.removed or self.moved or self.added
        return bool(changed) or (self.old.path, self.old.isa) != (self.new.path, self.new.isa)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDifference:
    """The document of ``runworthy targets diff``.

    ``libraries`` are those in which the targets differ or may differ, ``same`` how many are the same in both.
    ``complete``: nothing may lie outside what is known of either, so that they are equal where nothing differs.
    """

    old: str
    new: str
    facts: tuple[Fact, ...]
    libraries: tuple[LibraryDifference, ...]
    same: int = 0
    complete: bool = True

    def exit_code(self) -> int:
        """Return 0 when they are equal, 1 when they differ, 4 when that cannot be told."""
        if any(fact.counts and not fact.same for fact in self.facts) or any(row.differs for row in self.libraries):
            return 1
        return 0 if self.complete and not self.libraries else 4
