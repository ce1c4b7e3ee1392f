"""What is known beside the files: environments, caches, and what installers did and were told in each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runworthy.model.storage import Environment, Owner, Place, StoredFile
from runworthy.storage.installers import Installer, ecosystem_of_record, installer_named, installer_of_cache
from runworthy.targets.storage.settings import Setting

__all__ = ["Installed", "Situation", "end_of", "home_of", "is_inside", "linking_environments"]


class Situation:
    """What is known beside the files: environments and caches by their paths, and what installers were told.

    ``settings`` are by environment. ``linking`` are environments in which installers made links (see
    :func:`linking_environments`); ``cloned`` are stored files, as (device, inode), that share their storage with
    another one. ``caches`` are the environments that are caches.
    """

    __slots__ = ("_installed", "_tops", "caches", "cloned", "environments", "linking", "settings")

    def __init__(
        self,
        *,
        environments: Mapping[str, Environment],
        settings: Mapping[str, Sequence[Setting]] | None = None,
        linking: Iterable[str] = (),
        cloned: Iterable[tuple[int, int]] = (),
    ) -> None:
        self.environments = environments
        self.settings = settings or {}
        self.linking = frozenset(linking)
        self.cloned = frozenset(cloned)
        self.caches = tuple(one for one in environments.values() if one.is_cache)
        self._tops = tuple(_inside(one.path) for one in self.caches)
        self._installed: dict[tuple[str, str, str, bool], Installed] = {}

    def installed(self, owner: Owner) -> Installed:
        """Return what holds of all files of an environment that one installer brought."""
        kind = "" if owner.installer else ecosystem_of_record(owner.manifest)
        key = (owner.environment, owner.installer, kind, bool(owner.package))
        found = self._installed.get(key)
        if found is None:
            found = self._installed[key] = Installed(owner, self)
        return found

    def caches_with(self, names: Iterable[str]) -> list[Place]:
        """Return the places of the caches in which a file has names; there are thousands of files and few caches."""
        cached = [name for name in names if name.startswith(self._tops)]
        if not cached:
            return []
        tops = zip(self.caches, self._tops, strict=True)
        return [one.place for one, top in tops if any(name.startswith(top) for name in cached)]

    def is_cached(self, name: str) -> bool:
        """Whether a file lies in a cache."""
        return name.startswith(self._tops)


class Installed:
    """What holds of all files of an environment that one installer brought.

    ``named`` is the installer as it is known, else as records call it; ``links``: it links what it installs, and this
    is no cache. ``inside`` is what paths in the environment begin with. ``cache`` is where it links from, ``caches``
    are the places of those of its kind; ``cache_known``: it is among what was looked at, so that names there are known.
    """

    __slots__ = (
        "cache",
        "cache_known",
        "caches",
        "ecosystem",
        "environment",
        "in_linking",
        "inside",
        "installer",
        "is_cache",
        "links",
        "named",
        "place",
        "setting",
        "type",
        "version",
    )

    def __init__(self, owner: Owner, situation: Situation) -> None:
        self.environment = environment = situation.environments.get(owner.environment)
        self.place = place = environment.place if environment else None
        self.type = place.type if place else ""
        self.inside = _inside(owner.environment)
        self.is_cache = environment is not None and environment.is_cache
        self.installer = installer = _installer(owner, environment)
        self.named = installer.name if installer else owner.installer
        self.ecosystem = installer.ecosystem if installer else ""
        self.links = installer is not None and installer.links and not self.is_cache
        self.in_linking = owner.environment in situation.linking
        told = situation.settings.get(owner.environment, ())
        self.setting = next((one for one in told if installer_named(one.installer) is installer), None)
        self.caches = [one.place for one in situation.caches if installer and one.kind == installer.cache]
        self.cache = cache = None if self.is_cache else self._cache()
        self.cache_known = cache is not None and any(one.path == cache.path for one in self.caches)
        self.version = ""
        if environment is not None and not self.is_cache and installer is not None:
            maker = installer_named(environment.installer, environment.kind)
            self.version = environment.version if maker is installer else ""

    def _cache(self) -> Place | None:
        """Return the place of the cache that its installer links from: as settings say, else the only one of its kind.

        Of several nobody knows which it was.
        """
        if self.setting and self.setting.cache:
            return self.setting.cache
        return self.caches[0] if len(self.caches) == 1 else None


def _installer(owner: Owner, environment: Environment | None) -> Installer | None:
    """Return who brought a file: as its record says, else who looks after such environments, if a package is known.

    A package of another ecosystem than the installer's (of npm, in what pip filled) was brought by somebody else.
    """
    if environment is not None and environment.is_cache:
        return installer_of_cache(environment.kind)
    if owner.installer:
        return installer_named(owner.installer)
    if environment is None or not owner.package:
        return None
    usual, kind = installer_named(environment.installer, environment.kind), ecosystem_of_record(owner.manifest)
    return usual if usual is None or not kind or usual.ecosystem == kind else None


def linking_environments(
    files: Iterable[tuple[Sequence[str], int]], environments: Mapping[str, Environment]
) -> frozenset[str]:
    """Return the environments in which there are files, as (names, links), with names in a cache or in other ones."""
    found: set[str] = set()
    tops: dict[str, str] = {}
    for names, links in files:
        if links < 2:
            continue
        lie_in = {_top_of(name.rpartition("/")[0], environments, tops) for name in names}
        if len(lie_in) > 1 or links > len(names):
            found |= {top for top in lie_in if top and not environments[top].is_cache}
    return frozenset(found)


def _top_of(directory: str, environments: Mapping[str, Environment], tops: dict[str, str]) -> str:
    """Return the innermost environment that holds a directory, empty for none; ``tops`` keeps what was found."""
    if directory not in tops:
        above = directory.rpartition("/")[0]
        inside = directory in environments
        tops[directory] = directory if inside else _top_of(above, environments, tops) if above else ""
    return tops[directory]


def home_of(file: StoredFile, situation: Situation) -> str:
    """Return the name by which a file is told: its first one outside of caches, else its first one.

    An environment's files are told of as its own, though they are linked to a cache whose path comes first.
    """
    return next((name for name in file.names if not situation.is_cached(name)), file.names[0])


def is_inside(path: str, top: str) -> bool:
    """Whether a path is ``top``, or lies below it."""
    return path == top or path.startswith(_inside(top))


def _inside(top: str) -> str:
    """Return what paths below a directory begin with."""
    return top if top.endswith("/") else f"{top}/"


def end_of(name: str) -> str:
    """Return the last two parts of a path: what a file of a package is called wherever that is installed."""
    return name[name.rfind("/", 0, name.rfind("/")) + 1 :]
