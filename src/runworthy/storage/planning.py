"""Which stored file stays, which ones are spare beside it, how they would share, and what keeps them from it.

Among copies the one with the most names stays, since its names are what need not be moved. Every other one joins the
first that it may be one file with; one that may join none stays itself, and says why it does. The rules are those that
keep sharing safe: after it every path has the bytes, the owner, the permissions and the attributes that it had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, Literal

from runworthy.model.records import dataclass, field
from runworthy.model.storage import Bar, Copies, How, Owner, Place, Spare, StoredFile, Together, Traits

__all__ = ["MOST_LINKS", "Ground", "Plan", "Wish", "spares_of"]

Plan = Literal["auto", "reflink", "hardlink", "symlink"]

_SET_ID = 0o6000
_EXECUTABLE = 0o111
_ONE_FILE = ("hardlink", "symlink")
_TOLD_BY_TIME = (".py", ".pyc", ".pyo")
MOST_LINKS: Final[Mapping[str, int]] = {"ext4": 65000, "btrfs": 65535, "xfs": 2**31 - 1}
"""How many names a file can have: fs/ext4/ext4.h, EXT4_LINK_MAX; fs/btrfs/ctree.h, BTRFS_LINK_MAX;
fs/xfs/libxfs/xfs_format.h, XFS_MAXLINK."""
_FEWEST_LINKS: Final = 32000  # elsewhere: the fewest of those that are known
_NEVER = Together(answer="no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How sharing is asked for. ``auto`` shares extents where the file system can, and makes hard links elsewhere.

    ``within_env``: hard links inside one environment too, where a process may load both names as two libraries.
    """

    how: Plan = "auto"
    within_env: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a plan rests on, each asked when it is needed.

    ``environment`` is the path of the one that a name lies in, ``traits`` are what the walk has not seen of an inode.
    ``loadable`` is whether a file is one that loaders take, ``together`` answers for two names in one environment;
    ``kept_apart`` is whether a file is one that installers and databases change in place, ``exclusive`` how many bytes
    are a file's alone where extents may be shared. ``reflinks`` says how files share extents at a place: "extents"
    where the kernel compares them itself, "clone" where a copy is made that shares. ``refused`` is what keeps this user
    from sharing a file with another one; asked with True it is what keeps another one from taking its place, too.
    """

    owner: Callable[[str], Owner]
    environment: Callable[[str], str]
    place: Callable[[str], Place]
    traits: Callable[[StoredFile], Traits]
    loadable: Callable[[StoredFile], bool]
    together: Callable[[str, str, str], Together]
    kept_apart: Callable[[str], bool]
    exclusive: Callable[[StoredFile], int]
    reflinks: Callable[[Place], Literal["extents", "clone", ""]]
    refused: Callable[[StoredFile, bool], Bar | Literal[""]]


def spares_of(copies: Iterable[Copies], ground: Ground, wish: Wish) -> list[Spare]:
    """Return every stored file that need not be, in the order of ``copies``, with what stays in its place."""
    return [spare for one in copies for spare in _Choice(one, ground, wish).spares()]


@dataclass(slots=True)
class _Kept:
    """One that stays: itself, its place among the copies, and the names that lead to it once all is done."""

    file: StoredFile
    number: int
    names: dict[str, list[str]] = field(default_factory=dict)
    links: int = 0


class _Choice:
    """The choice among the copies of one content."""

    def __init__(self, copies: Copies, ground: Ground, wish: Wish) -> None:
        self._copies = copies
        self._ground = ground
        self._wish = wish
        self._kept: list[_Kept] = []
        self._why: tuple[str, ...] = ()
        self._counted: set[int] = set()
        self._places = [ground.place(file.names[0]) for file in copies.files]
        self._reflinks = list(map(ground.reflinks, self._places))
        self._sharers = _sharers(copies.extents)

    def spares(self) -> Iterator[Spare]:
        """Yield all but the first that stays."""
        for number, file in sorted(enumerate(self._copies.files), key=self._rank):
            bars = []
            self._why = ()
            for kept in self._kept:
                how = self._how(number)
                bar = self._bar(file, number, kept, how)
                if not bar:
                    yield self._spare(number, kept, how=how)
                    self._join(kept, file)
                    break
                bars.append((bar, kept))
            else:
                alone = _Kept(file, number)
                self._join(alone, file)
                self._kept.append(alone)
                if bars:
                    yield self._spare(number, bars[0][1], bar=bars[0][0])

    def _rank(self, one: tuple[int, StoredFile]) -> tuple[int, int, bool, str]:
        """Return where a file stands among those that may stay: first the ones that would free least if they went."""
        number, file = one
        return -file.links, -self._sharers.get(number, 1), not self._is_used_outside(number), file.names[0]

    def _is_used_outside(self, number: int) -> bool:
        """Whether nothing of what a file holds would be freed if it went, though it shares with no other copy."""
        if not self._reflinks[number] or self._sharers.get(number, 1) > 1:
            return False
        return self._ground.exclusive(self._copies.files[number]) == 0

    def _spare(self, number: int, kept: _Kept, *, how: How | Literal[""] = "", bar: Bar | Literal[""] = "") -> Spare:
        file = self._copies.files[number]
        return Spare(
            file=file,
            kept=kept.file,
            owner=self._ground.owner(file.names[0]),
            kept_owner=self._ground.owner(kept.file.names[0]),
            bar=bar,
            how=how,
            frees=self._frees(number) if how else 0,
            proof=self._copies.proof,
            why=self._why if bar == "one-library" else self._becomes_one(file, kept) if how in _ONE_FILE else (),
        )

    def _frees(self, number: int) -> int:
        """Return what goes when a file goes: of those that share their storage with each other, with the last one."""
        file = self._copies.files[number]
        if not self._reflinks[number]:
            return file.allocated
        if self._sharers.get(number, 1) == 1:
            return self._ground.exclusive(file)
        extent = self._copies.extents[number]
        again = extent in self._counted
        self._counted.add(extent)
        return 0 if again else file.allocated

    def _join(self, kept: _Kept, file: StoredFile) -> None:
        kept.links += file.links
        for name in file.names:
            kept.names.setdefault(self._ground.environment(name), []).append(name)

    def _how(self, number: int) -> How:
        if self._wish.how in ("hardlink", "symlink"):
            return self._wish.how
        return self._reflinks[number] or ("extents" if self._wish.how == "reflink" else "hardlink")

    # -- what keeps two from being one -------------------------------------------------------

    def _bar(self, file: StoredFile, number: int, kept: _Kept, how: How) -> Bar | Literal[""]:
        bar = self._bar_of_both(file, number, kept)
        if bar:
            return bar
        place, there = self._places[number], self._places[kept.number]
        if how != "symlink" and place.filesystem != there.filesystem:
            return "other-filesystem"
        bar = self._ground.refused(file, how != "extents") or self._ground.refused(kept.file, False)  # noqa: FBT003
        if bar:
            return bar
        traits, others = self._ground.traits(file), self._ground.traits(kept.file)
        if traits.unchangeable or others.unchangeable:
            return "unchangeable"
        if how == "extents":
            if not self._reflinks[number]:
                return "no-reflinks"
            if traits.copied_on_write != others.copied_on_write:
                return "copying-differs"
            return "storage-outside" if self._is_used_outside(number) else ""
        if how == "clone":
            return "links-outside" if file.outside else ""
        if bar := self._bar_of_one_file(file, kept, how, place, there):
            return bar
        return self._bar_of_one_library(file, kept) if traits.attributes == others.attributes else "attributes-differ"

    def _bar_of_both(self, file: StoredFile, number: int, kept: _Kept) -> Bar | Literal[""]:
        """What keeps any kind of sharing away."""
        place = self._places[number]
        if place.type == "overlay":
            return "image-layer"
        if place.read_only:
            return "read-only"
        if any(self._ground.kept_apart(one) for one in (file.names[0], kept.file.names[0])):
            return "kept-apart"
        extents = self._copies.extents
        return "already-shared" if extents and extents[number] == extents[kept.number] else ""

    def _bar_of_one_file(
        self, file: StoredFile, kept: _Kept, how: How, place: Place, there: Place
    ) -> Bar | Literal[""]:
        """What keeps two from being one inode: it has one set of all that is not bytes (``inode(7)``)."""
        one, other = file, kept.file
        if how == "symlink":
            if file.mode & _EXECUTABLE:
                return "program"
        else:
            if (place.device, place.mount) != (there.device, there.mount):
                return "other-mount"
            if kept.links + one.links > MOST_LINKS.get(place.type, _FEWEST_LINKS):
                return "too-many-links"
        if (one.mode | other.mode) & _SET_ID:
            return "set-id"
        if (one.uid, one.gid) != (other.uid, other.gid):
            return "owner-differs"
        if one.mode != other.mode:
            return "mode-differs"
        if one.mtime != other.mtime and one.names[0].endswith(_TOLD_BY_TIME):
            return "source-times"
        return "links-outside" if one.outside else ""

    def _bar_of_one_library(self, file: StoredFile, kept: _Kept) -> Bar | Literal[""]:
        """What a process would see: two paths of one inode are one library to its loader."""
        found = _NEVER if self._wish.within_env else next(self._loaded_together(file, kept), _NEVER)
        if found.answer == "no":
            return ""
        self._why = self._why or found.why
        return "not-asked" if found.answer == "not-asked" else "one-library"

    def _loaded_together(self, file: StoredFile, kept: _Kept) -> Iterator[Together]:
        """Yield the answers for names of both in one environment that are not no."""
        if not self._is_loadable:
            return
        for name in file.names:
            environment = self._ground.environment(name)
            for other in kept.names.get(environment, ()):
                found = self._ground.together(environment, name, other)
                if found.answer != "no":
                    yield found

    def _becomes_one(self, file: StoredFile, kept: _Kept) -> tuple[str, ...]:
        """Return why a process may load two that become one all the same, as that was asked for."""
        if not self._wish.within_env:
            return ()
        found = next(self._loaded_together(file, kept), _NEVER)
        return found.why if found.answer in ("yes", "unknown") else ()

    @cached_property
    def _is_loadable(self) -> bool:
        return self._ground.loadable(self._copies.files[0])


def _sharers(extents: Sequence[int]) -> dict[int, int]:
    """Return for each file, where some share their storage, how many of the copies have that of it."""
    many = Counter(extents)
    return {number: many[extent] for number, extent in enumerate(extents)}
