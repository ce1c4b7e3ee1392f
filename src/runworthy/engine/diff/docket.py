"""What is compared with what: two builds, or the assets of two releases, and what differs between their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from runworthy.engine.compare import changes_between
from runworthy.engine.opening import Given
from runworthy.engine.pairing import Build, File, Match, paired, touched
from runworthy.engine.releases import assets_of, paired_assets
from runworthy.model.difference import AssetPair, Pair
from runworthy.model.errors import FormatError
from runworthy.model.records import replace

__all__ = ["Case", "Docket", "docket_of"]


class Case(NamedTuple):
    """Two builds, or assets of them, with the files that belong together. ``asset`` is None for what is in none."""

    asset: AssetPair | None
    builds: tuple[Build | None, Build | None]
    matches: list[Match]
    pairs: list[Pair]

    @property
    def names(self) -> Iterator[str]:
        """The names of both, as people write them."""
        return (build.name for build in self.builds if build is not None)


class Docket(NamedTuple):
    """All that is compared."""

    cases: list[Case]
    assets: list[AssetPair]

    def touched(self, given: tuple[Given, Given]) -> Iterator[int]:
        """Yield the places, among all pairs, of those whose verdict is to be judged: not those of added assets.

        A change of an asset reaches those, too, that are installed with it.
        """
        reached = [list(touched(case.matches, [pair.identical for pair in case.pairs])) for case in self.cases]
        changed = {name for case, own in zip(self.cases, reached, strict=True) if own for name in case.names}
        start = 0
        for case, own in zip(self.cases, reached, strict=True):
            if None not in case.builds:
                joined = any(
                    not changed.isdisjoint(_companions(*side)) for side in zip(given, case.builds, strict=True)
                )
                yield from (start + at for at in (range(len(case.matches)) if joined else own))
            start += len(case.matches)

    def beside(self) -> dict[int, tuple[File, ...]]:
        """Return what was beside each added file before, by its place among all pairs: the same asset's old files."""
        found: dict[int, tuple[File, ...]] = {}
        start = 0
        for case in self.cases:
            old = [match for match in case.matches if match.old is not None]
            for at, match in enumerate(case.matches, start):
                if match.old is None:
                    arch = match.architecture
                    found[at] = tuple(one.old for one in old if one.old and one.architecture is arch)
            start += len(case.matches)
        return found


def docket_of(given: tuple[Given, Given], builds: tuple[Build, Build]) -> Docket:
    """Return what is compared with what: the builds, or where both are directories with assets, asset by asset."""
    if not (given[0].is_directory and given[1].is_directory):
        return Docket([_case(None, builds)], [])
    old, new = assets_of(given[0], builds[0]), assets_of(given[1], builds[1])
    assets = paired_assets(old, new)
    if not assets:
        return Docket([_case(None, builds)], [])
    by_place = [{build.name: build for name, build in held.items() if name} for held in (old, new)]
    cases = [_case(None, (old[""], new[""]))]
    cases += [_case(one, (by_place[0].get(one.old or ""), by_place[1].get(one.new or ""))) for one in assets]
    return Docket(cases, assets)


def _case(asset: AssetPair | None, builds: tuple[Build | None, Build | None]) -> Case:
    nothing = Build("", is_tree=True, files=())
    matches = paired(builds[0] or nothing, builds[1] or nothing)
    renamed = _renamed(matches)
    return Case(asset, builds, matches, [_compared(match, renamed, asset) for match in matches])


def _renamed(matches: Iterable[Match]) -> dict[str, str]:
    """Return the libraries of both builds that go by another name in the new one."""
    pairs = [(match.old.soname, match.new.soname) for match in matches if match.old and match.new]
    return {before: after for before, after in pairs if before and after and before != after}


def _companions(given: Given, build: Build | None) -> Iterator[str]:
    """Yield the names of the packages of a release that are installed with one of them."""
    if len(given.holders) < 2 or build is None:
        return
    from runworthy.engine.companions import companions

    for holder in given.holders:
        if holder.name == build.name:
            yield from (one.name for one in companions(holder, given.holders))


def _compared(match: Match, renamed: Mapping[str, str], asset: AssetPair | None) -> Pair:
    old, new, by = match
    present = [file for file in (old, new) if file is not None]
    facts = [file.elf.facts for file in present if file.elf is not None]
    arch = facts[0].architecture if facts else None
    pair = Pair(
        name=_name(match, asset),
        asset=asset.name if asset else "",
        old=old.name if old else None,
        new=new.name if new else None,
        paired_by=by,
        is_library=bool(facts) and not facts[-1].is_program,
        architecture=arch.name if arch else "",
        problem=next((f"{file.name}: {file.problem}" for file in present if file.problem), ""),
    )
    if old is None or new is None or old.elf is None or new.elf is None:
        return pair
    try:
        if old.same_bytes(new):
            return replace(pair, identical=True)
        return replace(pair, changes=changes_between(old.elf, new.elf, renamed))
    except (FormatError, OSError) as error:
        return replace(pair, problem=str(error))


def _name(match: Match, asset: AssetPair | None) -> str:
    """Return the name of a file in its build, with that of the asset that it comes in: of the new one, if there is."""
    file, where = (match.new, asset and asset.new) if match.new else (match.old, asset and asset.old)
    if file is None or asset is None:
        return file.path if file else ""
    return f"{asset.name}{file.name[len(where or '') :]}"
