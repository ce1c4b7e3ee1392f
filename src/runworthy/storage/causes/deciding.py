"""Which cause it is: the decisions in their order, for two files and for all spare ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from runworthy.model.records import dataclass, replace
from runworthy.model.storage import Cause, Owner, Place, Spare, StoredFile
from runworthy.storage.causes import files, installing, layers, packages, places
from runworthy.storage.causes.facts import Facts
from runworthy.storage.causes.side import Side, one_entry_of
from runworthy.storage.causes.situation import Situation, end_of, is_inside

__all__ = ["Explained", "besides", "explained", "with_causes"]

_Decisions = tuple[tuple[Cause, Callable[[Side, Side], Facts | None]], ...]
_IN_LAYERS: _Decisions = (("image-layer", layers.in_layers),)
_OWN: _Decisions = (
    ("other-filesystem", places.other_filesystem),
    ("bind-mount", places.bind_mount),
    ("subvolume", places.subvolume),
    ("copying-installer", installing.copying_installer),
    ("copy-setting", installing.copy_setting),
    ("not-in-cache", installing.not_in_cache),
    ("prefix-patched", installing.prefix_patched),
    ("editable", installing.editable),
    ("image-layer", layers.over_layers),
)
"""What the installer of one of them did."""
_COMMON: _Decisions = (
    ("separate-cache-entries", packages.separate_cache_entries),
    ("vendored", packages.vendored),
    ("version-chain", packages.version_chain),
    ("permissions", files.permissions),
    ("too-many-links", files.too_many_links),
)
"""What holds of both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A cause with the facts it rests on, and whose doing it is.

    ``owner`` is that of the spare file, or that of the one that it is held against.
    """

    cause: Cause
    owner: Owner
    facts: Facts = ()
    installer: str = ""
    version: str = ""
    cache: Place | None = None


def explained(file: StoredFile, owner: Owner, kept: StoredFile, kept_owner: Owner, situation: Situation) -> Explained:
    """Return why ``file`` is stored though ``kept`` has its bytes, what that rests on, and whose doing it is."""
    cause, side, facts = _decided(Side(file, owner, situation), Side(kept, kept_owner, situation))
    return Explained(
        cause=cause,
        owner=side.owner,
        facts=facts,
        installer=side.by.named,
        version=side.by.version,
        cache=side.cache,
    )


def _decided(one: Side, other: Side) -> tuple[Cause, Side, Facts]:
    """Return why there is one though there is the other, whose doing it is, and what that rests on.

    What the installer of the spare file did is asked first, then that of the other one, since either may have copied;
    then what both have in common.
    """
    one.one_entry = other.one_entry = one_entry_of(one, other)
    for decisions, side, beside in (
        (_IN_LAYERS, one, other),
        (_OWN, one, other),
        (_OWN, other, one),
        (_COMMON, one, other),
    ):
        for cause, decide in decisions:
            facts = decide(side, beside)
            if facts is not None:
                return cause, side, facts
    return "separate-copies", one, files.nobody_tells(one, other)


def with_causes(spares: Iterable[Spare], situation: Situation) -> tuple[Spare, ...]:
    """Return spare files with why they are stored; ``spares`` are in the order in which they were found."""
    found = []
    other: Side | None = None
    for spare, file, owner in besides(spares, situation):
        if other is None or other.file is not file or other.owner is not owner:  # many are spare beside one
            other = Side(file, owner, situation)
        cause, side, _ = _decided(Side(spare.file, spare.owner, situation), other)
        found.append(replace(spare, cause=cause, doer=side.owner))
    return tuple(found)


def besides(spares: Iterable[Spare], situation: Situation) -> Iterator[tuple[Spare, StoredFile, Owner]]:
    """Yield each spare file with the one that its cause is told by: the kept one, or a spare one that is nearer to it.

    Two packages in two environments that copy are four files. One is kept; that it is there once more for the other
    package is one thing, and that the second environment has a copy of each is another: each copy is held against that
    of its own package, if one came before it. Not so what shares its storage: that may be with the very same.
    """
    contents: dict[tuple[int, int], tuple[int, int]] = {}  # that which is kept first, of each stored file
    nearest: dict[tuple[object, ...], tuple[StoredFile, Owner]] = {}
    beside: tuple[StoredFile, Owner] | None = None
    for spare in spares:
        kept, key = (spare.kept.device, spare.kept.inode), (spare.file.device, spare.file.inode)
        content = contents[key] = contents.get(kept, kept)
        if beside is None or beside[0] is not spare.kept or beside[1] is not spare.kept_owner:
            beside = (spare.kept, spare.kept_owner)
            nearest.setdefault((content, *_identity(*beside)), beside)
        held = nearest.setdefault((content, *_identity(spare.file, spare.owner)), (spare.file, spare.owner))
        if held[0] is not spare.file and spare.owner.package and key not in situation.cloned:
            yield spare, *held
        else:
            yield spare, *beside


def _identity(file: StoredFile, owner: Owner) -> tuple[str, str, str, str]:
    """Return what the same file of the same package has in common wherever it is installed."""
    name = file.names[0]
    if len(file.names) > 1:
        name = next((name for name in file.names if is_inside(name, owner.environment)), name)
    return owner.package, owner.version, owner.build, end_of(name)
