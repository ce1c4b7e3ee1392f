"""Two builds compared: what their files say differently, and what becomes of the verdicts.

A :class:`Change` is one fact that differs, with the symbols that carry it. Its ``effect`` says whom it concerns:
a target (``needs``), or the programs and libraries that use the file (``offers``).
"""

from __future__ import annotations

from typing import Literal

from runworthy.model.finding import Verdict
from runworthy.model.floor import Kind
from runworthy.model.records import dataclass
from runworthy.model.trace import Need, Stage

__all__ = [
    "AssetPair",
    "AssetPairedBy",
    "Cell",
    "Change",
    "ChangeKind",
    "Difference",
    "Effect",
    "FloorChange",
    "Outcome",
    "Pair",
    "PairedBy",
    "Shift",
    "SymbolChange",
]

ChangeKind = Literal[
    "architecture",
    "kind",
    "libc",
    "interpreter",
    "soname",
    "library",
    "flag",
    "rpath",
    "runpath",
    "symbol-version",
    "import",
    "version-definition",
    "export",
    "isa",
    "kernel",
    "page-size",
    "exec-stack",
    "relr",
]
Effect = Literal["needs-more", "needs-less", "offers-less", "offers-more", "differs"]
PairedBy = Literal["given", "path", "soname", "name"]
AssetPairedBy = Literal["path", "name", "platform"]
"""``name``: the same but for versions; ``platform``: of the same program, for the same system, processor and libc."""
Shift = Literal["worse", "unclear", "better", "same"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolChange:
    """A symbol that carries a change.

    ``was`` are the versions under which the other file has the same name, empty text standing for none.
    """

    name: str
    version: str | None = None
    was: tuple[str, ...] = ()
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One fact that two files tell differently.

    ``old`` and ``new`` are its two values in words, None where one of the files does not have it. ``name`` is what a
    list has it under: a library, a version node. ``file`` is, for a symbol version, the library that must define it.
    """

    kind: ChangeKind
    effect: Effect
    name: str = ""
    file: str | None = None
    old: str | None = None
    new: str | None = None
    symbols: tuple[SymbolChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A verdict, the stage at which it falls, and the causes that decide it, the first of them where they are many."""

    verdict: Verdict
    stage: Stage | None = None
    decided_by: tuple[Need, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Both builds on one target. ``old`` is None for a file that was added; one that was removed has no cell.

    ``shift`` is ``unclear`` where the new build rests on something outside what is known of the target and the old
    one did not. ``because`` is what decides for the new build and did not for the old one. ``family`` and ``place``
    are where the catalogue's list has the target: neighbours have neighbouring places.
    """

    target: str
    shift: Shift
    new: Outcome
    old: Outcome | None = None
    because: tuple[Need, ...] = ()
    family: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two files that are the same thing in two builds; ``old`` or ``new`` is None for what was added or removed.

    ``identical``: the bytes are equal. ``judged``: the verdicts were compared; they are not where nothing differs that
    a loader looks at, in the file and in all of the tree that it may load. ``problem`` says why the files cannot be
    compared. ``asset`` is the name of the asset that it comes in, empty where builds are no releases.
    """

    name: str
    old: str | None
    new: str | None
    asset: str = ""
    paired_by: PairedBy = "given"
    identical: bool = False
    judged: bool = False
    is_library: bool = False
    architecture: str = ""
    changes: tuple[Change, ...] = ()
    cells: tuple[Cell, ...] = ()
    problem: str = ""

    @property
    def differs(self) -> bool:
        """Whether anything is to be told of it."""
        listed = self.old is None or self.new is None or bool(self.changes or self.problem)
        return listed or any(cell.shift != "same" for cell in self.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorChange:
    """The oldest release of one thing that each build runs on, in words; None where a build asks for nothing of it.

    ``because`` is what holds up the higher of the two: a version, a mark, a fact in words; ``symbols`` carry it.
    ``asset`` is the name of the asset whose floor it is, empty where builds are no releases; of one that was added all
    floors are told.
    """

    kind: Kind
    architecture: str
    effect: Effect
    old: str | None
    new: str | None
    because: str = ""
    file: str = ""
    symbols: tuple[str, ...] = ()
    asset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetPair:
    """Two assets that are the same thing in two releases; ``old`` or ``new`` is None for what was added or removed.

    ``name`` is that of the new asset in its release, of one that was removed the old one. ``files`` is how many
    programs and libraries are in either of them: of one without any nothing is compared.
    """

    name: str
    old: str | None
    new: str | None
    paired_by: AssetPairedBy = "path"
    files: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The document of ``runworthy diff``.

    ``targets`` are the names of those that were judged; ``chosen`` says how they were, empty where the user named
    them. ``floors`` are those that differ, None where they were not worked out: for many files it takes long.
    ``assets`` are those of two releases, empty for any other builds.
    """

    old: str
    new: str
    pairs: tuple[Pair, ...]
    targets: tuple[str, ...] = ()
    chosen: str = ""
    floors: tuple[FloorChange, ...] | None = None
    assets: tuple[AssetPair, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything is to be told."""
        listed = any(asset.old is None or asset.new is None for asset in self.assets)
        return listed or any(pair.differs for pair in self.pairs)

    def exit_code(self, *, fail_on: str = "fails", strict: bool = False) -> int:
        """Return 0, 1 or 4. ``fail_on`` is ``fails``, ``risky`` or ``any-change``; ``strict`` turns 4 into 1."""
        shifted = {(cell.shift, cell.new.verdict) for pair in self.pairs for cell in pair.cells}
        bad = ("worse", "fails") in shifted or (fail_on == "risky" and ("worse", "risky") in shifted)
        bad = bad or (fail_on == "any-change" and self.differs)
        unclear = any(shift == "unclear" for shift, _ in shifted) or any(pair.problem for pair in self.pairs)
        if bad or (strict and unclear):
            return 1
        return 4 if unclear else 0
