"""What the cells come to: what serves a target, which assets nobody would miss, which names are wrong."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from runworthy.engine.matrix.judging import archs_on, is_manager_of
from runworthy.engine.matrix.names import read_name
from runworthy.model.finding import Verdict
from runworthy.model.matrix import Asset, Cell, Column, Linkage, Member, Misnaming, Redundancy, Served

__all__ = ["misnamings", "redundancies", "served_by"]

_RANK: Mapping[str, int] = {"runs": 0, "risky": 1, "unknown": 2, "fails": 3, "not-for": 4}
_PLAIN = frozenset(("", *"tar.gz tgz tar.xz txz tar.zst tar.bz2 tar zip gz xz zst bz2 7z exe bin run elf com".split()))
"""Packings that a person unpacks and starts: any of them stands for any other."""
_STAGES = ("exec", "load", "version", "bind", "machine", "environment")
_ARM = frozenset(("armv7", "armv6", "armel"))

Cells = Mapping[tuple[str, str], Cell]


# -- what serves ------------------------------------------------------------------------------------


def served_by(column: Column, assets: Sequence[Asset], cells: Cells) -> Served:
    """Return what a person takes on a target, or what comes nearest there."""
    held = [(asset, cells[asset.path, column.name]) for asset in assets]
    serving = [(asset, cell) for asset, cell in held if _serves(asset, cell, column)]
    if serving:
        ranked = sorted(serving, key=lambda pair: _preference(pair[0], pair[1], column))
        first, cell = ranked[0]
        verdict: Verdict = cell.fit if cell.fit != "not-for" else "fails"
        others = tuple(asset.path for asset, _ in ranked[1:])
        return Served(target=column.name, asset=first.path, verdict=verdict, alternatives=others, why=cell.reason)
    tried = [(asset, cell) for asset, cell in held if cell.fit != "not-for"]
    if tried:
        asset, cell = min(tried, key=lambda pair: _distance(pair[0], pair[1], column))
        return Served(target=column.name, nearest=asset.path, why=cell.reason)
    return Served(target=column.name, why=_nobody(column, assets))


def _serves(asset: Asset, cell: Cell, column: Column) -> bool:
    """Whether the asset is one for the target. What another architecture's machine may run is sure, or no answer."""
    if cell.fit in ("runs", "risky"):
        return True
    archs = archs_on(asset, column.system)
    return cell.fit == "unknown" and not asset.problem and (
        not column.modelled or column.arch in archs or not archs or "any" in archs
    )  # fmt: skip


def _preference(asset: Asset, cell: Cell, column: Column) -> tuple[object, ...]:
    archs = archs_on(asset, column.system)
    libc = column.libc.partition(" ")[0]
    matches = asset.claims.linkage == libc if asset.claims.linkage else None
    return (
        _RANK[cell.fit],
        column.arch not in archs and bool(archs),
        not asset.members,
        {True: 0, None: 1, False: 2}[matches],
        0 if asset.claims.packing in _PLAIN else 1,
        bool(asset.claims.level),
        len(asset.name),
        asset.name,
    )


def _distance(asset: Asset, cell: Cell, column: Column) -> tuple[object, ...]:
    """Return how far an asset that fails is from running: what fails last comes nearest."""
    stages = [result.stage for result in cell.results if result.verdict == "fails" and result.stage]
    reached = min((_STAGES.index(stage) for stage in stages), default=-1)
    archs = archs_on(asset, column.system)
    libc = column.libc.partition(" ")[0]
    return (column.arch not in archs, _RANK[cell.fit], -reached, libc not in asset.linkages, asset.name)


def _nobody(column: Column, assets: Sequence[Asset]) -> str:
    systems = {system for asset in assets for system in asset.systems or (asset.claims.system,)}
    if column.system not in systems:
        return f"no asset is for {_SYSTEMS.get(column.system, column.system)}"
    return f"no asset for {_SYSTEMS.get(column.system, column.system)} is for {column.arch}"


_SYSTEMS = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}


# -- what nobody would miss ---------------------------------------------------------------------------


def redundancies(assets: Sequence[Asset], columns: Sequence[Column], cells: Cells) -> Iterator[Redundancy]:
    """Yield the assets that another one stands for everywhere: of two that stand for each other, one is kept."""
    gone: set[str] = set()
    modelled = [column.name for column in columns if column.modelled]
    serving = {asset.path: {at: cells[asset.path, at].fit for at in modelled} for asset in assets}
    for asset in sorted(assets, key=_kept_first, reverse=True):
        own = {at: fit for at, fit in serving[asset.path].items() if fit in ("runs", "risky")}
        for other in sorted(assets, key=_kept_first):
            if other is asset or other.path in gone or not own or not _comparable(asset, other):
                continue
            theirs = serving[other.path]
            if all(_RANK[theirs[at]] <= _RANK[fit] for at, fit in own.items()):
                gone.add(asset.path)
                more = sum(fit in ("runs", "risky") for fit in theirs.values()) - len(own)
                yield Redundancy(
                    asset=asset.path, by=other.path, targets=tuple(own), reason=_stands_for(asset, other, own, more)
                )
                break


def _kept_first(asset: Asset) -> tuple[object, ...]:
    """Order assets by how much would rather be kept: static ones, then short names."""
    return (asset.linkages != ("static",), bool(asset.claims.linkage), len(asset.name), asset.name)


def _comparable(one: Asset, other: Asset) -> bool:
    """Whether two assets are the same program in the same kind of packing, built for different C libraries."""
    mine, theirs = one.claims, other.claims
    kind = "plain" if mine.packing in _PLAIN else mine.packing
    same_kind = kind == ("plain" if theirs.packing in _PLAIN else theirs.packing)
    same = mine.name == theirs.name and mine.version == theirs.version and mine.level == theirs.level
    programs = {_program(member) for member in one.members if member.role == "program"}
    covered = programs <= {_program(member) for member in other.members if member.role == "program"}
    archs = set(mine.archs or one.archs) <= set(theirs.archs or other.archs) and set(one.archs) <= set(other.archs)
    twins = (mine.system, mine.linkage, mine.family) == (theirs.system, theirs.linkage, theirs.family)
    return same_kind and same and bool(programs) and covered and archs and not twins and not is_manager_of(one)


def _program(member: Member) -> str:
    path = member.name.partition("!")[2]
    return posixpath.basename(path) if path else read_name(posixpath.basename(member.name)).claims.name


def _stands_for(asset: Asset, other: Asset, own: Mapping[str, str], more: int) -> str:
    count = f"the {len(own)} targets" if len(own) > 1 else f"{next(iter(own))}, the one target"
    also = f", and {more} more" if more > 0 else ""
    how = "is static and runs" if other.linkages == ("static",) else "runs"
    return f"`{other.name}` {how} on {count} that `{asset.name}` serves{also}"


# -- names that are wrong -----------------------------------------------------------------------------


def misnamings(asset: Asset) -> Iterator[Misnaming]:
    """Yield what an asset's name says and its bytes do not bear out. A static program is fit for any C library."""
    native = [one for one in asset.members if one.format != "script"]
    decide = [one for one in native if one.role == "program"] or native
    if not decide:
        return
    claims = asset.claims
    if claims.system and not any(_is_for(one, claims.system) for one in decide):
        yield _misnamed(asset, claims.system, f"it is for {decide[0].system}", decide[0])
        return
    missing = [arch for arch in claims.archs if not any(_has(one, arch) for one in decide)]
    if missing and all(one.archs != ("any",) for one in decide):
        is_ = " and ".join(dict.fromkeys(arch for one in decide for arch in one.archs))
        yield _misnamed(asset, " and ".join(missing), f"it is {is_ or 'for an unknown processor'}", decide[0])
    for member in decide:
        fact = _wrong_libc(claims.linkage, member)
        if fact:
            yield _misnamed(asset, claims.linkage, fact, member)
            return


def _misnamed(asset: Asset, claim: str, fact: str, member: Member) -> Misnaming:
    return Misnaming(asset=asset.path, claim=claim, fact=fact, member=member.name if member.name != asset.path else "")


def _is_for(member: Member, system: str) -> bool:
    if system == "solaris" and member.system == "illumos":
        return True  # one format, one loader, and no mark that tells them apart
    return member.format == "ape" or member.system == system or (system == "linux" and member.system == "android")


def _has(member: Member, arch: str) -> bool:
    """Whether a file is for an architecture. Files for the kinds of 32-bit ARM do not tell which."""
    return arch in member.archs or (arch in _ARM and not _ARM.isdisjoint(member.archs))


def _wrong_libc(claim: Linkage, member: Member) -> str:
    """Return what a file needs instead of what the name of its asset says, empty where the two agree."""
    if claim in ("", member.linkage) or member.linkage in ("", "static"):
        return ""
    if claim == "static":
        if member.role != "program":
            return ""  # no library is; what it says is how something was linked into it
        return f"it asks for {member.interpreter}" if member.interpreter else f"it needs {member.linkage}"
    return f"it needs {member.linkage}" + (f", by {member.interpreter}" if member.interpreter else "")
