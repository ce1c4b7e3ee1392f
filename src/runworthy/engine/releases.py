"""Two releases: which assets of them are the same thing, and what each of them holds."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from runworthy.engine.assets import own_asset
from runworthy.engine.matrix.names import read_name
from runworthy.engine.opening import Given
from runworthy.engine.pairing import Build, File, by_key, unversioned
from runworthy.engine.subjects import MARK
from runworthy.model.difference import AssetPair, AssetPairedBy
from runworthy.model.records import replace

__all__ = ["Assets", "assets_of", "paired_assets"]

Assets = Mapping[str, Build]
"""The assets of a release by their names in it; under the empty name what belongs to none of them."""


def assets_of(given: Given, build: Build) -> Assets:
    """Return the assets of a directory, and what else is in it. Raises OSError."""
    archives = [holder.name for holder in given.holders if not _is_nested(given, holder.name)]
    names = {given.below(name): name for name in archives}
    names |= {name: posixpath.join(given.name, name) for name in _of_other_systems(given)}
    held: dict[str, list[File]] = {name: [] for name in ("", *names)}
    inside = {file.name: file for file in build.files}
    for subject in given.subjects:
        file = inside.pop(subject.name, None)
        if file is None:
            continue
        facts = file.elf.facts if file.elf else None
        own = "" if subject.holder else own_asset(given, subject, facts)
        name = _asset_in(archives, subject.name, given) if subject.holder else given.below(own) if own else ""
        names.setdefault(name, own)
        held.setdefault(name, []).append(file)
    for file in inside.values():  # archives that cannot be read
        held.setdefault(_asset_in(archives, file.name, given), []).append(file)
    return {name: _asset(names.get(name, ""), name, files) for name, files in held.items()}


def _is_nested(given: Given, name: str) -> bool:
    return any(name.startswith(f"{other.name}{MARK}") for other in given.holders)


def _asset_in(archives: Sequence[str], name: str, given: Given) -> str:
    """Return the name, in the release, of the archive that something lies in or is."""
    return next((given.below(one) for one in archives if name == one or name.startswith(f"{one}{MARK}")), "")


def _asset(where: str, name: str, files: Sequence[File]) -> Build:
    """Return an asset as a build of its own, with the paths of its files in it."""
    if not name:
        return Build(where, is_tree=True, files=tuple(files))
    shown = (replace(file, path=file.path[len(name) :].lstrip(f"/{MARK}") or os.curdir) for file in files)
    return Build(where, is_tree=True, files=tuple(shown))


def _of_other_systems(given: Given) -> Iterator[str]:
    """Yield the files at the top that are builds for other systems by their names: nothing in them is compared."""
    with os.scandir(given.name) as entries:
        files = [entry.name for entry in entries if entry.is_file()]
    for name in sorted(files):
        named = read_name(name)
        if named.kind == "build" and named.claims.system not in ("", "linux"):
            yield name


# -- pairs -----------------------------------------------------------------------------------


class _Named(NamedTuple):
    name: str


def paired_assets(old: Assets, new: Assets) -> list[AssetPair]:
    """Return the assets of two releases in pairs, those without a counterpart too, in the order of their names.

    The path decides, then the path without versions, then what the name says of the program and its platform: with the
    packing first.
    """
    found: list[AssetPair] = []
    before = [_Named(name) for name in old if name]
    after = [_Named(name) for name in new if name]
    for by, key in _KEYS:
        before, after, pairs = by_key(before, after, key, key)
        found += [_pair(one.name, other.name, by, old, new) for one, other in pairs]
    found += [_pair(one.name, None, "path", old, new) for one in before]
    found += [_pair(None, one.name, "path", old, new) for one in after]
    return sorted(found, key=lambda pair: pair.name.split("/"))


def _pair(before: str | None, after: str | None, by: AssetPairedBy, old: Assets, new: Assets) -> AssetPair:
    builds = [assets[name] for assets, name in ((old, before), (new, after)) if name is not None]
    return AssetPair(
        name=after or before or "",
        old=None if before is None else old[before].name,
        new=None if after is None else new[after].name,
        paired_by=by,
        files=max(len(build.files) for build in builds),
    )


def _package(asset: _Named) -> str:
    """Return what a package is and for which architecture, without its version, empty for what is no package."""
    directory, name = posixpath.split(asset.name)
    match = next((match for pattern in _PACKAGES if (match := pattern.fullmatch(name))), None)
    return "\0".join((unversioned(directory), *match.groups())) if match else ""


_PACKAGES = tuple(
    map(
        re.compile,
        (
            # Debian policy 5.6.1 and 5.6.12, dpkg-name(1): neither a name nor a version has an underscore.
            r"([^_]+)_v?\d[^_]*_(.+\.(?:deb|udeb|ipk))",
            # rpm(8): name-version-release.architecture; pacman's makepkg has a dash there. No version has one.
            r"(.+)-v?\d[^-]*-[^-]+\.([^-.]+\.rpm)",
            r"(.+)-v?\d[^-]*-[^-]+-([^-.]+\.pkg\.tar\.\w+)",
            # abuild: package-version-rN, where the architecture is the name of the directory.
            r"(.+)-\d[^-]*-r\d+(\.apk)",
        ),
    )
)
"""The names of packages, by those who make them, in groups that say what stays from version to version."""


def _wheel(asset: _Named, *, oldest: bool = True) -> str:
    """Return what a wheel's name says but its version, empty for what is none; ``oldest``: with its interpreter.

    Without, only wheels for the stable ABI or for none are named: they run on all interpreters from theirs on.
    """
    directory, name = posixpath.split(asset.name)
    parts = name.split("-")
    if not name.endswith(".whl") or len(parts) < _PARTS or not (oldest or parts[-2] in _STABLE):
        return ""
    return "\0".join((unversioned(directory), _project(parts[0]), *parts[-3 if oldest else -2 :]))


def _project(name: str) -> str:
    """Return the name of a project as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


_PARTS = 5
"""The parts that the name of a wheel has at least: project, version, interpreter, ABI and platform (PEP 427)."""

_STABLE = frozenset(("abi3", "none"))
"""The ABIs with which the interpreter in a name is the oldest one (PEP 425)."""


def _platform(asset: _Named, *, packed: bool = True, oldest: bool = True) -> str:
    """Return what a name says, without its version, empty where it says too little to go by.

    ``oldest``: with the oldest interpreter that a wheel is for.
    """
    directory, name = posixpath.split(asset.name)
    named = read_name(name)
    claims = named.claims
    if named.kind != "build" or not (claims.system or claims.archs):
        return ""
    program, python = claims.name, []
    if claims.packing == "whl":
        program, python = _project(program), name.split("-")[-3:-1]
        python = python[1:] if not oldest and python[-1] in _STABLE else python
    says = (program, claims.system, *claims.archs, claims.linkage, claims.level, *python)
    return "\0".join((unversioned(directory), *says, *((claims.packing, claims.family) if packed else ())))


_KEYS: Sequence[tuple[AssetPairedBy, Callable[[_Named], str]]] = (
    ("path", lambda asset: asset.name),
    ("name", lambda asset: unversioned(asset.name)),
    ("name", _package),
    ("name", _wheel),
    ("platform", lambda asset: _wheel(asset, oldest=False)),
    ("platform", _platform),
    ("platform", lambda asset: _platform(asset, oldest=False)),
    ("platform", lambda asset: _platform(asset, packed=False)),
)
