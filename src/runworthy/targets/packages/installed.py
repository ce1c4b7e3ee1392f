"""Which package manager a root has, and what is installed there by its database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

from runworthy.formats.content import BytesContent, Content
from runworthy.formats.index.apkindex import read_installed
from runworthy.formats.index.control import read_status
from runworthy.formats.index.metadata import of_tags
from runworthy.formats.package.rpm import tags_of
from runworthy.formats.package.streams import Slice
from runworthy.model.errors import FormatError, TargetError
from runworthy.model.package import Manager, Package
from runworthy.targets.catalogue.target import CatalogueTarget
from runworthy.targets.catalogue.views import CatalogueView
from runworthy.targets.os_release import family_of, os_release
from runworthy.targets.overlay import Overlay
from runworthy.targets.packages.dialect import architectures
from runworthy.targets.target import Target
from runworthy.targets.view import FileView, UnseenError

__all__ = ["base_view", "installed", "key_of", "manager_of", "read_file"]

_DPKG: Final = "/var/lib/dpkg/status"
_DPKG_PARTS: Final = "/var/lib/dpkg/status.d"
_APK: Final = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_RPM: Final = ("/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite")
_RPM_OTHER: Final = ("/var/lib/rpm/Packages", "/var/lib/rpm/Packages.db", "/usr/lib/sysimage/rpm/Packages.db")
_LIMIT: Final = 512 << 20
_PIECE: Final = 4 << 20
_FAMILIES: Final[Mapping[str, Manager]] = {
    "alpine": "apk",
    "debian": "apt",
    "ubuntu": "apt",
    "fedora": "dnf",
    "rhel": "dnf",
    "centos": "dnf",
    "amzn": "dnf",
    "ol": "dnf",
}
# Families of the catalogue whose roots hold no os-release; zypper's and urpmi's have other commands.
_CATALOGUE: Final[Mapping[str, Manager]] = {"dpkg": "apt", "apk": "apk"}
_DNF: Final = frozenset(
    "almalinux amazonlinux anolisos centos fedora openeuler opencloudos oraclelinux rhel rockylinux".split()
)


def base_view(view: FileView) -> FileView:
    """Return the root below the edits: the databases are those that it came with."""
    while isinstance(view, Overlay):
        view = view.base
    return view


def manager_of(target: Target) -> Manager | None:
    """Return whose packages a target has: by its databases, by its os-release, or as the catalogue knows."""
    view = target.view
    databases: tuple[tuple[tuple[str, ...], Manager], ...] = (
        ((_DPKG, _DPKG_PARTS), "apt"),
        (_APK, "apk"),
        ((*_RPM, *_RPM_OTHER), "dnf"),
    )
    found = {manager for paths, manager in databases if any(_exists(view, path) for path in paths)}
    release = family_of(os_release(view))
    by_name = next((_FAMILIES[word] for word in release if word in _FAMILIES), None)
    if len(found) == 1 and by_name in (None, *found):
        return found.pop()
    if by_name is not None:
        return by_name
    known = _of_catalogue(target)
    if known is None:
        return None
    return "dnf" if known.package_manager == "rpm" and known.family in _DNF else _CATALOGUE.get(known.package_manager)


def installed(target: Target) -> Mapping[str, Package] | None:
    """Return what is installed, by name; of another architecture than the target's own by ``NAME:ARCH``.

    None where no database tells. Raises FormatError, OSError.
    """
    manager = manager_of(target)
    found = _READERS[manager](target) if manager is not None else None
    if found is None:
        return None
    held: dict[str, Package] = {}
    for package in found:
        key = key_of(package, target)
        held.setdefault(key, package)
    return held


def key_of(package: Package, target: Target) -> str:
    """Return by what name a package is known beside those of the target's own architecture."""
    own = ("", "all", "noarch", *architectures(package.manager, target.arch))
    return package.name if package.arch in own else f"{package.name}:{package.arch}"


def _dpkg(target: Target) -> Iterator[Package] | None:
    content = read_file(target.view, _DPKG)
    parts = []
    if content is None or not content.size:
        try:  # distroless images
            names = target.view.readdir(_DPKG_PARTS)
        except (OSError, UnseenError):
            names = []
        read = (read_file(target.view, f"{_DPKG_PARTS}/{name}") for name in names if not name.endswith(".md5sums"))
        parts = [one for one in read if one is not None]
        if not parts:
            return _by_name(target)
        text = b"\n\n".join(
            b"Status: install ok installed\n" + one.pread(0, one.size).strip() for one in parts if one.size < _PIECE
        )
        content = BytesContent(text)
    return read_status(content).packages()


def _apk(target: Target) -> Iterator[Package] | None:
    for path in _APK:
        content = read_file(target.view, path)
        if content is not None:
            return read_installed(content).packages()
    return _by_name(target)


def _rpm(target: Target) -> Iterator[Package] | None:
    for path in _RPM:
        content = read_file(target.view, path)
        if content is not None:
            return iter([of_tags(tags_of(blob)) for blob in _headers(content)])
    return _by_name(target)


_READERS: Final = {"apt": _dpkg, "apk": _apk, "dnf": _rpm}


def _headers(content: Content) -> list[bytes]:
    """Return the headers that rpm's database holds (rpm lib/backend/sqlite.c), read from a copy. Raises FormatError."""
    import sqlite3
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        copy = os.path.join(directory, "rpmdb.sqlite")
        with open(copy, "wb") as stream:
            stream.writelines(content.pread(at, _PIECE) for at in range(0, content.size, _PIECE))
        # What a log beside it holds is not seen: rpm folds it in when it closes the database.
        database = sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)
        try:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LIMIT)
            rows = database.execute("SELECT blob FROM Packages LIMIT 100000").fetchall()
        except sqlite3.Error as error:
            raise FormatError(f"is no database of rpm: {error}") from None
        finally:
            database.close()
    return [row[0] for row in rows if isinstance(row[0], bytes)]


def _by_name(target: Target) -> Iterator[Package] | None:
    """Return what the catalogue knows to be installed: names and versions, and nothing of what they need."""
    known = _of_catalogue(target)
    if known is None or not known.packages:
        return None
    manager = manager_of(target)
    if manager is None:
        return None
    return (Package(manager=manager, name=name, version=version) for name, version in known.packages.items())


def _of_catalogue(target: Target) -> CatalogueTarget | None:
    if not isinstance(base_view(target.view), CatalogueView):
        return None
    from runworthy.targets.catalogue import open_catalogue

    try:
        return open_catalogue().find(target.name, target.arch)
    except TargetError:
        return None


def read_file(view: FileView, path: str) -> Content | None:
    """Return the bytes of a file of a root, None where there is none or its bytes are not recorded."""
    try:
        found = view.resolve(path)
        if found.entry.kind != "file":
            return None
        content = view.content(found.path)
        if content.size > _LIMIT:
            raise FormatError(f"is {content.size} bytes, over the limit of {_LIMIT}", path=path)
        content.pread(0, 1)
    except (OSError, UnseenError):
        return None
    return Slice(content, 0, content.size)


def _exists(view: FileView, path: str) -> bool:
    try:
        return view.exists(path)
    except UnseenError:
        return False
