"""What installers can do about sharing: whether they link from a cache, which one, and since which version.

Sources: uv `crates/uv-fs/src/link.rs` and its changelogs; rattler `crates/rattler/src/install/{link,mod}.rs`; pixi
CHANGELOG.md and `crates/pixi_config/src/lib.rs`; conda `core/link.py`; pip `_internal/operations/install/wheel.py`;
pnpm `pnpm11/fs/indexed-pkg-importer` and its successor `pnpm/crates/config/src/lib.rs`; npm's pacote, which unpacks
every package anew.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Literal

from runworthy.model.records import dataclass
from runworthy.model.storage import Cause, EnvironmentKind

__all__ = [
    "INSTALLERS",
    "Ecosystem",
    "Installer",
    "Method",
    "ecosystem_of_record",
    "first_that_can",
    "installer_named",
    "installer_of_cache",
    "versions_that_can",
]

Ecosystem = Literal["wheel", "conda", "npm"]
Method = Literal["hardlink", "clone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """An installer. ``cache`` is the kind of what it links from, empty where it never does.

    ``ways`` are how it shares of its own accord, and since which version: () for every version that is in use.
    """

    name: str
    ecosystem: Ecosystem
    cache: EnvironmentKind | Literal[""]
    ways: Mapping[Method, tuple[int, ...]]

    @property
    def links(self) -> bool:
        """Whether it shares at all."""
        return bool(self.ways)


def _copying(name: str, ecosystem: Ecosystem) -> Installer:
    return Installer(name=name, ecosystem=ecosystem, cache="", ways={})


def _rattler(name: str, clones: tuple[int, ...]) -> Installer:
    return Installer(name=name, ecosystem="conda", cache="rattler-cache", ways={"hardlink": (), "clone": clones})


INSTALLERS: Mapping[str, Installer] = {
    one.name: one
    for one in (
        # 0.10.5 of 2026-02-23: "Attempt to use reflinks by default on Linux" (#18117); before that hard links alone.
        Installer(name="uv", ecosystem="wheel", cache="uv-cache", ways={"hardlink": (), "clone": (0, 10, 5)}),
        # Wheels are unpacked: `ZipBackedFile.save` removes what is there, and writes.
        _copying("pip", "wheel"),
        _copying("poetry", "wheel"),
        _copying("installer", "wheel"),
        # core/link.py, determine_link_type: a trial hard link, else a copy; reflinks are not known.
        Installer(name="conda", ecosystem="conda", cache="conda-cache", ways={"hardlink": ()}),
        Installer(name="mamba", ecosystem="conda", cache="conda-cache", ways={"hardlink": ()}),
        Installer(name="micromamba", ecosystem="conda", cache="conda-cache", ways={"hardlink": ()}),
        # 0.14.0 of 2024-02-15: "Enable reflinks" (#729).
        _rattler("pixi", (0, 14, 0)),
        _rattler("magic", ()),
        _rattler("rattler", ()),
        _copying("npm", "npm"),
        Installer(name="pnpm", ecosystem="npm", cache="pnpm-store", ways={"hardlink": (), "clone": ()}),
    )
}
"""Installers by the name in their own records; pixi calls itself "uv-pixi" where it installs wheels."""

_OF_KINDS: Mapping[EnvironmentKind, str] = {
    "conda": "conda",
    "pixi": "pixi",
    "magic": "magic",
    "uv-cache": "uv",
    "pip-cache": "pip",
    "conda-cache": "conda",
    "rattler-cache": "rattler",
    "pnpm-store": "pnpm",
    "npm-cache": "npm",
}
_ALIASES = {"py-rattler": "rattler", "pixi-build": "pixi", "libmamba": "mamba"}
# A record's name, or what the name of its directory ends in: PEP 376 and 427, setuptools, conda `core/prefix_data.py`.
_RECORDS: Mapping[str, Ecosystem] = {
    ".dist-info": "wheel",
    ".egg-info": "wheel",
    "conda-meta": "conda",
    "package.json": "npm",
}
_NEW_FILE = (0, 10, 9)
"""uv: "Handle the hard link limit gracefully instead of failing" (#17699)."""
_NUMBERS = re.compile(r"\d{1,9}")


def installer_named(name: str, kind: EnvironmentKind | Literal[""] = "") -> Installer | None:
    """Return what is known of an installer as records name it ("uv-pixi", "pip 24.0").

    Where they name none it is the usual one of environments of a ``kind``.
    """
    word = name.lower().partition(" ")[0]
    found = INSTALLERS.get(_ALIASES.get(word, word)) or INSTALLERS.get(word.partition("-")[0])
    return found or (None if word or not kind else INSTALLERS.get(_OF_KINDS.get(kind, "")))


def installer_of_cache(kind: EnvironmentKind) -> Installer | None:
    """Return who fills caches of a kind."""
    return INSTALLERS.get(_OF_KINDS.get(kind, ""))


def ecosystem_of_record(manifest: str) -> Ecosystem | Literal[""]:
    """Return whose packages are recorded in a file of such a name, empty where it tells nothing."""
    directory, _, name = manifest.rpartition("/")
    end = posixpath.splitext(directory)[1] or posixpath.basename(directory)
    return _RECORDS[name] if name in _RECORDS else _RECORDS.get(end, "")


def first_that_can(installer: Installer, version: str, method: Method) -> str:
    """Return the first version that shares in this way, where ``version`` is known and does not; else nothing."""
    return _later(installer.ways.get(method, ()), version)


def versions_that_can(cause: Cause, installer: str, version: str) -> str:
    """Return which versions of an installer would not have been kept from sharing by a cause, where this one was.

    Empty where all are alike, or its version is not known.
    """
    known = INSTALLERS.get(installer)
    if known is None:
        return ""
    if cause == "copying-installer":
        return f"no version of {installer} links what it installs"
    if cause == "too-many-links" and installer == "uv":
        since = _later(_NEW_FILE, version)
        return f"uv begins a new file for it since {since}" if since else ""
    if cause != "subvolume":
        return ""
    if "clone" not in known.ways:
        return f"no version of {installer} makes reflinks"
    since = first_that_can(known, version, "clone")
    return f"{installer} makes reflinks of its own accord since {since}" if since else ""


def _later(since: tuple[int, ...], version: str) -> str:
    """Return ``since`` where a version is known, and older."""
    held = tuple(map(int, _NUMBERS.findall(version)[:3]))
    return ".".join(map(str, since)) if since and held and held < since else ""
