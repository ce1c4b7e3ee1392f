"""Distributions in the directories that Python looks for packages in: RECORD, and what older installers left."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from runworthy.formats.environment.conda import CondaFiles
from runworthy.formats.environment.distribution import (
    INSTALLER_MAX,
    METADATA_MAX,
    RECORD_MAX,
    hash_of_row,
    parse_direct_url,
    parse_installed_files,
    parse_installer,
    parse_metadata,
    parse_record,
)
from runworthy.model.errors import FormatError
from runworthy.model.storage import Owner
from runworthy.targets.storage.ledgers.shelf import Library, Shelf, Title
from runworthy.targets.storage.makers import sites_of
from runworthy.targets.storage.peeking import ancestors, below, entries, peek, status_of

__all__ = ["FoundSites", "Sites", "editables_of", "shelf_of"]

_DIRECT_MAX: Final = 1 << 16
_SITES: Final = frozenset(("site-packages", "dist-packages"))
_LISTED_MAX: Final = 20_000
_PROJECTS: Final = ("pyproject.toml", "setup.py", "setup.cfg")
# What is not a path straight down from the directory: it is put in order first.
_ODD: Final = re.compile(r"[./]|.*/[./]", re.DOTALL)


def shelf_of(
    site: str, environment: str, bound: str, library: Library, skip: Callable[[str], bool] | None = None
) -> Shelf:
    """Return the distributions of a directory. What they name outside of ``bound`` is left out.

    A manifest that ``skip`` is true of is left out: another record tells of its distribution. Of two that name one
    file the one that was written later is told, for its installer wrote over the other's.
    """
    found: list[tuple[int, str, Title, list[tuple[str, str]]]] = []
    for name in _distributions(site):
        for manifest, reader in ((f"{site}/{name}/RECORD", _record), (f"{site}/{name}/installed-files.txt", _listed)):
            status = status_of(manifest)
            if status is None or (skip is not None and skip(manifest)):
                continue
            try:
                title, singles = reader(site, name, manifest, library)
            except (OSError, FormatError) as error:
                library.fails(manifest, error)
                continue
            found.append((status.st_mtime_ns, name, title, singles))
            break
    shelf = Shelf(site, environment)
    for _, _, title, singles in sorted(found, key=lambda one: one[:2], reverse=True):
        shelf.put(title)
        for path, row in singles:
            shelf.put_single(path, title, row, bound)
    return shelf


def _distributions(site: str) -> list[str]:
    """Return the directories of distributions; pip renames what it is about to remove so that it begins with ``~``."""
    return entries(
        site,
        lambda entry: (
            entry.name.endswith((".dist-info", ".egg-info"))
            and entry.name[0] != "~"
            and entry.is_dir(follow_symlinks=False)
        ),
    )


def _record(site: str, name: str, manifest: str, library: Library) -> tuple[Title, list[tuple[str, str]]]:
    """Return a distribution, and the rows that are not below the directory, or differ between environments."""
    hashes: dict[str, str] = {}
    singles: list[tuple[str, str]] = []
    own = f"{name}/"
    for path, digest in parse_record(peek(manifest, RECORD_MAX)):
        if path.startswith(own) or _ODD.match(path):
            singles.append((path, digest))
        else:
            hashes[path] = digest
    library.rows += len(singles)
    return _title(f"{site}/{name}", "METADATA", manifest, hashes, library), singles


def _listed(site: str, name: str, manifest: str, library: Library) -> tuple[Title, list[tuple[str, str]]]:
    paths = parse_installed_files(peek(manifest, RECORD_MAX))
    singles = [(os.path.join(name, path), "") for path in paths]
    library.rows += len(singles)
    return _title(f"{site}/{name}", "PKG-INFO", manifest, {}, library), singles


def _title(info: str, metadata: str, manifest: str, hashes: dict[str, str], library: Library) -> Title:
    stem = os.path.basename(info).rpartition(".")[0]
    package, version = "", ""
    with suppress(OSError, FormatError):
        package, version = parse_metadata(peek(f"{info}/{metadata}", METADATA_MAX, beginning=True))
    installer = ""
    with suppress(OSError, FormatError):
        installer, _ = parse_installer(peek(f"{info}/INSTALLER", INSTALLER_MAX, beginning=True))
    named, _, numbered = stem.partition("-")
    return Title(
        package=package or named,
        version=version or numbered.partition("-py")[0],
        installer=installer,
        manifest=manifest,
        editable=_direct(info)[1],
        rows=library.share(stem, CondaFiles(hashes=hashes)),
        hash_of=hash_of_row,
    )


def _direct(info: str) -> tuple[str, bool]:
    with suppress(OSError, FormatError):
        return parse_direct_url(peek(f"{info}/direct_url.json", _DIRECT_MAX))
    return "", False


def editables_of(prefix: str, environment: str) -> Iterator[tuple[str, Owner]]:
    """Yield the source trees that a prefix uses in place, each with the owner that its files have then.

    Only what looks like a project is one: the record says it, and whoever wrote it may have said ``/``.
    """
    for site in sites_of(prefix):
        for name in entries(site, lambda entry: entry.name.endswith(".dist-info") and entry.name[0] != "~"):
            info = f"{site}/{name}"
            directory, editable = _direct(info)
            if not editable or not os.path.isabs(directory):
                continue
            real = os.path.realpath(directory)
            if any(status_of(f"{real}/{project}") for project in _PROJECTS):
                title = _title(info, "METADATA", f"{info}/direct_url.json", {}, Library())
                yield (
                    real,
                    Owner(
                        environment=environment,
                        package=title.package,
                        version=title.version,
                        installer=title.installer,
                        editable=True,
                        manifest=title.manifest,
                    ),
                )


class Sites:
    """The directories of packages of one prefix."""

    def __init__(self, prefix: str, library: Library, skip: Callable[[str], bool] | None = None) -> None:
        self._prefix = prefix
        self._library = library
        self._skip = skip
        self._shelves: list[Shelf] | None = None

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where no record names it."""
        if self._shelves is None:
            self._shelves = [
                shelf_of(site, self._prefix, self._prefix, self._library, self._skip) for site in sites_of(self._prefix)
            ]
        return next((owner for shelf in self._shelves if (owner := shelf.find(path))), None)


class FoundSites:
    """Directories of packages wherever they lie in a tree: by their names, or by the distributions that they hold."""

    def __init__(self, top: str, library: Library) -> None:
        self._top = top
        self._library = library
        self._shelves: dict[str, Shelf] = {}
        self._sites: dict[str, str] = {}

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where no record names it."""
        for site in self._candidates(path):
            shelf = self._shelves.get(site)
            if shelf is None:
                shelf = self._shelves[site] = shelf_of(site, self._top, self._bound(site), self._library)
            if owner := shelf.find(path):
                return owner
        return None

    def _candidates(self, path: str) -> Iterator[str]:
        directory = os.path.dirname(path)
        top = self._top.rstrip("/")
        inside = directory[len(top) :].split("/")
        at = [number for number, part in enumerate(inside) if part in _SITES]
        yield from (top + "/".join(inside[: number + 1]) for number in at)
        if not at:
            if os.path.basename(directory) == "bin":
                yield from sites_of(os.path.dirname(directory))
            elif site := self._near(directory):
                yield site

    def _bound(self, site: str) -> str:
        """Return the prefix of a directory that lies where Python has it, else the directory itself."""
        parts = site.split("/")
        prefix = "/".join(parts[:-3]) or "/"
        usual = len(parts) > 3 and parts[-1] in _SITES and parts[-3] in {"lib", "lib64"}
        return prefix if usual and below(prefix, self._top) else site

    def _near(self, directory: str) -> str:
        """Return the nearest directory above that holds distributions (``pip install --target``), empty for none."""
        passed = []
        found = ""
        for above in ancestors(directory):
            if not below(above, self._top):
                break
            known = self._sites.get(above)
            if known is not None:
                found = known
                break
            passed.append(above)
            if entries(above, lambda entry: entry.name.endswith(".dist-info"), _LISTED_MAX):
                found = above
                break
        self._sites.update(dict.fromkeys(passed, found))
        return found
