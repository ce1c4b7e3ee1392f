"""Which packages bring what a target lacks, cheapest first, with all that comes along."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from functools import cmp_to_key, partial
from typing import Final

from runworthy.formats.index.versions import compare, upstream
from runworthy.model.arch import Architecture
from runworthy.model.edit import UnpackPackage, Vouched
from runworthy.model.errors import FormatError
from runworthy.model.package import Manager, Package, Relation
from runworthy.targets.libc import default_directories
from runworthy.targets.packages.choice import Choice, Wanted
from runworthy.targets.packages.closure import GIVEN, INSTALLED, Closure
from runworthy.targets.packages.dialect import (
    architectures,
    by_convention,
    is_libc,
    libc_architecture,
    names_of,
    own_architecture,
)
from runworthy.targets.packages.fetching import ARCHIVES_LIMIT, Fetcher, FetchError, sha256_of
from runworthy.targets.packages.installed import installed, key_of, manager_of
from runworthy.targets.packages.pool import Held, Owners, Pool
from runworthy.targets.packages.signature import bears_signature
from runworthy.targets.packages.sources import Sources, given_sources, paths_in, root_sources
from runworthy.targets.target import Target
from runworthy.targets.view import Resolved, UnseenError

__all__ = ["Packages"]

_CANDIDATES: Final = 8
_USUAL: Final = 500
"""apt's priority of releases that say nothing of it."""
_BINARIES: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_LIBRARIES: Final = ("/lib", "/usr/lib", "/usr/local/lib")


class Packages:
    """The packages that can be had for a target.

    ``given`` are files and directories of this machine with indexes or packages; they count first, then what the root
    itself knows, and with ``network`` its repositories. What is fetched is kept in ``scratch``; nothing is written
    anywhere else.
    """

    def __init__(self, target: Target, given: Sequence[str] = (), *, scratch: str = "", network: bool = False) -> None:
        self.manager: Manager | None = manager_of(target)
        self._target = target
        self._given = tuple(given)
        self._scratch = scratch
        self._network = network and bool(scratch)
        self._fetcher = Fetcher(scratch) if scratch else None
        self._here: Sources | None = None
        self._there: dict[str, Sources] = {}
        self._archives: dict[tuple[str, str, str], UnpackPackage | None] = {}
        self._installed: Held | None = None
        self._told = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be read, and on whose word the answers rest."""
        sources = (*([self._here] if self._here else ()), *self._there.values())
        return tuple(dict.fromkeys(note for one in sources for note in one.notes))

    def providers(self, wanted: Wanted) -> tuple[Choice, ...]:
        """Return the packages that bring what is wanted, cheapest first. Raises OSError."""
        if self.manager is None:
            return ()
        found = self._choices(wanted, self._local())
        if self._network and not any(one.known for one in found):
            found = self._choices(wanted, self._both(wanted.arch)) or found
        return tuple(sorted(found, key=_price))

    def named(self, name: str) -> tuple[Choice, ...]:
        """Return the package of the target's own architecture that is called so, where it is not there already.

        What comes along is the same as for :meth:`providers`. Raises OSError.
        """
        if self.manager is None:
            return ()
        found = self._named(name, self._local())
        if self._network and not any(one.known for one in found):
            found = self._named(name, self._both(self._target.arch)) or found
        return tuple(found)

    def _named(self, name: str, sources: Sources) -> list[Choice]:
        pool = Pool(sources.indexes)
        closure = self._closure(pool, sources)
        called = (one for one in pool.find(name) if one.name == name)
        found = []
        for package in self._newer((one for one in called if self._own(one)), sources):
            chosen = closure.of(package)
            choice = self._choice(package, chosen, sources) if chosen else self._lacking(package, closure)
            found += [choice] if choice is not None else []
        return found

    def _own(self, package: Package) -> bool:
        return own_architecture(self._manager, self._target.arch, package)

    # -- where it is known from --------------------------------------------------------------------------------

    def _local(self) -> Sources:
        if self._here is None and self.manager is not None:
            self._here = given_sources(self._given, self.manager)
            self._here.add(root_sources(self._target, self.manager, self._scratch))
        return self._here or Sources()

    def _remote(self, arch: Architecture) -> Sources:
        from runworthy.targets.packages.network import network_sources

        held = self._there.get(arch.name)
        if held is None and self.manager is not None and self._fetcher is not None:
            words = (self._native, *(one for one in architectures(self.manager, arch)[:1] if one != self._native))
            held = self._there[arch.name] = network_sources(self._target, self.manager, words, self._fetcher)
        return held or Sources()

    def _both(self, arch: Architecture) -> Sources:
        both = Sources()
        both.add(self._local())
        both.add(self._remote(arch))
        return both

    @property
    def _native(self) -> str:
        return architectures(self.manager, self._target.arch)[0] if self.manager else ""

    def _present(self) -> Held:
        """Return what is installed."""
        if self._installed is None:
            try:
                found = installed(self._target)
            except FormatError:
                found = None
            self._told = found is not None and any(one.depends or one.provides for one in found.values())
            self._installed = Held(found.values() if found else ())
        return self._installed

    # -- who brings it -----------------------------------------------------------------------------------------

    def _choices(self, wanted: Wanted, sources: Sources) -> list[Choice]:
        """Return the packages that bring what is wanted, as these sources know it."""
        pool = Pool(sources.indexes)
        closure = self._closure(pool, sources)
        for packages, guessed in self._candidates(wanted, pool, sources):
            found: list[Choice] = []
            for package in packages:
                chosen = closure.of(package)
                choice = self._choice(package, chosen, sources) if chosen else self._lacking(package, closure)
                # Where a name alone speaks for it, it has to be seen.
                if choice is not None and (not choice.known or self._brings(choice, wanted, guessed=guessed)):
                    found.append(choice)
                if len(found) >= _CANDIDATES or (found and guessed and found[-1].known):
                    break
            if guessed:
                found = [one for one in found if one.known] or found[:1]
            if found:
                return found
        return []

    def _closure(self, pool: Pool, sources: Sources) -> Closure:
        there = self._present()
        return Closure(
            manager=self._manager,
            native=self._native,
            available=pool,
            installed=there,
            all_installed=tuple(there),
            present=self._in_root,
            refused=self._refused,
            priority=partial(_priority, sources),
        )

    @property
    def _manager(self) -> Manager:
        if self.manager is None:
            raise ValueError("a target without a package manager has no packages")
        return self.manager

    def _candidates(self, wanted: Wanted, pool: Pool, sources: Sources) -> Iterator[tuple[list[Package], bool]]:
        """Yield packages that may bring what is wanted, what is surer and nearer first; and whether it is a guess."""
        yield (
            self._newer(
                (
                    package
                    for name in names_of(self._manager, wanted)
                    for package in pool.find(name)
                    if self._for(package, wanted)
                ),
                sources,
            ),
            False,
        )
        for one in sources.owners:
            yield self._owning(one, wanted, pool, sources), False
        if self.manager == "apt":
            yield (
                [
                    package
                    for name in dict.fromkeys(by_convention(wanted))
                    for package in self._newer((one for one in pool.find(name) if self._for(one, wanted)), sources)
                ],
                True,
            )
        for one in sources.later:
            yield self._owning(one, wanted, pool, sources), False

    def _for(self, package: Package, wanted: Wanted) -> bool:
        """Whether a package is of the architecture that is wanted; a command may be of the target's own."""
        words = (*architectures(self._manager, wanted.arch), "all", "noarch", "")
        if wanted.kind == "command":
            words = (*words, *architectures(self._manager, self._target.arch))
        return package.arch in words

    def _newer(self, packages: Iterable[Package], sources: Sources) -> list[Package]:
        """Return of each package the version that its manager would take, and none that is there already."""
        order = cmp_to_key(partial(compare, self._manager))
        rank = partial(_priority, sources)
        best: dict[tuple[str, str], Package] = {}
        for package in packages:
            key = (package.name, package.arch)
            held = best.get(key)
            if held is None or (rank(package), order(package.version)) > (rank(held), order(held.version)):
                best[key] = package
        return [one for one in best.values() if self._is_newer(one, least=rank(one))]

    def _is_newer(self, package: Package, *, least: int) -> bool:
        """Whether a package would be installed: it is not there, or earlier, and its priority is not too low."""
        like = (one for one in self._present().find(package.name) if one.name == package.name)
        there = [one for one in like if one.arch in ("", package.arch)]
        later = all(compare(self._manager, package.version, one.version) > 0 for one in there)
        return later and (not there or least >= INSTALLED)

    def _owning(self, lists: Owners, wanted: Wanted, pool: Pool, sources: Sources) -> list[Package]:
        """Return the packages in which a file that would do lies, by a list of files."""
        asked = list(self._paths(wanted)) if wanted.kind != "library" else [wanted.name]
        if self.manager == "dnf" and wanted.kind == "library":
            asked = [f"{directory}/{wanted.name}" for directory in self._directories(wanted.arch)]
        try:
            found = lists.owners(asked)
        except (FormatError, FetchError, OSError) as error:
            sources.notes.append(str(error))
            return []
        names = dict.fromkeys(
            name for path, packages in found.items() if self._is_place(path, wanted) for name in packages
        )
        there = (one for name in names for one in pool.find(name) if one.name == name)
        return self._newer((one for one in there if self._for(one, wanted)), sources)

    def _is_place(self, path: str, wanted: Wanted) -> bool:
        """Whether a file at a path would be found as what is wanted."""
        if wanted.kind == "library":
            directory = posixpath.dirname(path)
            return posixpath.basename(path) == wanted.name and directory in self._directories(wanted.arch)
        return path in set(self._paths(wanted))

    @staticmethod
    def _paths(wanted: Wanted) -> Iterator[str]:
        """Yield the paths at which what is wanted would do; with /usr merged, those that come to the same."""
        paths = [f"{one}/{wanted.name}" for one in _BINARIES] if wanted.kind == "command" else [wanted.name]
        for path in paths:
            yield path
            if path.startswith(("/bin/", "/sbin/", "/lib")):
                yield f"/usr{path}"
            elif path.startswith(("/usr/bin/", "/usr/sbin/", "/usr/lib")):
                yield path.removeprefix("/usr")

    def _directories(self, arch: Architecture) -> frozenset[str]:
        """Return the directories in which loaders of an architecture look by themselves."""
        names = (arch.multiarch, arch.multiarch.replace("-gnu", "-musl"))
        more = (f"{top}/{name}" for top in ("/lib", "/usr/lib") for name in names)
        width = f"{arch.elf_class}"
        found = {*_LIBRARIES, f"/lib{width}", f"/usr/lib{width}", *more}
        for loader in (arch.glibc_loader, arch.musl_loader):
            held = self._target.view.find(loader) if self._can_see(loader) else None
            if isinstance(held, Resolved) and loader == arch.glibc_loader:
                try:
                    found.update(default_directories(self._target.view, held.path, arch))
                except (FormatError, OSError, UnseenError):
                    continue
        return frozenset(one.rstrip("/") for one in found)

    # -- what it comes to --------------------------------------------------------------------------------------

    def _choice(self, package: Package, packages: Sequence[Package], sources: Sources) -> Choice | None:
        """Return packages as a choice, None where what they bring must not be brought."""
        names = tuple(key_of(one, self._target) for one in packages)
        wanted = key_of(package, self._target)
        sizes, kept = [one.size for one in packages], [one.installed for one in packages]
        size = sum(one for one in sizes if one is not None) if None not in sizes else None
        effects, why = self._at_hand(packages, size, sources)
        if any(self._replaces_libc(one, each.archive) for one, each in zip(packages, effects, strict=False)):
            return None
        return Choice(
            manager=self._manager,
            names=(wanted,),
            with_them=tuple(name for name in names if name != wanted),
            size=size,
            installed=sum(one for one in kept if one is not None) if None not in kept else None,
            effects=effects,
            known=not why,
            why=why,
            notes=tuple(dict.fromkeys((*sources.notes, *self._unwilling(packages, sources)))),
            packages=tuple(packages),
        )

    @staticmethod
    def _unwilling(packages: Sequence[Package], sources: Sources) -> Iterator[str]:
        """Yield in words what comes from releases from which apt takes nothing where another has it."""
        for package in packages:
            if _priority(sources, package) < _USUAL:
                yield f"{package.name} {package.version} is in {package.origin} alone, which is not for everyday use"

    def _lacking(self, package: Package, closure: Closure) -> Choice | None:
        """Return a package of which not all that it needs is known, None where it cannot be installed as things are."""
        if not closure.missing:
            return None
        return Choice(
            manager=self._manager,
            names=(key_of(package, self._target),),
            why=f"{package.name} needs {closure.missing[0]}, of which nothing is known here",
        )

    def _at_hand(
        self, packages: Sequence[Package], size: int | None, sources: Sources
    ) -> tuple[tuple[UnpackPackage, ...], str]:
        """Return what the packages bring; nothing, and in words what is not known, where one is not at hand."""
        if size is not None and size > ARCHIVES_LIMIT:
            return (), f"its packages come to more than {ARCHIVES_LIMIT >> 20} MB, which are not looked into"
        found = []
        left = ARCHIVES_LIMIT
        for package in packages:
            try:
                held = self._archive(package, sources, left)
            except (FetchError, FormatError, OSError) as error:
                return (), f"what {package.name} brings is not known here: {error}"
            if held is None:
                hint = "" if self._network else ", or ask its repositories with --network"
                return (), f"what {package.name} brings is not known here: give it with --packages{hint}"
            left -= os.stat(held.archive).st_size
            found.append(held)
        return tuple(found), ""

    def _archive(self, package: Package, sources: Sources, limit: int) -> UnpackPackage | None:
        """Return what a package brings, None where it is not at hand. Raises FetchError, FormatError, OSError."""
        key = (package.name, package.version, package.arch)
        if key not in self._archives:
            path, vouched = self._found(package, sources, limit)
            digest = sha256_of(path) if path else ""
            if path and package.sha256 and digest != package.sha256:
                raise FetchError(f"{path} is another file than its index says: its hash differs")
            words = f"{package.name} {package.version}"
            made = UnpackPackage(archive=path, package=words, sha256=digest, vouched=vouched)
            self._archives[key] = made if path else None
        return self._archives[key]

    def _found(self, package: Package, sources: Sources, limit: int) -> tuple[str, Vouched]:
        """Return where an archive lies on this machine, and who answers for it. Raises FetchError, OSError."""
        if package.archive.startswith("/") and os.path.isfile(package.archive):
            return package.archive, "given"
        held = sources.archives.get((package.name, package.version, package.arch))
        path = held[0]() if held is not None else ""
        if held is not None and path:
            return path, held[1]
        if not self._network or self._fetcher is None or "://" not in package.archive:
            return "", ""
        path = self._fetcher.get(package.archive, sha256=package.sha256, limit=limit)
        listed = package.sha256 and package.origin in sources.signed
        itself = self.manager == "apk" and bears_signature(path)
        return path, "signed" if listed or itself else ""

    def _brings(self, choice: Choice, wanted: Wanted, *, guessed: bool) -> bool:
        """Whether a look into the archives shows what is wanted, or an index that is no guess says so of a link."""
        for edit in choice.effects:
            if isinstance(edit, UnpackPackage):
                paths = paths_in(edit.archive)
                if paths is None or any(self._is_place(path, wanted) for path in paths):
                    return not guessed or paths is not None
        return not guessed and (wanted.kind == "path" or self.manager != "apt")

    # -- the C library, and what is there ----------------------------------------------------------------------

    def _refused(self, package: Package) -> bool:
        """Whether a package is another C library than the one that programs of its kind have in the root."""
        if not is_libc(package):
            return False
        there = [one for one in self._present().find(package.name) if one.name == package.name]
        same = [one for one in there if one.arch in ("", package.arch)]
        if same:
            return any(upstream(self._manager, one.version) != upstream(self._manager, package.version) for one in same)
        arch = libc_architecture(package)
        musl = "musl" in package.name
        if self.manager == "apk":
            return not musl or self._exists(self._target.arch.musl_loader)
        return arch is None or self._exists(arch.musl_loader if musl else arch.glibc_loader)

    def _replaces_libc(self, package: Package, archive: str) -> bool:
        """Whether a package that is no C library brings the files of the one that is there."""
        if is_libc(package):
            return False
        arch = self._target.arch
        held = {}
        for loader in (arch.glibc_loader, arch.musl_loader):
            found = self._target.view.find(loader) if self._can_see(loader) else None
            if isinstance(found, Resolved):
                held[posixpath.basename(loader)] = found.path
                held.setdefault("libc.so.6", f"{posixpath.dirname(found.path)}/libc.so.6")
        paths = paths_in(archive) or ()
        return any(self._real(path) == held[name] for path in paths if (name := posixpath.basename(path)) in held)

    def _real(self, path: str) -> str:
        directory = self._target.view.real_directory(posixpath.dirname(path)) or posixpath.dirname(path)
        return f"{directory.rstrip('/')}/{posixpath.basename(path)}"

    def _in_root(self, relation: Relation) -> bool:
        """Whether the root has what a name stands for, though no database says so."""
        name = relation.name
        if name.startswith("/"):
            return self._exists(name)
        self._present()
        if self._told:
            return False
        plain = name.partition("(")[0].removeprefix("so:")
        if ".so" in plain and "/" not in plain:
            return any(self._exists(f"{directory}/{plain}") for directory in self._directories(self._target.arch))
        if name.startswith("cmd:"):
            return any(self._exists(f"{directory}/{name[4:]}") for directory in _BINARIES)
        like = Package(manager=self._manager, name=name.partition(":")[0], version="0", arch=self._native)
        return is_libc(like) and self._refused(like)

    def _exists(self, path: str) -> bool:
        try:
            return self._target.view.exists(path)
        except UnseenError:
            return False

    def _can_see(self, path: str) -> bool:
        return self._exists(path)


def _priority(sources: Sources, package: Package) -> int:
    """Return how willingly a version of a package is taken, as apt_preferences(5) counts it."""
    given = (package.name, package.version, package.arch) in sources.archives and package.archive.startswith("/")
    return GIVEN if given else sources.priorities.get(package.origin, _USUAL)


def _price(choice: Choice) -> tuple[bool, int, int, tuple[str, ...]]:
    return not choice.known, len(choice.names) + len(choice.with_them), choice.size or 0, choice.names
