"""Builds of one library that a process of an environment loads together, as the simulation of its loader shows it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations

from runworthy.engine.dedupe.distributions import Distributions
from runworthy.engine.dedupe.loading import Loading
from runworthy.model.elf import ElfFacts
from runworthy.model.records import dataclass
from runworthy.model.storage import Build, Clash, Owner
from runworthy.storage.families import family_of, has_state, lacking

__all__ = ["clashes_of"]

_TOLD = 8
_CHUNK = 1 << 20
_LIBRARY = "Python's standard library"
_OWN = frozenset(("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libc.so"))

Owned = Callable[[str], Owner]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opener:
    """Something that brings libraries into a process: a module, or what a program has mapped when it starts."""

    path: str
    words: str
    owner: str
    maps: frozenset[str]


def clashes_of(loading: Loading, owner: Owned | None = None) -> tuple[Clash, ...]:
    """Return what a process of the environment loads in two builds, and paths that are one library since one inode.

    ``owner`` says whose a file of this machine is; without it the environment's own records are read.
    """
    return _Clashes(loading, owner).find()


class _Clashes:
    def __init__(self, loading: Loading, owner: Owned | None) -> None:
        self._loading = loading
        self._environment = loading.environment.path
        self._distributions = Distributions()
        self._owner = owner or self._recorded
        self._same: dict[tuple[str, str], bool] = {}

    def find(self) -> tuple[Clash, ...]:
        modules = list(self._modules())
        found = [clash for family, builds in self._by_family(modules) for clash in self._of(family, builds, modules)]
        for program in self._programs():
            held = self._by_family([program])
            found += [self._in_program(program, family, builds) for family, builds in held if has_state(family)]
        found += self._one_inode()
        return tuple(sorted(found, key=lambda one: (one.library, [build.path for build in one.builds], one.outcome)))

    # -- who brings what --------------------------------------------------------------------

    def _modules(self) -> Iterator[_Opener]:
        loading = self._loading
        yield _Opener(path="", words="", owner="", maps=loading.alone)
        for path, name in loading.modules.items():
            maps = loading.needed_with(path)
            if path in maps:
                own = path in loading.objects and "/lib-dynload/" not in path
                owner = (self._distributions.owner(path) or name.partition(".")[0]) if own else _LIBRARY
                yield _Opener(path=path, words=name, owner=owner, maps=maps)

    def _programs(self) -> Iterator[_Opener]:
        for one in self._loading.objects.values():
            if one.facts.is_program and one.facts.interpreter:
                maps = frozenset(self._loading.loaded_by(one.path))
                yield _Opener(path=one.path, words=f"`{one.path}`", owner="", maps=maps)

    def _by_family(self, openers: Sequence[_Opener]) -> Iterator[tuple[str, list[str]]]:
        """Yield each library of which there are several builds, with their paths: one for each that has other bytes."""
        found: dict[str, dict[str, None]] = {}
        seen: set[str] = set()
        for opener in openers:
            new = opener.maps - seen
            seen |= new
            for path in sorted(new):
                facts = self._loading.facts(path)
                name = (facts.soname if facts else "") or ""
                if name and name not in _OWN and path not in self._loading.modules:
                    found.setdefault(family_of(name), {})[path] = None
        for family, paths in sorted(found.items()):
            builds: list[str] = []
            for path in paths:
                if not any(self._equal(path, other) for other in builds):
                    builds.append(path)
            if len(builds) > 1:
                yield family, builds

    # -- what comes of it -------------------------------------------------------------------

    def _of(self, family: str, builds: list[str], openers: list[_Opener]) -> Iterator[Clash]:
        """Yield what comes of the builds of a library: those that are loaded beside each other, and those that win.

        Beside each other are found only libraries of which a process should have one.
        """
        beside: dict[str, None] = {}
        best: tuple[bool, str] | None = None
        for pair in combinations(builds, 2):
            process = self._process(pair, openers)
            if process is None:
                continue
            opened, certain, words = process
            orders = [self._mapped(order, pair) for order in (opened, opened[::-1])]
            if any(len(mapped) > 1 for mapped in orders):
                beside |= dict.fromkeys(pair)
                best = (certain, words) if best is None or certain > best[0] else best
            else:
                yield self._first(family, [mapped[0] for mapped in orders if mapped], pair, (certain, words), openers)
        if best is not None and has_state(family):
            made = tuple(self._build(path, openers) for path in beside)
            certain, words = best
            yield Clash(
                environment=self._environment,
                library=family,
                builds=made,
                outcome="both",
                process=words,
                certain=certain,
            )

    def _first(
        self, family: str, winners: list[str], pair: tuple[str, str], process: tuple[bool, str], openers: list[_Opener]
    ) -> Clash:
        """Return the clash of builds of which the first is taken: in the order that breaks something, if one does."""
        outcomes = []
        for winner in dict.fromkeys(winners or pair):
            loser = pair[1] if winner == pair[0] else pair[0]
            outcomes.append((tuple(self._breaks(winner, loser, openers)), winner, loser))
        breaks, winner, loser = max(outcomes, key=lambda one: len(one[0]))
        certain, words = process
        return Clash(
            environment=self._environment,
            library=family,
            builds=(self._build(winner, openers), self._build(loser, openers)),
            outcome="first",
            process=words,
            certain=certain,
            breaks=breaks,
        )

    def _breaks(self, winner: str, loser: str, openers: list[_Opener]) -> Iterator[tuple[str, str]]:
        first, other = self._loading.facts(winner), self._loading.facts(loser)
        libc = self._loading.libc
        if first is None or other is None or libc is None or libc.family != "glibc":  # musl looks at no versions
            return
        names = frozenset((os.path.basename(loser), other.soname or ""))
        yield from lacking(self._needers(loser, openers), first, names)

    def _in_program(self, program: _Opener, family: str, builds: list[str]) -> Clash:
        made = tuple(self._build(path, [program]) for path in builds)
        return Clash(
            environment=self._environment,
            library=family,
            builds=made,
            outcome="both",
            process=program.words,
            certain=True,
        )

    def _one_inode(self) -> Iterator[Clash]:
        """Yield modules that are one file: the loader opens it once, and its variables are those of both."""
        loading = self._loading
        by: dict[tuple[int, int], list[str]] = {}
        for one in loading.objects.values():
            if one.module:
                by.setdefault(one.identity, []).append(one.path)
        for paths in by.values():
            if len(paths) > 1:
                words = " and ".join(f"`{loading.modules[path]}`" for path in paths)
                yield Clash(
                    environment=self._environment,
                    library=os.path.basename(paths[0]),
                    builds=tuple(self._build(path, []) for path in paths),
                    outcome="one",
                    process=f"a process of {loading.host} that imports {words}",
                )

    # -- which process ----------------------------------------------------------------------

    def _process(self, pair: tuple[str, str], openers: list[_Opener]) -> tuple[list[str], bool, str] | None:
        """Return (modules to open, whether it always comes so, words) of a process that has both; None for none."""
        host = self._loading.host
        alone = [one for one in openers if {*pair} <= one.maps]
        if alone:
            first = alone[0]
            return [first.path] if first.path else [], True, self._who([first])
        sides = [[one for one in openers if path in one.maps] for path in pair]
        chosen = next(
            (
                (one, other)
                for one in _one_each(sides[0])
                for other in _one_each(sides[1])
                if self._distributions.with_all({one.owner, other.owner} - {"", _LIBRARY})
                and _LIBRARY not in (one.owner, other.owner)
            ),
            None,
        )
        if chosen is None and not all(sides):
            return None
        one, other = chosen or (sides[0][0], sides[1][0])
        opened = [opener.path for opener in (one, other) if opener.path]
        if chosen is None:
            return opened, False, self._who([one, other])
        whole = self._distributions.with_all({one.owner, other.owner} - {""})
        others = [owner for owner in dict.fromkeys((one.owner, other.owner)) if owner not in ("", whole)]
        requires = f", which requires {' and '.join(f'`{name}`' for name in others)}" if others else ""
        return opened, True, f"a process of {host} that imports `{whole}`{requires}"

    def _who(self, openers: list[_Opener]) -> str:
        """Return a process by what it imports."""
        host = self._loading.host
        named = [
            f"`{one.words}` of {_LIBRARY}" if one.owner == _LIBRARY else f"`{one.owner}`" for one in openers if one.path
        ]
        words = " and ".join(dict.fromkeys(named))
        return f"a process of {host} that imports {words}" if words else f"a process of {host}"

    def _mapped(self, opened: Iterable[str], pair: tuple[str, str]) -> list[str]:
        """Return which of two builds a process has after it has opened modules in order."""
        held = frozenset(self._loading.loaded(tuple(opened)))
        return [path for path in pair if path in held]

    # -- builds -----------------------------------------------------------------------------

    def _build(self, path: str, openers: list[_Opener]) -> Build:
        facts = self._loading.facts(path)
        try:
            size = os.lstat(path).st_size
        except OSError:
            size = 0
        wanted = sorted(needer for needer, _ in self._needers(path, openers))
        soname = (facts.soname if facts else "") or ""
        return Build(path=path, soname=soname, owner=self._owner(path), size=size, wanted_by=tuple(wanted[:_TOLD]))

    def _needers(self, path: str, openers: list[_Opener]) -> list[tuple[str, ElfFacts]]:
        """Return the files that need a build by its name and get it, by themselves."""
        facts = self._loading.facts(path)
        names = {os.path.basename(path), (facts.soname if facts else "") or ""}
        beside = {other for opener in openers if path in opener.maps for other in opener.maps}
        found = ((other, self._loading.facts(other)) for other in sorted(beside))
        return [(other, held) for other, held in found if held is not None and not names.isdisjoint(held.needed)]

    def _recorded(self, path: str) -> Owner:
        if not path.startswith(f"{self._environment}/"):
            return Owner(environment="")
        return Owner(environment=self._environment, package=self._distributions.owner(path))

    def _equal(self, one: str, other: str) -> bool:
        key = (one, other)
        if key not in self._same:
            self._same[key] = _same_bytes(one, other)
        return self._same[key]


def _one_each(openers: list[_Opener]) -> list[_Opener]:
    """Return the first opener of each owner."""
    found: dict[str, _Opener] = {}
    for one in openers:
        found.setdefault(one.owner, one)
    return list(found.values())


def _same_bytes(one: str, other: str) -> bool:
    """Whether two files hold the same; what cannot be read is taken for different."""
    try:
        with open(one, "rb") as left, open(other, "rb") as right:
            if os.fstat(left.fileno()).st_size != os.fstat(right.fileno()).st_size:
                return False
            while block := left.read(_CHUNK):
                if block != right.read(_CHUNK):
                    return False
            return True
    except OSError:
        return False
