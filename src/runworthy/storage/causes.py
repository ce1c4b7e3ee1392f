"""Why the same bytes are stored again: decided on what is there, not on what records claim about links.

What records say of how a file came (``link.type`` of conda-meta) is not asked: rattler writes 1 for hard links,
reflinks and copies alike where the device numbers are equal (`crates/rattler/src/install/mod.rs`), and falls back to
copies without a word (`install/link.rs`, hardlink_to_destination). Names and places tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from runworthy.model.records import dataclass, replace
from runworthy.model.storage import Cause, Environment, Owner, Place, Spare, StoredFile
from runworthy.storage.installers import Installer, ecosystem_of_record, installer_named, installer_of_cache
from runworthy.storage.planning import MOST_LINKS
from runworthy.targets.storage.settings import Setting

__all__ = [
    "Explained",
    "Facts",
    "Situation",
    "besides",
    "explained",
    "home_of",
    "is_inside",
    "linking_environments",
    "with_causes",
]

Facts = tuple[tuple[str, str], ...]

_NEARLY = 64
"""A file has too many names where less than one in so many is left: some have been removed since, maybe."""

_WITHOUT_REFLINKS = ("ext2", "ext3", "ext4", "tmpfs")
"""Where reflinks alone are asked for there, files are copied."""

# Where container engines keep the layers of images: containers/storage `drivers/overlay`, moby `daemon/graphdriver`,
# containerd `snapshots/overlay`.
_LAYERS = ("/overlay2/", "/overlay/", "io.containerd.snapshotter.v1.overlayfs/")
_LAYER_TOPS = ("/diff/", "/fs/")


class Situation:
    """What is known beside the files: environments and caches by their paths, and what installers were told.

    ``settings`` are by environment. ``linking`` are environments in which installers made links (see
    :func:`linking_environments`); ``cloned`` are stored files, as (device, inode), that share their storage with
    another one. ``caches`` are the environments that are caches.
    """

    __slots__ = ("_installed", "caches", "cloned", "environments", "linking", "settings")

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
        self._installed: dict[tuple[str, str, str, bool], _Installed] = {}

    def installed(self, owner: Owner) -> _Installed:
        """Return what holds of all files of an environment that one installer brought."""
        kind = "" if owner.installer else ecosystem_of_record(owner.manifest)
        key = (owner.environment, owner.installer, kind, bool(owner.package))
        found = self._installed.get(key)
        if found is None:
            found = self._installed[key] = _Installed(owner, self)
        return found


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
    setting: Setting | None = None


def explained(file: StoredFile, owner: Owner, kept: StoredFile, kept_owner: Owner, situation: Situation) -> Explained:
    """Return why ``file`` is stored though ``kept`` has its bytes, what that rests on, and whose doing it is.

    What the installer of the spare file did is asked first, then that of the other one, since either may have copied;
    then what both have in common.
    """
    one, other = _Side(file, owner, situation), _Side(kept, kept_owner, situation)
    one.one_entry = other.one_entry = _one_entry(one, other)
    for decisions, side, beside in (
        (_IN_LAYERS, one, other),
        (_OWN, one, other),
        (_OWN, other, one),
        (_COMMON, one, other),
    ):
        for cause, decide in decisions:
            facts = decide(side, beside)
            if facts is not None:
                return side.explained(cause, facts)
    return one.explained("separate-copies", _nobody(one, other))


def with_causes(spares: Iterable[Spare], situation: Situation) -> tuple[Spare, ...]:
    """Return spare files with why they are stored; ``spares`` are in the order in which they were found."""
    found = []
    for spare, beside, owner in besides(spares, situation):
        why = explained(spare.file, spare.owner, beside, owner, situation)
        found.append(replace(spare, cause=why.cause, doer=why.owner))
    return tuple(found)


def besides(spares: Iterable[Spare], situation: Situation) -> Iterator[tuple[Spare, StoredFile, Owner]]:
    """Yield each spare file with the one that its cause is told by: the kept one, or a spare one that is nearer to it.

    Two packages in two environments that copy are four files. One is kept; that it is there once more for the other
    package is one thing, and that the second environment has a copy of each is another: each copy is held against that
    of its own package, if one came before it. Not so what shares its storage: that may be with the very same.
    """
    contents: dict[tuple[int, int], tuple[int, int]] = {}  # that which is kept first, of each stored file
    nearest: dict[tuple[object, ...], tuple[StoredFile, Owner]] = {}
    for spare in spares:
        kept, key = (spare.kept.device, spare.kept.inode), (spare.file.device, spare.file.inode)
        content = contents[key] = contents.get(kept, kept)
        beside = (spare.kept, spare.kept_owner)
        nearest.setdefault((content, *_identity(*beside)), beside)
        held = nearest.setdefault((content, *_identity(spare.file, spare.owner)), (spare.file, spare.owner))
        if held[0] is not spare.file and spare.owner.package and key not in situation.cloned:
            beside = held
        yield spare, *beside


def _identity(file: StoredFile, owner: Owner) -> tuple[str, str, str, tuple[str, ...]]:
    """Return what the same file of the same package has in common wherever it is installed."""
    name = next((name for name in file.names if is_inside(name, owner.environment)), file.names[0])
    return owner.package, owner.version, owner.build, tuple(name.rsplit("/", 2)[1:])


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
    outside = (name for name in file.names if not any(is_inside(name, cache.path) for cache in situation.caches))
    return next(outside, file.names[0])


def is_inside(path: str, top: str) -> bool:
    """Whether a path is ``top``, or lies below it."""
    return path == top or path.startswith(top if top.endswith("/") else f"{top}/")


class _Installed:
    """What holds of all files of an environment that one installer brought.

    ``cache_known``: the cache that it links from is among what was looked at, so that names there are known;
    ``caches`` is how many of its kind were.
    """

    __slots__ = (
        "cache",
        "cache_known",
        "caches",
        "environment",
        "in_linking",
        "installer",
        "is_cache",
        "named",
        "place",
        "setting",
        "version",
    )

    def __init__(self, owner: Owner, situation: Situation) -> None:
        self.environment = environment = situation.environments.get(owner.environment)
        self.place = environment.place if environment else None
        self.is_cache = environment is not None and environment.is_cache
        self.installer = installer = _installer(owner, environment)
        self.named = installer.name if installer else owner.installer
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


class _Side:
    """One of two files with the same bytes, with what is known of how it came to be.

    ``is_cache``: it lies in a cache and nowhere else that is known of. ``one_entry``: see :func:`_one_entry`.
    """

    __slots__ = (
        "cache",
        "cache_known",
        "cached",
        "caches",
        "ecosystem",
        "file",
        "in_linking",
        "installer",
        "is_cache",
        "linked",
        "one_entry",
        "owner",
        "patched",
        "place",
        "setting",
        "version",
    )

    def __init__(self, file: StoredFile, owner: Owner, situation: Situation) -> None:
        installed = situation.installed(owner)
        self.file = file
        self.owner = owner
        self.installer = installed.installer
        self.ecosystem = installed.installer.ecosystem if installed.installer else ""
        self.is_cache = installed.is_cache
        self.in_linking = installed.in_linking
        self.place = installed.place
        self.setting = installed.setting
        self.version = installed.version
        self.cache_known = installed.cache_known
        self.caches = installed.caches
        self.one_entry = False
        self.patched = owner.patched and not installed.is_cache  # in a cache it is as the package has it
        self.cached = cached = _caches_with(file, situation)
        self.cache = cached[0] if cached else installed.cache
        self.linked = (
            bool(cached)
            or file.outside > 0
            or (file.device, file.inode) in situation.cloned
            or _is_elsewhere(file.names, owner.environment)
        )

    @property
    def named(self) -> str:
        return self.installer.name if self.installer else self.owner.installer

    def explained(self, cause: Cause, facts: Facts) -> Explained:
        return Explained(
            cause=cause,
            owner=self.owner,
            facts=facts,
            installer=self.named,
            version=self.version,
            cache=self.cache,
            setting=self.setting,
        )


def _is_elsewhere(names: Sequence[str], environment: str) -> bool:
    prefix = f"{environment.rstrip('/')}/"
    return not all(name.startswith(prefix) for name in names)


def _caches_with(file: StoredFile, situation: Situation) -> list[Place]:
    """Return the places of the caches in which a file has names."""
    found = []
    for one in situation.caches:
        prefix = f"{one.path}/"
        for name in file.names:
            if name.startswith(prefix):
                found.append(one.place)
                break
    return found


# -- what two have in common -----------------------------------------------------------------


def _one_entry(side: _Side, beside: _Side) -> bool:
    """Whether both come from what one cache would hold once, so that links from there would have made them one file.

    Caches hold packages by name, version and build (uv: by the wheel; rattler, conda: by the archive). pnpm's store
    holds files by their content: whatever the package, they are one.
    """
    if "pnpm" in (side.named, beside.named) and side.ecosystem == beside.ecosystem:
        return True
    if side.ecosystem != beside.ecosystem or not side.ecosystem or _one_package(side, beside):
        return False
    mine, theirs = side.owner, beside.owner
    if not mine.package or not theirs.package:
        return side.is_cache or beside.is_cache  # of caches it is often not known what is whose
    builds = mine.build == theirs.build or not mine.build or not theirs.build
    return (mine.package, mine.version) == (theirs.package, theirs.version) and builds


def _one_package(side: _Side, beside: _Side) -> bool:
    """Whether they are two files of one package that is installed once."""
    mine, theirs = side.owner, beside.owner
    same = (mine.environment, mine.package, mine.version, mine.manifest)
    return bool(mine.package) and same == (theirs.environment, theirs.package, theirs.version, theirs.manifest)


def _is_plain(side: _Side) -> bool:
    return not side.patched and not side.owner.editable


def _one_path(side: _Side, beside: _Side) -> bool:
    """Whether they are the same file of a package, as far as the ends of their names tell."""
    ends = [{tuple(name.rsplit("/", 2)[1:]) for name in one.file.names} for one in (side, beside)]
    return not ends[0].isdisjoint(ends[1])


def _same_rights(side: _Side, beside: _Side) -> bool:
    one, other = side.file, beside.file
    return (one.mode, one.uid, one.gid) == (other.mode, other.uid, other.gid)


def _should_be_linked(side: _Side) -> bool:
    """Whether its installer links, and it is linked to nothing, though both come from one entry of a cache."""
    return (
        side.one_entry
        and side.installer is not None
        and side.installer.links
        and not side.is_cache
        and not side.linked
        and _is_plain(side)
    )


def _links_work(side: _Side) -> bool:
    """Whether hard links from the cache of its installer are possible as far as places say."""
    return (
        side.cache is not None
        and side.place is not None
        and side.cache.device == side.place.device
        and side.cache.mount == side.place.mount
    )


# -- the decisions ---------------------------------------------------------------------------


def _other_filesystem(side: _Side, beside: _Side) -> Facts | None:
    """link(2) and FICLONE: EXDEV. uv, rattler, conda and pnpm then copy: link.rs of both, core/link.py, linkOrCopy."""
    del beside
    cache, place = side.cache, side.place
    if cache is None or place is None or cache.filesystem == place.filesystem or not _should_be_linked(side):
        return None
    return (("cache", _where(cache)), ("environment", _where(place)), _links(side))


def _bind_mount(side: _Side, beside: _Side) -> Facts | None:
    """link(2): EXDEV where oldpath and newpath are on two mounts, "even if the same filesystem is mounted on both"."""
    del beside
    cache, place = side.cache, side.place
    if cache is None or place is None or not _should_be_linked(side):
        return None
    if cache.filesystem != place.filesystem or cache.device != place.device or cache.mount == place.mount:
        return None
    return (("cache", _mounted(cache)), ("environment", _mounted(place)), _links(side))


def _subvolume(side: _Side, beside: _Side) -> Facts | None:
    """fs/btrfs/inode.c, btrfs_link: EXDEV where the roots differ. Reflinks work; not all installers try them."""
    del beside
    cache, place = side.cache, side.place
    if cache is None or place is None or not _should_be_linked(side):
        return None
    if place.type != "btrfs" or cache.filesystem != place.filesystem or cache.device == place.device:
        return None
    return (("cache", _mounted(cache)), ("environment", _mounted(place)), _links(side))


def _copying_installer(side: _Side, beside: _Side) -> Facts | None:
    """Every file is written anew: pip `operations/install/wheel.py` (ZipBackedFile.save), npm's pacote."""
    del beside
    if side.installer is None or side.installer.links or side.is_cache or not _is_plain(side):
        return None
    if not side.one_entry:
        return None
    return (("installer", " ".join(filter(None, (side.named, side.version)))),)


def _copy_setting(side: _Side, beside: _Side) -> Facts | None:
    """So it was told: uv `link-mode`, conda `always_copy`, pixi `allow-hard-links`, pnpm `packageImportMethod`."""
    if not _should_be_linked(side) or _full(side, beside):
        return None
    told = side.setting
    if told and (told.links == "copy" or (told.links == "clone" and _type(side) in _WITHOUT_REFLINKS)):
        return (("told by", told.said), _links(side))
    overlaid = side.place is not None and side.place.type == "overlay"
    if overlaid or side.in_linking or not _links_work(side) or not _same_rights(side, beside):
        return None
    return (*((("cache", _where(side.cache)),) if side.cache else ()), _links(side))


def _separate_cache_entries(side: _Side, beside: _Side) -> Facts | None:
    """No cache of theirs knows that two packages ship the same bytes.

    Rattler and conda unpack each package into a directory of its own, uv each wheel (`archive-v0`).
    """
    if not (_is_plain(side) and _is_plain(beside)) or not side.ecosystem or not beside.ecosystem:
        return None
    if _one_package(side, beside) or _full(side, beside):
        return None
    if side.one_entry:
        both = side.cached and beside.cached and _one_path(side, beside) and _same_rights(side, beside)
        return _entries(side, beside) if both else None
    mine, theirs = side.owner, beside.owner
    if not mine.package or not theirs.package:
        return None
    conda = side.ecosystem == beside.ecosystem == "conda"
    if mine.package == theirs.package or conda or side.ecosystem != beside.ecosystem:
        return _entries(side, beside)
    return None


def _not_in_cache(side: _Side, beside: _Side) -> Facts | None:
    """What is fetched again after `uv cache clean` is new; so is what `cp -a` made, and what another cache had.

    Nothing that is there tells one from the other: copies have the times of what they were made of, and rattler gives
    all that it unpacks those of the archive.
    """
    if side.installer is None or not side.installer.links or side.is_cache or not _is_plain(side):
        return None
    if side.cached or not side.one_entry or not _same_rights(side, beside) or _full(side, beside):
        return None
    if side.linked and beside.linked and side.cache_known and _one_path(side, beside):
        return (("links", f"{side.file.links}, none of them in the cache"),)
    if not side.linked and side.in_linking and _links_work(side):
        return (_links(side), ("environment", "other files of it are links"))
    return None


def _prefix_patched(side: _Side, beside: _Side) -> Facts | None:
    """`prefix_placeholder` of paths.json: rattler link.rs (copy_and_replace_placeholders), conda path_actions.py."""
    del beside
    return (("file", "the path of the environment was written into it"),) if side.patched else None


def _vendored(side: _Side, beside: _Side) -> Facts | None:
    """Each brings it along: auditwheel and delocate put libraries into wheels, under names with a hash of them."""
    mine, theirs = side.owner, beside.owner
    if not (_is_plain(side) and _is_plain(beside)) or side.one_entry:
        return None
    if side.ecosystem != beside.ecosystem or side.ecosystem not in ("wheel", "npm"):
        return None
    if not mine.package or not theirs.package or mine.package == theirs.package:
        return None
    return (("packages", f"{_package(mine)}, {_package(theirs)}"),)


def _version_chain(side: _Side, beside: _Side) -> Facts | None:
    """A wheel is a zip archive in which pip and uv know no links: pyarrow ships libarrow.so.1 and libarrow.so whole."""
    other_name = side.one_entry and side.linked and beside.linked and not _one_path(side, beside)
    if not (_one_package(side, beside) or (other_name and side.owner.package)) or not _is_plain(side):
        return None
    return (("package", _package(side.owner)),)


def _editable(side: _Side, beside: _Side) -> Facts | None:
    """PEP 660: what is installed in place belongs to a source tree, and to whoever works in it."""
    del beside
    if not side.owner.editable:
        return None
    return (("package", _package(side.owner)), *((("said by", side.owner.manifest),) if side.owner.manifest else ()))


def _permissions(side: _Side, beside: _Side) -> Facts | None:
    """A file has one owner and one mode; links to those of others are refused (proc_sys_fs(5), protected_hardlinks)."""
    if not side.one_entry or _same_rights(side, beside) or not (_is_plain(side) and _is_plain(beside)):
        return None
    return (("file", _rights(side.file)), ("the other", _rights(beside.file)))


def _too_many_links(side: _Side, beside: _Side) -> Facts | None:
    """link(2): EMLINK. uv begins a new file then (link.rs, since 0.10.9), others copy."""
    if not _full(side, beside):
        return None
    most = max(side.file.links, beside.file.links)
    return (("links", str(most)), ("file system", _type(side) or _type(beside)))


def _in_layers(side: _Side, beside: _Side) -> Facts | None:
    """Each layer of an image is stored by itself, whatever brought the files into it."""
    layer = next(filter(None, (_layer(one.file.names[0]) for one in (side, beside))), "")
    return (("layer", layer),) if layer else None


def _over_layers(side: _Side, beside: _Side) -> Facts | None:
    """A link to what lies in a lower layer copies it up first (fs/overlayfs/dir.c, ovl_link)."""
    del beside
    if _type(side) != "overlay" or not _should_be_linked(side):
        return None
    return (*((("environment", _where(side.place)),) if side.place else ()), _links(side))


def _nobody(side: _Side, beside: _Side) -> Facts:
    """What is left: nobody's records name one of them, or nobody knows where its installer's cache was."""
    unknown = [one.file.names[0] for one in (side, beside) if not one.owner.package and not one.is_cache]
    if unknown:
        return (("in no record", unknown[0]),)
    if side.installer is None or not side.installer.links or side.is_cache or side.cache_known:
        return (_links(side),)
    several = f"one of {len(side.caches)}" if side.caches else "not found"
    return (("cache", f"{side.cache.path}, which was not looked at" if side.cache else several), _links(side))


_Decisions = tuple[tuple[Cause, Callable[[_Side, _Side], Facts | None]], ...]
_IN_LAYERS: _Decisions = (("image-layer", _in_layers),)
_OWN: _Decisions = (
    ("other-filesystem", _other_filesystem),
    ("bind-mount", _bind_mount),
    ("subvolume", _subvolume),
    ("copying-installer", _copying_installer),
    ("copy-setting", _copy_setting),
    ("not-in-cache", _not_in_cache),
    ("prefix-patched", _prefix_patched),
    ("editable", _editable),
    ("image-layer", _over_layers),
)
"""What the installer of one of them did."""
_COMMON: _Decisions = (
    ("separate-cache-entries", _separate_cache_entries),
    ("vendored", _vendored),
    ("version-chain", _version_chain),
    ("permissions", _permissions),
    ("too-many-links", _too_many_links),
)
"""What holds of both."""


# -- facts in words --------------------------------------------------------------------------


def _where(place: Place) -> str:
    return f"{place.path} ({place.type or 'file system'} at {place.point})"


def _mounted(place: Place) -> str:
    shown = f", which shows {place.subvolume}" if place.subvolume not in ("", "/") else ""
    return f"{place.path} (device {place.device}, {place.type or 'mounted'} at {place.point}{shown})"


def _links(side: _Side) -> tuple[str, str]:
    return ("links", str(side.file.links))


def _entries(side: _Side, beside: _Side) -> Facts:
    return (("comes from", _package(side.owner)), ("the other", _package(beside.owner)))


def _package(owner: Owner) -> str:
    return " ".join(filter(None, (owner.package, owner.version, owner.build))) or owner.environment


def _rights(file: StoredFile) -> str:
    return f"mode {file.mode & 0o7777:04o}, owner {file.uid}:{file.gid}"


def _type(side: _Side) -> str:
    return side.place.type if side.place else ""


def _full(side: _Side, beside: _Side) -> bool:
    """Whether one of them has as many names as its file system allows, or nearly."""
    most = MOST_LINKS.get(_type(side) or _type(beside))
    return most is not None and max(side.file.links, beside.file.links) >= most - most // _NEARLY


def _layer(path: str) -> str:
    """Return the directory of the image layer that a path lies in, empty where it lies in none."""
    if "overlay" not in path or not any(word in path for word in _LAYERS):  # most are told by the first
        return ""
    ends = [path.index(top) for top in _LAYER_TOPS if top in path]
    return path[: min(ends)] if ends else ""
