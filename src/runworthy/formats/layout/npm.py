"""Packages of npm: what ``package.json`` says of platforms, and where the builds of native addons lie.

Sources: npm's documentation of package.json (os, cpu, libc, optionalDependencies); node-gyp-build ``node-gyp-build.js``
(``prebuilds/<platform>-<arch>/*.node``) and prebuildify, which writes them; the loader that napi-rs generates
(``<name>.<platform>-<arch>-<abi>.node`` beside ``index.js``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runworthy.formats.layout.claims import claim_of
from runworthy.formats.layout.manifest import Read, json_object, strings, text
from runworthy.model.layout import Build, Claim, Group, NpmPackage

__all__ = ["napi_groups", "npm_package", "package_root", "prebuild_groups"]

_PREBUILD = re.compile(r"(?P<root>(?:.*/)?)prebuilds/(?P<tuple>[^/]+)/(?P<file>[^/]+\.node)")
_BUILT = re.compile(r"(?P<root>(?:.*/)?)build/(?P<sort>Release|Debug)/[^/]+\.node")
_NAPI = re.compile(
    r"(?P<stem>(?:.*/)?[^/]+?)\.(?P<tag>(?:linux|darwin|win32|android|freebsd|openharmony)-[a-z0-9-]+)\.node"
)
_OPTIONAL_MAX = 4096


def package_root(paths: Iterable[str]) -> str | None:
    """Return the directory of the package with a slash, empty for the top; None where there is no package.json.

    npm takes the first directory of a tarball away, whatever it is called (pacote: ``strip: 1``).
    """
    found = [path[: -len("package.json")] for path in paths if path.count("/") < 2 and path.endswith("package.json")]
    roots = [root for root in found if not root or root.endswith("/")]
    return min(roots, key=len, default=None)


def npm_package(read: Read, root: str) -> tuple[str, str, NpmPackage]:
    """Return the name, the version and the rest of a package.json. Raises FormatError."""
    held = json_object(read, f"{root}package.json")
    scripts = held.get("scripts")
    install = text(scripts.get("install")) if isinstance(scripts, dict) else ""
    package = NpmPackage(
        os=strings(held.get("os")),
        cpu=strings(held.get("cpu")),
        libc=strings(held.get("libc")),
        optional=_dependencies(held),
        install=install,
    )
    return text(held.get("name")), text(held.get("version")), package


def _dependencies(held: Mapping[str, Any]) -> dict[str, str]:
    wanted = held.get("optionalDependencies")
    if not isinstance(wanted, dict):
        return {}
    rows = list(wanted.items())[:_OPTIONAL_MAX]
    return {name: text(version) for name, version in rows if text(name)}


def prebuild_groups(paths: Iterable[str]) -> Iterator[Group]:
    """Yield the builds below each ``prebuilds`` directory; what ``build/Release`` holds is taken before them."""
    builds: dict[str, list[Build]] = {}
    before: dict[str, list[tuple[str, str]]] = {}
    for path in paths:
        if not path.endswith(".node"):
            continue
        if found := _PREBUILD.fullmatch(path):
            tag = f"{found['tuple']}/{found['file']}"
            builds.setdefault(found["root"], []).append(Build(path=path, tag=tag, claim=_prebuild_claim(tag)))
        elif found := _BUILT.fullmatch(path):
            before.setdefault(found["root"], []).append((found["sort"], path))
    for root, held in builds.items():
        built = [path for _, path in sorted(before.get(root, ()), key=lambda one: (one[0] != "Release", one[1]))]
        yield Group(ruling="prebuilds", name=f"{root}prebuilds", builds=tuple(held), always=tuple(built[:1]))


def _prebuild_claim(tag: str) -> Claim:
    """Return what a prebuild is for: the system of its folder, and the C library of the file where it names one."""
    folder, _, name = tag.partition("/")
    claim = claim_of(folder)
    words = name.split(".")
    libc = "musl" if "musl" in words else "glibc" if "glibc" in words else claim.libc
    arch = next((word for word in words if re.fullmatch(r"armv[67]", word)), "") if claim.arch == "arm" else ""
    several = "+" in folder
    return Claim(system=claim.system, arch="universal" if several else arch or claim.arch, libc=libc)


def napi_groups(paths: Iterable[str]) -> Iterator[Group]:
    """Yield the builds that lie beside each other under one name, as napi-rs names them."""
    builds: dict[str, list[Build]] = {}
    for path in paths:
        if found := _NAPI.fullmatch(path):
            build = Build(path=path, tag=found["tag"], claim=claim_of(found["tag"]))
            builds.setdefault(found["stem"], []).append(build)
    for stem, held in builds.items():
        yield Group(ruling="napi-rs", name=f"{stem}.*.node", builds=tuple(held))
