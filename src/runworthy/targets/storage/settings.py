"""What installers were told, where an environment lies: how to bring files into it, and where their caches are.

Records come first: they say what was. Settings say what would be done now, which need not be what was done. Only the
files that an installer would read itself are read, and those in the project's tree through no link.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from runworthy.formats.environment.conda import parse_prefix_record
from runworthy.formats.environment.configured import (
    CONFIGURATION_MAX,
    Links,
    Told,
    conda_links,
    parse_condarc,
    parse_npmrc,
    parse_pixi_config,
    parse_pnpm,
    parse_uv,
    pixi_links,
    pnpm_links,
    uv_links,
)
from runworthy.formats.environment.node import MODULES_MAX, parse_modules
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass
from runworthy.model.storage import Environment, EnvironmentKind, Place
from runworthy.targets.storage.peeking import ancestors, entries, peek
from runworthy.targets.storage.places import Places

__all__ = ["Setting", "settings_of"]

_RECORD_MAX: Final = 4 << 20
_RECORDS: Final = 8
"""Records of packages that are asked where they came from: all say the same, those of large packages slowly."""
_ABOVE: Final = 64
"""Directories above an environment in which a project's files are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What one installer was told for one environment.

    ``links`` is how files are to come from the cache, empty where nobody says; ``said`` is the file or the variable
    that says it. ``cache`` is where the cache lies, None where neither records nor settings say; ``cache_said`` is what
    does.
    """

    installer: str
    links: Links = ""
    said: str = ""
    cache: Place | None = None
    cache_said: str = ""


Variables = Mapping[str, str]


def settings_of(
    environments: Iterable[Environment], variables: Variables, places: Places
) -> dict[str, tuple[Setting, ...]]:
    """Return what the installers of each environment are told, by its path; caches are told nothing.

    ``variables`` are those of the process that would install.
    """
    found = {}
    for one in environments:
        settings = [_setting(name, told(one.path, variables), places) for name, told in _ASKED.get(one.kind, ())]
        if held := tuple(setting for setting in settings if setting):
            found[one.path] = held
    return found


_Said = tuple[str, Told]
"""Who says something, and what."""


def _setting(installer: str, said: Iterable[_Said], places: Places) -> Setting | None:
    """Return the first that is said of links, and the first that is said of the cache; None where nothing is."""
    links: Links = ""
    by, cache, cache_by = "", "", ""
    for name, told in said:
        if told.links and not links:
            links, by = told.links, name
        if told.cache and not cache:
            cache, cache_by = told.cache, name
    if not links and not cache:
        return None
    place = None
    with suppress(OSError, ValueError):  # ValueError: a path with a null byte
        place = places.place(cache) if cache else None
    return Setting(installer=installer, links=links, said=by, cache=place, cache_said=cache_by if place else "")


# -- uv --------------------------------------------------------------------------------------


def _uv(environment: str, variables: Variables) -> Iterator[_Said]:
    """Yield what uv is told: variables, the project's nearest file, the user's, the system's (uv-settings lib.rs)."""
    yield from _variables(variables, "UV_LINK_MODE", lambda value: Told(links=uv_links(value)))
    yield from _variables(variables, "UV_CACHE_DIR", lambda value: Told(cache=os.path.abspath(value)))
    if variables.get("UV_NO_CONFIG"):
        return
    if variables.get("UV_CONFIG_FILE"):
        yield from _file(os.path.realpath(variables["UV_CONFIG_FILE"]), parse_uv)
        return
    yield from _uv_project(environment)
    systems = [*filter(None, variables.get("XDG_CONFIG_DIRS", "").split(":")), "/etc/xdg"]
    for path in (
        f"{_configuration(variables)}/uv/uv.toml",
        *(f"{one}/uv/uv.toml" for one in systems),
        "/etc/uv/uv.toml",
    ):
        yield from _file(os.path.realpath(path), parse_uv)


def _uv_project(environment: str) -> Iterator[_Said]:
    for directory in _above(environment):
        found = list(_file(f"{directory}/uv.toml", parse_uv))
        found = found or list(
            _file(f"{directory}/pyproject.toml", lambda data, path: parse_uv(data, path, project=True))
        )
        if found:
            yield from found
            return


# -- conda and rattler -----------------------------------------------------------------------


def _conda(environment: str, variables: Variables) -> Iterator[_Said]:
    """Yield what conda is told: variables, then ``SEARCH_PATH`` of conda/base/constants.py from its end."""
    yield from _conda_records(environment)
    told = conda_links(variables.get("CONDA_ALWAYS_COPY", ""), variables.get("CONDA_ALWAYS_SOFTLINK", ""))
    if told:
        yield ("CONDA_ALWAYS_COPY" if told == "copy" else "CONDA_ALWAYS_SOFTLINK"), Told(links=told)
    yield from _variables(variables, "CONDA_PKGS_DIRS", lambda value: Told(cache=_home(value.split(",")[0], variables)))
    home, configuration = _home("~", variables), _configuration(variables)
    files = [variables.get("CONDARC", ""), f"{environment}/.condarc", f"{environment}/condarc"]
    for directory in (home, f"{home}/.conda", f"{configuration}/conda", variables.get("CONDA_ROOT", "")):
        files += [f"{directory}/condarc", f"{directory}/.condarc"] if directory else []
    files += ["/var/lib/conda/condarc", "/var/lib/conda/.condarc", "/etc/conda/condarc", "/etc/conda/.condarc"]
    for path in filter(None, files):
        own = path if path.startswith(f"{environment}/") else os.path.realpath(path)
        for said, told_there in _file(own, lambda data, _: parse_condarc(data)):
            yield said, Told(links=told_there.links, cache=_home(told_there.cache, variables))


def _pixi(environment: str, variables: Variables) -> Iterator[_Said]:
    """Yield what pixi is told: switches, the workspace's file, the user's, the system's (pixi_config lib.rs)."""
    yield from _conda_records(environment)
    hard, clone = (_unset(variables.get(f"PIXI_NO_{name}_LINKS", "")) for name in ("HARD", "REF"))
    if links := pixi_links(hard, clone):
        yield "PIXI_NO_HARD_LINKS" if hard is False else "PIXI_NO_REF_LINKS", Told(links=links)
    for name in ("PIXI_CACHE_DIR", "RATTLER_CACHE_DIR"):
        yield from _variables(variables, name, lambda value: Told(cache=os.path.abspath(value)))
    workspace = next((one for one in _above(environment) if os.path.basename(one) in (".pixi", ".magic")), "")
    if workspace:
        yield from _file(f"{workspace}/config.toml", parse_pixi_config)
    pixi_home = variables.get("PIXI_HOME") or _home("~/.pixi", variables)
    for path in (f"{pixi_home}/config.toml", f"{_configuration(variables)}/pixi/config.toml", "/etc/pixi/config.toml"):
        yield from _file(os.path.realpath(path), parse_pixi_config)


def _unset(value: str) -> bool | None:
    """Return False where a variable forbids something, None where it does not."""
    return False if value.lower() in ("1", "true", "yes", "on", "y", "t") else None


def _conda_records(environment: str) -> Iterator[_Said]:
    """Yield the cache that a record of a package says it came from (``extracted_package_dir``)."""
    directory = f"{environment}/conda-meta"
    names = entries(directory, lambda entry: entry.name.endswith(".json"))
    for name in names[:_RECORDS]:
        path = f"{directory}/{name}"
        with suppress(OSError, FormatError):
            extracted = parse_prefix_record(peek(path, _RECORD_MAX), path).extracted
            if extracted.startswith("/"):
                yield path, Told(cache=os.path.dirname(extracted.rstrip("/")))
                return


# -- pnpm ------------------------------------------------------------------------------------


def _pnpm(environment: str, variables: Variables) -> Iterator[_Said]:
    """Yield what pnpm is told: its record, variables, the project's files, the user's (pnpm config lib.rs)."""
    path = f"{environment}/.modules.yaml"
    with suppress(OSError, FormatError):
        store = parse_modules(peek(path, MODULES_MAX), path).store
        yield path, Told(cache=store if store.startswith("/") else "")
    for prefix in ("PNPM_CONFIG_", "NPM_CONFIG_"):
        for name in (prefix, prefix.lower()):
            low = name.islower()
            method, store = ("package_import_method", "store_dir") if low else ("PACKAGE_IMPORT_METHOD", "STORE_DIR")
            yield from _variables(variables, name + method, lambda value: Told(links=pnpm_links(value)))
            yield from _variables(variables, name + store, lambda value: Told(cache=os.path.abspath(value)))
    for directory in _above(environment):
        yield from _file(f"{directory}/pnpm-workspace.yaml", lambda data, _: parse_pnpm(data))
        yield from _file(f"{directory}/.npmrc", lambda data, _: parse_npmrc(data))
    pnpm = f"{_configuration(variables)}/pnpm"
    yield from _file(os.path.realpath(f"{pnpm}/config.yaml"), lambda data, _: parse_pnpm(data))
    for path in (f"{pnpm}/rc", _home("~/.npmrc", variables)):
        yield from _file(os.path.realpath(path), lambda data, _: parse_npmrc(data))


_ASKED: Final[Mapping[EnvironmentKind, Sequence[tuple[str, Callable[[str, Variables], Iterator[_Said]]]]]] = {
    "venv": (("uv", _uv),),
    "conda": (("conda", _conda), ("mamba", _conda), ("micromamba", _conda), ("rattler", _pixi), ("uv", _uv)),
    "pixi": (("pixi", _pixi), ("uv", _uv)),
    "magic": (("magic", _pixi), ("uv", _uv)),
    "node_modules": (("pnpm", _pnpm),),
}


# -- what all of them read -------------------------------------------------------------------


def _variables(variables: Variables, name: str, read: Callable[[str], Told]) -> Iterator[_Said]:
    """Yield what a variable says, nothing where it is not set, or empty."""
    if variables.get(name):
        yield name, read(variables[name])


def _file(path: str, parse: Callable[[bytes, str], Told | None]) -> Iterator[_Said]:
    """Yield what a file says, nothing where it is not there, or not to be read; paths in it are below its directory."""
    try:
        told = parse(peek(path, CONFIGURATION_MAX), path)
    except (OSError, ValueError, FormatError):
        return
    if told is not None:
        cache = os.path.join(os.path.dirname(path), told.cache) if told.cache and told.cache[0] not in "~$" else ""
        yield path, Told(links=told.links, cache=cache or told.cache)


def _above(environment: str) -> Iterator[str]:
    """Yield the directories above an environment, the nearest first."""
    for number, directory in enumerate(ancestors(os.path.dirname(environment))):
        if number >= _ABOVE:
            return
        yield directory.rstrip("/")


def _home(path: str, variables: Variables) -> str:
    """Return a path with the home directory in the place of ``~``."""
    if path == "~" or path.startswith("~/"):
        return (variables.get("HOME") or os.path.expanduser("~")) + path[1:]
    return path if path.startswith("/") else ""


def _configuration(variables: Variables) -> str:
    return variables.get("XDG_CONFIG_HOME") or _home("~/.config", variables)
