"""What installers are told in their configuration files about links, and about where their caches are.

Sources: uv ``crates/uv-settings/src/settings.rs`` (``link-mode``, ``cache-dir``, and both below ``pip``); pixi
``crates/pixi_config/src/lib.rs`` (``allow-hard-links``, ``allow-ref-links``, ``cache.root``); conda
``conda/base/context.py`` (``always_copy`` or ``copy``, ``always_softlink`` or ``softlink``, ``pkgs_dirs``); pnpm
``pnpm/crates/config/src/workspace_yaml.rs`` (``packageImportMethod``, ``storeDir``), and the same with hyphens in
``.npmrc`` before version 11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from runworthy.formats.environment.loading import word
from runworthy.formats.toml import load_toml
from runworthy.model.records import dataclass

__all__ = ["CONFIGURATION_MAX", "Links", "Told", "conda_links", "parse_condarc", "parse_npmrc", "parse_pixi_config",
           "parse_pnpm", "parse_uv", "pixi_links", "pnpm_links", "uv_links"]  # fmt: skip

CONFIGURATION_MAX: Final = 1 << 20
Links = Literal["copy", "hardlink", "clone", "symlink", ""]

_LINE: Final = re.compile(r"([A-Za-z_][\w-]{0,60})[ \t]*([:=])[ \t]*(.*)")
_YES: Final = frozenset(("true", "yes", "on", "1", "y"))
_UV: Final[Mapping[str, Links]] = {
    "clone": "clone",
    "reflink": "clone",
    "copy": "copy",
    "hardlink": "hardlink",
    "symlink": "symlink",
}
_PNPM: Final[Mapping[str, Links]] = {
    "copy": "copy",
    "hardlink": "hardlink",
    "clone": "clone",
    "clone-or-copy": "clone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """``links`` is how files are to come from the cache, ``cache`` where that is: empty where the file does not say."""

    links: Links = ""
    cache: str = ""


# -- values ----------------------------------------------------------------------------------


def uv_links(value: object) -> Links:
    """Return what uv's ``link-mode`` says."""
    return _UV.get(value.strip().lower(), "") if isinstance(value, str) else ""


def pnpm_links(value: object) -> Links:
    """Return what pnpm's ``packageImportMethod`` says; "auto" says nothing."""
    return _PNPM.get(value.strip().lower(), "") if isinstance(value, str) else ""


def pixi_links(hard: object, clone: object) -> Links:
    """Return what the two switches of pixi leave, each False for forbidden: rattler copies where both are."""
    if hard is False:
        return "copy" if clone is False else "clone"
    return "hardlink" if clone is False else ""


def conda_links(copy: str, soft: str) -> Links:
    """Return what conda is told: ``determine_link_type`` looks at copies first."""
    if copy.strip().lower() in _YES:
        return "copy"
    return "symlink" if soft.strip().lower() in _YES else ""


# -- files -----------------------------------------------------------------------------------


def parse_uv(data: bytes, path: str = "", *, project: bool = False) -> Told | None:
    """Return what a ``uv.toml`` says, or a ``pyproject.toml`` with a table of uv, else None. Raises FormatError."""
    held: object = load_toml(data, path)
    for name in ("tool", "uv") if project else ():
        held = held.get(name) if isinstance(held, dict) else None
    if not isinstance(held, dict):
        return None
    pip = held.get("pip")
    of_pip = pip.get("link-mode") if isinstance(pip, dict) else None
    return Told(links=uv_links(held.get("link-mode")) or uv_links(of_pip), cache=word(held.get("cache-dir")))


def parse_pixi_config(data: bytes, path: str = "") -> Told:
    """Return what a ``config.toml`` of pixi says. Raises FormatError."""
    held = load_toml(data, path)
    cache = held.get("cache")
    root = cache.get("root") if isinstance(cache, dict) else None
    return Told(links=pixi_links(held.get("allow-hard-links"), held.get("allow-ref-links")), cache=word(root))


def parse_condarc(data: bytes) -> Told:
    """Return what a ``.condarc`` says."""
    held, lists = _rows(data, ":"), _lists(data)
    links = conda_links(
        held.get("always_copy", held.get("copy", "")), held.get("always_softlink", held.get("softlink", ""))
    )
    return Told(links=links, cache=next(iter(lists.get("pkgs_dirs", ())), ""))


def parse_pnpm(data: bytes) -> Told:
    """Return what a ``pnpm-workspace.yaml`` says, or pnpm's own ``config.yaml``."""
    held = _rows(data, ":")
    return Told(links=pnpm_links(held.get("packageImportMethod")), cache=word(held.get("storeDir")))


def parse_npmrc(data: bytes) -> Told:
    """Return what an ``.npmrc`` says to pnpm; values that stand for variables say nothing."""
    held = _rows(data, "=")
    cache = word(held.get("store-dir"))
    return Told(links=pnpm_links(held.get("package-import-method")), cache="" if "${" in cache else cache)


# -- YAML of one level, and INI --------------------------------------------------------------


def _rows(data: bytes, sign: str) -> dict[str, str]:
    """Return the scalars of the outermost level; a later one takes the place of an earlier one."""
    found = {}
    for line in _lines(data):
        row = _LINE.match(line)
        if row and row[2] == sign:
            found[row[1]] = _scalar(row[3], sign)
    return found


def _lists(data: bytes) -> dict[str, list[str]]:
    """Return the lists of the outermost level that YAML has, in brackets or one entry a line."""
    found: dict[str, list[str]] = {}
    key = ""
    for line in _lines(data):
        row = _LINE.match(line)
        entry = line.strip()
        if row and row[2] == ":":
            key = row[1]
            inner = row[3].strip()
            if inner.startswith("[") and inner.endswith("]"):
                found[key] = [_scalar(one, ":") for one in inner[1:-1].split(",") if one.strip()]
        elif key and entry.startswith("- "):
            found.setdefault(key, []).append(_scalar(entry[2:], ":"))
        elif entry and not entry.startswith("#"):
            key = ""
    return found


def _lines(data: bytes) -> Iterator[str]:
    text = data[:CONFIGURATION_MAX].decode("utf-8-sig", "surrogateescape")
    return (line.rstrip("\r") for line in text.split("\n"))


def _scalar(text: str, sign: str) -> str:
    """Return a value without its quotes, or without the comment behind it."""
    text = text.strip()
    if len(text) >= 2 and text[0] in "'\"" and (end := text.find(text[0], 1)) > 0:
        return text[1:end]
    comments = (" #", "\t#") if sign == ":" else (" #", " ;")
    for comment in comments:
        text = text.partition(comment)[0]
    return text.rstrip()
