"""The targets on which builds are compared where the user names none, and how many that are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from runworthy.targets.names import TargetName

__all__ = ["telling_targets"]

_CELLS = 4000
"""How many cells are judged where the user names no target: more of them take too long to wait for."""

_KNOWN_BY_ALL = ("alpine", "debian", "rhel", "ubuntu")


def telling_targets(archs: Collection[str], pairs: int, like: TargetName) -> tuple[Sequence[TargetName], str]:
    """Return targets of the catalogue, as many of them as are judged in a few seconds, and how they were chosen.

    ``archs`` are the architectures of what is judged, ``pairs`` is how many files that are; ``like`` has the
    machine and the libraries that are stated.
    """
    from runworthy.targets.catalogue import open_catalogue

    stated = like.wish.architecture()
    wanted = {stated.name} if stated else set(archs)
    index = open_catalogue().index()
    known = {row.name for row in index.targets() if row.arch.name in wanted}
    families = {family: [name for name in names if name in known] for family, names in index.families.items()}
    ends = {family: list(dict.fromkeys([*names[:1], *names[-1:]])) for family, names in families.items()}
    few = {family: ends.get(family, []) for family in _KNOWN_BY_ALL}
    for words, choice in (
        ("every target of the catalogue", families),
        ("the oldest and the newest target of each family", ends),
        (f"the oldest and the newest of {', '.join(_KNOWN_BY_ALL)}", few),
    ):
        names = [name for family in choice.values() for name in family]
        chosen = words
        if 2 * pairs * len(names) <= _CELLS:
            break
    return [TargetName(name, like.wish, like.present) for name in names], chosen
