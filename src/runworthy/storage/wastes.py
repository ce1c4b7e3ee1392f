"""What each cause costs in each place: spares brought together, the largest first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from runworthy.model.edit import ShareFile
from runworthy.model.records import replace
from runworthy.model.storage import Bar, Cause, Owner, Spare, StoredFile, Waste
from runworthy.storage.advice import setting_for
from runworthy.storage.causes import Explained, Facts, Situation, besides, explained, is_inside
from runworthy.storage.installers import versions_that_can

__all__ = ["wastes_of"]

_UNREAD = {"recorded": "recorded, not read", "remembered": "compared by an earlier run"}
_PLAIN = ("tree", "root")
_PACKAGES = 20
_EXAMPLES = 10
_OTHERS = 3
"""So many other environments are told one by one; with the rest an environment is told once for each cause."""


_Nearest = Mapping[int, tuple[StoredFile, Owner]]


class _Group(NamedTuple):
    """What is told at once. ``installer`` is whose doing it is; ``own``: that of the environment itself.

    ``plain``: see :class:`Waste`.
    """

    cause: Cause
    environment: str
    other: str
    installer: str
    own: bool
    plain: bool


def wastes_of(spares: Sequence[Spare], situation: Situation) -> tuple[Waste, ...]:
    """Return what is stored again by cause, environment, the other environment and installer, what takes most first.

    What shares its storage already takes none, and is left out.
    """
    groups: dict[_Group, list[Spare]] = {}
    nearest = {id(spare): (beside, owner) for spare, beside, owner in besides(spares, situation)}
    for spare in spares:
        if spare.bar != "already-shared":
            groups.setdefault(_group_of(spare, situation), []).append(spare)
    wastes = [_waste(key, group, nearest, situation) for key, group in _folded(groups).items()]
    return tuple(sorted(wastes, key=lambda one: (-one.size, one.cause, one.environment, one.other, one.installer)))


def _group_of(spare: Spare, situation: Situation) -> _Group:
    doer = spare.doer or spare.owner
    environment = spare.owner.environment
    return _Group(
        cause=spare.cause,
        environment=environment,
        other=spare.kept_owner.environment,
        installer=situation.installed(doer).named,
        own=doer.environment == environment,
        plain=_is_plain(spare.owner, situation) or _is_plain(spare.kept_owner, situation),
    )


def _is_plain(owner: Owner, situation: Situation) -> bool:
    """Whether nobody's installer looks after a file: no package names it, and it lies in a tree as any other."""
    environment = situation.environments.get(owner.environment)
    return not owner.package and (environment is None or environment.kind in _PLAIN)


def _folded(groups: dict[_Group, list[Spare]]) -> dict[_Group, list[Spare]]:
    """Return the groups with the small ones of one cause and environment as one, whose other environment is empty."""
    told: dict[_Group, list[Spare]] = {}
    counts: dict[tuple[Cause, str], int] = {}
    for key, group in sorted(groups.items(), key=lambda one: (-_room(one[1]), one[0])):
        number = counts[key.cause, key.environment] = counts.get((key.cause, key.environment), 0) + 1
        several = number > _OTHERS and key.other != key.environment
        told.setdefault(key._replace(other="") if several else key, []).extend(group)
    return told


def _waste(key: _Group, group: list[Spare], nearest: _Nearest, situation: Situation) -> Waste:
    group = sorted(group, key=lambda spare: (-spare.file.allocated, spare.file.names))
    why = _why(group[0], nearest[id(group[0])], situation)
    cause_in = {(spare.doer or spare.owner).environment for spare in group}
    if len(cause_in) > 1:
        why = replace(why, version="")
    return Waste(
        cause=key.cause,
        environment=key.environment,
        other=key.other,
        cause_in=next(iter(cause_in)) if len(cause_in) == 1 else "",
        cache=why.cache.path if why.cache else "",
        installer=why.installer,
        version=why.version,
        files=len(group),
        size=_room(group),
        frees=sum(spare.frees for spare in group if not spare.bar),
        packages=_packages(group),
        examples=tuple(_example(spare, key.environment, key.other) for spare in group[:_EXAMPLES]),
        facts=(*why.facts, *_versions(why), *_unread(group)),
        setting=_setting(cause_in, why, situation),
        bars=_bars(group),
        shares=tuple(share for spare in group for share in _share(spare)),
        plain=key.plain,
    )


def _why(spare: Spare, beside: tuple[StoredFile, Owner], situation: Situation) -> Explained:
    """Return what the cause of the largest of them rests on."""
    why = explained(spare.file, spare.owner, *beside, situation)
    return why if why.cause == spare.cause else replace(why, cause=spare.cause, facts=())


def _versions(why: Explained) -> Facts:
    words = versions_that_can(why.cause, why.installer, why.version)
    return (("versions", words),) if words else ()


def _setting(cause_in: Collection[str], why: Explained, situation: Situation) -> str:
    """Return what would have kept all of them from being there, empty where that differs between environments."""
    environments = map(situation.environments.get, cause_in)
    told = {setting_for(why.cause, why.installer, why.version, why.cache, one) for one in environments}
    advised = told.pop() if len(told) == 1 else None
    return advised.words if advised else ""


def _unread(group: Iterable[Spare]) -> Facts:
    """Return of how many of them it is only recorded, or remembered, that they are the same."""
    held = {proof: sum(spare.proof == proof for spare in group) for proof in ("recorded", "remembered")}
    return tuple((_UNREAD[proof], str(number)) for proof, number in held.items() if number)


def _room(group: Iterable[Spare]) -> int:
    return sum(spare.file.allocated for spare in group)


def _packages(group: Iterable[Spare]) -> tuple[tuple[str, int, int], ...]:
    """Return the packages with most bytes; what belongs to none has an empty name."""
    held: dict[str, list[int]] = {}
    for spare in group:
        name = " ".join(filter(None, (spare.owner.package, spare.owner.version)))
        row = held.setdefault(name, [0, 0])
        row[0] += 1
        row[1] += spare.file.allocated
    rows = [(name, files, size) for name, (files, size) in held.items()]
    return tuple(sorted(rows, key=lambda row: (-row[2], row[0]))[:_PACKAGES])


def _bars(group: Iterable[Spare]) -> tuple[tuple[Bar, int, int], ...]:
    held: dict[Bar, list[int]] = {}
    for spare in group:
        if spare.bar:
            row = held.setdefault(spare.bar, [0, 0])
            row[0] += 1
            row[1] += spare.file.allocated
    rows = [(bar, files, size) for bar, (files, size) in held.items()]
    return tuple(sorted(rows, key=lambda row: (-row[2], row[0])))


def _example(spare: Spare, environment: str, other: str) -> tuple[str, str, int]:
    """Return a name of both, in the two environments where they have such."""
    mine = next((name for name in spare.file.names if is_inside(name, environment)), spare.file.names[0])
    theirs = next((name for name in spare.kept.names if is_inside(name, other or environment)), spare.kept.names[0])
    return mine, theirs, spare.file.allocated


def _share(spare: Spare) -> Iterable[ShareFile]:
    """Yield what would share it, where nothing bars that."""
    if spare.how and not spare.bar:
        file = spare.file
        yield ShareFile(paths=file.names, kept=spare.kept.names[0], how=spare.how, size=file.size, frees=spare.frees)
