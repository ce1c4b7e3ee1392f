"""Where it is known from what packages there are: what a person gives, and what a root has on its own disk."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from runworthy.formats.content import BytesContent, Content, FileContent
from runworthy.formats.index import contents
from runworthy.formats.index.apkindex import read_apkindex
from runworthy.formats.index.control import paragraphs, read_packages
from runworthy.formats.index.metadata import read_metadata
from runworthy.formats.index.repodata import PrimaryIndex, file_owners
from runworthy.formats.package import NeedsZstdError, read_package
from runworthy.formats.package.streams import unpack
from runworthy.model.edit import Vouched
from runworthy.model.errors import FormatError
from runworthy.model.package import Manager, Package
from runworthy.model.records import dataclass, field
from runworthy.targets.packages.closure import INSTALLED
from runworthy.targets.packages.installed import read_file
from runworthy.targets.packages.pool import Held, Index, Owners
from runworthy.targets.packages.repositories import Repository, repositories
from runworthy.targets.packages.signature import plain_text
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, UnseenError

__all__ = ["ContentsList", "FileLists", "Sources", "given_sources", "paths_in", "rank", "root_sources"]

_FILES: Final = 20_000
_LOOKED_INTO: Final = 128 << 20  # bytes of given packages that are looked into for a file
_ANCESTORS: Final = 8
_PACKED: Final = r"(?:\.(?:gz|xz|bz2|lzma|zst|lz4))?"
_PACKAGES: Final = re.compile(rf"(?:.*_)?Packages{_PACKED}")
_CONTENTS: Final = re.compile(rf"(?:.*_)?Contents-(?!udeb|source)[a-z0-9-]+{_PACKED}")
_APKINDEX: Final = re.compile(r"APKINDEX(?:\.[0-9a-f]+)?(?:\.tar\.gz)?")
_PRIMARY: Final = re.compile(rf"(?:[0-9a-f]+-)?primary\.xml{_PACKED}")
_FILELISTS: Final = re.compile(rf"(?:[0-9a-f]+-)?filelists\.xml{_PACKED}")
_ARCHIVES: Final[Mapping[Manager, tuple[str, ...]]] = {"apt": (".deb",), "apk": (".apk",), "dnf": (".rpm",)}
_LISTS: Final = "/var/lib/apt/lists"
_RELEASES: Final = ("_InRelease", "_Release")
_RELEASE_LIMIT: Final = 16 << 20
_YES: Final = ("yes", "true", "1", "on")
_PINS: Final = ("/etc/apt/preferences", "/etc/apt/preferences.d")


class ContentsList:
    """A list of Debian's with every file of an archive, passed through when somebody asks."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def owners(self, paths: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return of each path that is known who brings it; of those without a slash, wherever they lie."""
        bases = {path.rpartition("/")[2] for path in paths}
        return contents.owners(self._content, bases) if bases else {}


class Lookup:
    """Packages that lie here, looked into when somebody asks what they bring."""

    def __init__(self, packages: Iterable[Package]) -> None:
        self._packages = tuple(packages)
        self._by_name: dict[str, dict[str, tuple[str, ...]]] | None = None

    def owners(self, paths: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return of each path that is known who brings it; of those without a slash, wherever they lie."""
        if self._by_name is None:
            self._by_name = self._look()
        found: dict[str, tuple[str, ...]] = {}
        for asked in paths:
            held = self._by_name.get(asked.rpartition("/")[2], {})
            found |= {path: names for path, names in held.items() if "/" not in asked or asked == path}
        return found

    def _look(self) -> dict[str, dict[str, tuple[str, ...]]]:
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        left = _LOOKED_INTO
        for package in self._packages:
            left -= package.size or 0
            if left < 0:
                break
            for path in package.files or paths_in(package.archive) or ():
                held = found.setdefault(path.rpartition("/")[2], {})
                held[path] = (*held.get(path, ()), package.name)
        return found


def paths_in(archive: str) -> tuple[str, ...] | None:
    """Return the paths of the files in a package, None where it is packed as this Python cannot read."""
    try:
        content = FileContent(archive, os.stat(archive).st_size)
        return tuple(f"/{one.path}" for one in read_package(content) if one.kind != "dir")
    except NeedsZstdError:
        return None
    except (FormatError, OSError):
        return ()


class FileLists:
    """A ``filelists.xml``, passed through when somebody asks; only for whole paths."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def owners(self, paths: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """Return of each path that is known who brings it."""
        wanted = [path for path in paths if "/" in path]
        return file_owners(self._content, wanted) if wanted else {}


@dataclass(slots=True, eq=False)
class Sources:
    """What tells of packages.

    ``owners`` are lists of files that are at hand, ``later`` those that have to be fetched or made first. ``archives``
    are package files at hand by name, version and architecture, with who answers for them; ``signed`` are the origins
    of lists of packages whose hash stands in a signed file, or which the root holds itself. ``priorities`` are those
    of lists (by their origins) from which apt takes nothing by itself. ``notes`` say what could not be read, or on
    whose word it rests.
    """

    indexes: list[Index] = field(default_factory=list)
    owners: list[Owners] = field(default_factory=list)
    later: list[Owners] = field(default_factory=list)
    archives: dict[tuple[str, str, str], tuple[Callable[[], str], Vouched]] = field(default_factory=dict)
    signed: set[str] = field(default_factory=set)
    priorities: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Sources) -> None:
        """Take in what another tells."""
        self.indexes += other.indexes
        self.owners += other.owners
        self.later += other.later
        self.archives = other.archives | self.archives
        self.signed |= other.signed
        self.priorities |= other.priorities
        self.notes += other.notes


# -- what a person gives -----------------------------------------------------------------------------


def given_sources(paths: Sequence[str], manager: Manager) -> Sources:
    """Return what files and directories of this machine tell; what is of another manager is passed over."""
    found = Sources()
    packages: list[Package] = []
    files = list(_files(paths, found.notes))
    releases = {path for path in files if path.endswith(_RELEASES)} if manager == "apt" else set()
    for path in files:
        name = os.path.basename(path)
        try:
            content = FileContent(path, os.stat(path).st_size)
            if name.endswith(_ARCHIVES[manager]):
                package = read_metadata(content, path)
                if package is not None:
                    packages.append(package)
            # One list often lies there plain and packed.
            elif os.path.splitext(path)[1] not in (".gz", ".xz", ".bz2") or os.path.splitext(path)[0] not in files:
                _index(found, path, name, content, manager)
                release = next((one for one in releases if path.startswith(_before(one))), "")
                if release:
                    with open(release, "rb") as stream:
                        rank(found, path, stream.read(_RELEASE_LIMIT))
        except (FormatError, OSError) as error:
            found.notes.append(str(error.at(path) if isinstance(error, FormatError) else error))
    if packages:
        held = Held(packages)
        found.indexes.insert(0, held)
        found.later.append(Lookup(packages))
        for package in packages:
            found.archives[package.name, package.version, package.arch] = _constant(package.archive), "given"
    return found


def _index(found: Sources, path: str, name: str, content: Content, manager: Manager) -> None:
    """Add what an index file tells. Raises FormatError, OSError."""
    directory = os.path.dirname(os.path.abspath(path))
    if manager == "apt" and _PACKAGES.fullmatch(name):
        text = unpack(content)
        first = next(paragraphs(text), {}).get("filename", "").removeprefix("./")
        base = "" if first.startswith("/") or ".." in first.split("/") else _base_of(directory, first)
        found.indexes.append(read_packages(text, path, base))
    elif manager == "apt" and _CONTENTS.fullmatch(name):
        found.owners.append(ContentsList(content))
    elif manager == "apk" and _APKINDEX.fullmatch(name):
        found.indexes.append(read_apkindex(content, path, directory))
    elif manager == "dnf" and _PRIMARY.fullmatch(name):
        found.indexes.append(PrimaryIndex(content, path, os.path.dirname(directory)))
    elif manager == "dnf" and _FILELISTS.fullmatch(name):
        found.owners.append(FileLists(content))


def rank(found: Sources, origin: str, release: bytes) -> None:
    """Take in what the Release file of a list says of how willingly apt takes something from it.

    Source: apt_preferences(5), "APT's Default Priority Assignments". Raises FormatError.
    """
    fields = next(paragraphs(BytesContent(plain_text(release))), {})
    if fields.get("notautomatic", "").lower() in _YES:
        upgrades = fields.get("butautomaticupgrades", "").lower() in _YES
        found.priorities[origin] = INSTALLED if upgrades else 1


def _before(release: str) -> str:
    """Return how the paths of lists begin to which a Release file in apt's own directory belongs."""
    return next(release.removesuffix(end) for end in _RELEASES if release.endswith(end)) + "_"


def _base_of(directory: str, file: str) -> str:
    """Return the directory, this or one above it, below which an index's files lie; empty where none is."""
    for _ in range(_ANCESTORS):
        if file and os.path.isfile(os.path.join(directory, file)):
            return directory
        directory = os.path.dirname(directory)
    return ""


def _files(paths: Sequence[str], notes: list[str]) -> Iterator[str]:
    """Yield the files that are given, and those in directories that are."""
    count = 0
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for top, directories, names in os.walk(path):
            directories.sort()
            for name in sorted(names):
                count += 1
                if count > _FILES:
                    notes.append(f"{path} holds more than {_FILES} files: the others were not looked at")
                    return
                yield os.path.join(top, name)


def _constant(path: str) -> Callable[[], str]:
    return lambda: path


_INDEXES: Final[Mapping[str, Callable[[Content, str, str], Index]]] = {
    "packages": read_packages,
    "apkindex": read_apkindex,
    "primary": PrimaryIndex,
}
_OWNERS: Final[Mapping[str, Callable[[Content], Owners]]] = {"contents": ContentsList, "filelists": FileLists}

# -- what a root has ---------------------------------------------------------------------------------


def root_sources(target: Target, manager: Manager, scratch: str) -> Sources:
    """Return what the lists and caches of a root tell. Its archives are copied to ``scratch`` when asked for."""
    found = Sources()
    for path, content, kind, base in _ROOTS[manager](target):
        try:
            if kind in _INDEXES:
                found.indexes.append(_INDEXES[kind](content, path, base))
            else:
                found.owners.append(_OWNERS[kind](content))
            if kind == "packages":
                found.signed.add(path)  # apt has looked at its signature
        except (FormatError, OSError) as error:
            found.notes.append(str(error.at(path) if isinstance(error, FormatError) else error))
    if manager == "apt":
        _rank_lists(target.view, found)
    for key, path in _cached_archives(target.view, manager):
        if scratch:
            found.archives[key] = _copy(target.view, path, scratch), "root"
    return found


def _rank_lists(view: FileView, found: Sources) -> None:
    """Take in what the Release files beside apt's lists say of them, and that pins are not followed."""
    for name in _names(view, _LISTS):
        release = f"{_LISTS}/{name}"
        content = read_file(view, release) if name.endswith(_RELEASES) else None
        if content is not None and content.size <= _RELEASE_LIMIT:
            try:
                for origin in found.signed:
                    if origin.startswith(_before(release)):
                        rank(found, origin, content.pread(0, content.size))
            except FormatError as error:
                found.notes.append(str(error.at(release)))
    pins = (_PINS[0], *(f"{_PINS[1]}/{name}" for name in _names(view, _PINS[1])))
    for path in pins:
        content = read_file(view, path)
        if content is not None and content.size and "." not in path.rpartition("/")[2].removesuffix(".pref"):
            found.notes.append(f"the pins in {path} are not followed here: apt may choose other versions")


_Listed = tuple[str, Content, str, str]


def _lists_of_apt(target: Target) -> Iterator[_Listed]:
    bases = {_apt_name(one): one.base for one in repositories(target, "apt")}
    for name in _names(target.view, _LISTS):
        kind = "packages" if _PACKAGES.fullmatch(name) else "contents" if _CONTENTS.fullmatch(name) else ""
        content = read_file(target.view, f"{_LISTS}/{name}") if kind else None
        if content is not None:
            base = next((base for start, base in bases.items() if name.startswith(start)), "")
            yield f"{_LISTS}/{name}", content, kind, base


def _apt_name(repository: Repository) -> str:
    """Return how apt's lists of a repository begin (URItoFileName in apt-pkg/contrib/strutl.cc)."""
    suite = "" if repository.suite.endswith("/") else f"/dists/{repository.suite}"
    flat = repository.suite.rstrip("/") if repository.suite.endswith("/") else ""
    url = f"{repository.base.partition('://')[2]}{suite}/{flat}".rstrip("/")
    return f"{url.replace('_', '%5f').replace('/', '_')}_"


def _caches_of_apk(target: Target) -> Iterator[_Listed]:
    remote = (one for one in repositories(target, "apk") if "://" in one.base)  # others are paths in the root
    bases = {_apk_name(one.base): f"{one.base}/{_apk_arch(target)}" for one in remote}
    for directory in ("/etc/apk/cache", "/var/cache/apk"):
        for name in _names(target.view, directory):
            content = read_file(target.view, f"{directory}/{name}") if _APKINDEX.fullmatch(name) else None
            if content is not None:
                yield f"{directory}/{name}", content, "apkindex", bases.get(name, "")


def _apk_name(url: str) -> str:
    """Return what apk calls its copy of an index: by the first bytes of the SHA-1 of its URL (apk-tools database.c)."""
    from hashlib import sha1

    return f"APKINDEX.{sha1(url.encode('utf-8', 'surrogateescape'), usedforsecurity=False).hexdigest()[:8]}.tar.gz"


def _apk_arch(target: Target) -> str:
    from runworthy.targets.packages.dialect import architectures

    return architectures("apk", target.arch)[0]


def _caches_of_dnf(target: Target) -> Iterator[_Listed]:
    for top in ("/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/yum"):
        for name in _names(target.view, top):
            directory = f"{top}/{name}/repodata"
            for file in _names(target.view, directory):
                kind = "primary" if _PRIMARY.fullmatch(file) else "filelists" if _FILELISTS.fullmatch(file) else ""
                content = read_file(target.view, f"{directory}/{file}") if kind else None
                if content is not None:
                    yield f"{directory}/{file}", content, kind, ""


_ROOTS: Final[Mapping[Manager, Callable[[Target], Iterator[_Listed]]]] = {
    "apt": _lists_of_apt,
    "apk": _caches_of_apk,
    "dnf": _caches_of_dnf,
}


def _cached_archives(view: FileView, manager: Manager) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Yield the packages that apt keeps, by what their file names say."""
    if manager != "apt":
        return
    directory = "/var/cache/apt/archives"
    for name in _names(view, directory):
        parts = name.removesuffix(".deb").split("_")
        if name.endswith(".deb") and len(parts) == 3:
            package, version, arch = (unquote(part) for part in parts)
            yield (package, version, arch), f"{directory}/{name}"


def _copy(view: FileView, path: str, scratch: str) -> Callable[[], str]:
    """Return what puts a file of a root where programs of this machine can read it; "" where that cannot be."""

    def copy() -> str:
        place = os.path.join(scratch, path.rpartition("/")[2])
        content = read_file(view, path)
        if content is None:
            return ""
        if not os.path.exists(place):
            with open(f"{place}.part", "wb") as stream:
                stream.writelines(content.pread(at, 1 << 20) for at in range(0, content.size, 1 << 20))
            os.replace(f"{place}.part", place)
        return place

    return copy


def _names(view: FileView, directory: str) -> list[str]:
    try:
        return view.readdir(directory)[:_FILES]
    except (OSError, UnseenError):
        return []
