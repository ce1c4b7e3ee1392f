"""The caches from which environments were filled, or could have been: those that hold files as they are installed.

pip keeps what it fetched, wheels among it, packed as it came (``_internal/network/cache.py``), and npm the packed
archives (cacache): nothing in either has the bytes of an installed file, and neither is looked for here.

Sources, each for where its cache lies and in what order that is decided: uv ``crates/uv-cache/src/cli.rs``
(from_settings); pixi ``crates/pixi_config/src/lib.rs`` (resolve_cache_root, resolve_cache_kind_dir); rattler
``crates/rattler_cache/src/lib.rs`` (default_cache_dir); conda ``conda/base/context.py`` (pkgs_dirs) and
``conda/base/constants.py`` (SEARCH_PATH); pnpm ``pnpm/crates/config/src/defaults.rs`` (default_store_dir) and
``pnpm/crates/config/src/store_path.rs`` (resolve_store_dir).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

from runworthy.formats.environment.node import MODULES_MAX, parse_modules
from runworthy.model.errors import FormatError
from runworthy.model.storage import Environment, EnvironmentKind
from runworthy.targets.storage.environments import described
from runworthy.targets.storage.peeking import entries, peek
from runworthy.targets.storage.places import Places
from runworthy.targets.storage.recognising import cache_at
from runworthy.targets.storage.uses import Uses

__all__ = ["caches_for"]

_RECORDS_MAX: Final = 2000
_HEAD: Final = 1 << 16
_CONFIGURATION_MAX: Final = 1 << 20
_EXTRACTED: Final = re.compile(rb'"extracted_package_dir"\s*:\s*("(?:[^"\\\n]|\\.){1,4000}")')
_CONDARC_LIST: Final = re.compile(
    r"^(?:pkgs_dirs|add_pkgs_dirs):[ \t]*(\[.*\]|)[ \t]*(?:#.*)?\n((?:[ \t]*-.*(?:\n|\Z))*)", re.MULTILINE
)
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_CONDA_KINDS: Final[frozenset[EnvironmentKind]] = frozenset(("conda", "pixi", "magic"))


def caches_for(
    environments: Iterable[Environment], variables: Mapping[str, str], places: Places | None = None
) -> tuple[Environment, ...]:
    """Return the caches that are there and that these environments can have been filled from, sorted by path.

    ``variables`` are those of the process that installed them; a variable that is not among them is not set. What an
    environment says itself of its cache counts as much. ``files`` and ``allocated`` are 0: nothing was walked.
    Those among ``environments`` are left out. Raises OSError where a place cannot be told.
    """
    held = tuple(environments)
    known = {environment.path for environment in held}
    found: dict[str, EnvironmentKind] = {}
    for path in _candidates(held, variables):
        real = _real(path)
        if real and real not in known and real not in found:
            kind = cache_at(real)
            found.update({real: kind} if kind else {})
    places, uses = places or Places(), Uses()
    return tuple(described(path, kind, places, uses) for path, kind in sorted(found.items()))


def _candidates(environments: tuple[Environment, ...], variables: Mapping[str, str]) -> Iterator[str]:
    for environment in environments:
        yield from _OWN.get(environment.kind, _nothing)(environment)
    installers = {environment.installer for environment in environments if not environment.is_cache}
    kinds = {environment.kind for environment in environments}
    if kinds & _CONDA_KINDS:
        yield from _conda(environments, variables)
        yield from _rattler(variables)
    if "uv" in installers or kinds & {"pixi", "magic"}:
        yield from _uv(variables)
    if "pnpm" in installers:
        yield from _pnpm(environments, variables)


def _real(path: str) -> str:
    """Return an absolute path without links, empty for one that is none."""
    if not os.path.isabs(path) or "\0" in path:
        return ""
    try:
        return os.path.realpath(path, strict=True)
    except OSError:
        return ""


# -- what environments say -------------------------------------------------------------------


def _nothing(_: Environment) -> Iterator[str]:
    return iter(())


def _extracted(environment: Environment) -> Iterator[str]:
    """Yield the directories that packages were taken out of. The entry stands before the lists of files."""
    from json import loads

    meta = f"{environment.path}/conda-meta"
    seen = set()
    for name in entries(meta, lambda entry: entry.name.endswith(".json"))[:_RECORDS_MAX]:
        with suppress(OSError, FormatError, ValueError):
            told = _EXTRACTED.search(peek(f"{meta}/{name}", _HEAD, beginning=True))
            if told:
                seen.add(os.path.dirname(str(loads(told[1])).rstrip("/")))
    yield from sorted(seen)
    yield f"{environment.path}/pkgs"  # that of a base environment


def _store(environment: Environment) -> Iterator[str]:
    with suppress(OSError, FormatError):
        store = parse_modules(peek(f"{environment.path}/.modules.yaml", MODULES_MAX)).store
        yield store
        yield from _versions(store)


_OWN: Final[Mapping[EnvironmentKind, Callable[[Environment], Iterator[str]]]] = {
    "conda": _extracted,
    "pixi": _extracted,
    "magic": _extracted,
    "node_modules": _store,
}


# -- where installers keep them --------------------------------------------------------------


def _home(variables: Mapping[str, str], variable: str, default: str) -> str:
    """Return the directory of a variable of the XDG Base Directory Specification, which a relative path is none for."""
    path = variables.get(variable, "")
    if os.path.isabs(path):
        return path
    home = variables.get("HOME", "")
    return os.path.join(home, default) if home else ""


def _uv(variables: Mapping[str, str]) -> Iterator[str]:
    """The variable, the files of settings, and where it is otherwise; below pixi's cache the one of its own."""
    yield variables.get("UV_CACHE_DIR", "")
    for base in (_home(variables, "XDG_CONFIG_HOME", ".config"), "/etc"):
        yield _text_of(f"{base}/uv/uv.toml", "cache-dir")
    yield f"{_home(variables, 'XDG_CACHE_HOME', '.cache')}/uv"
    yield variables.get("PIXI_CACHE_PYPI_WHEELS_DIR", "")
    for root in _roots_of_pixi(variables):
        yield f"{root}/uv-cache"


def _rattler(variables: Mapping[str, str]) -> Iterator[str]:
    yield variables.get("PIXI_CACHE_CONDA_PACKAGES_DIR", "")
    for root in _roots_of_pixi(variables):
        yield f"{root}/pkgs"


def _roots_of_pixi(variables: Mapping[str, str]) -> Iterator[str]:
    """All of them: which one an environment was filled from depends on what was set then."""
    cache = _home(variables, "XDG_CACHE_HOME", ".cache")
    yield variables.get("PIXI_CACHE_DIR", "")
    yield variables.get("RATTLER_CACHE_DIR", "")
    for file in (
        f"{variables.get('PIXI_HOME') or _home(variables, '', '.pixi')}/config.toml",
        f"{_home(variables, 'XDG_CONFIG_HOME', '.config')}/pixi/config.toml",
        "/etc/pixi/config.toml",
    ):
        yield _text_of(file, "cache", "root")
    yield f"{cache}/pixi"
    yield f"{cache}/rattler/cache"


def _conda(environments: Iterable[Environment], variables: Mapping[str, str]) -> Iterator[str]:
    home = variables.get("HOME", "")
    yield from (_expanded(path.strip(), variables) for path in variables.get("CONDA_PKGS_DIRS", "").split(","))
    for file in (variables.get("CONDARC", ""), f"{home}/.condarc", f"{home}/.conda/.condarc", "/etc/conda/.condarc"):
        yield from (_expanded(path, variables) for path in _listed(file))
    bases = {os.path.dirname(os.path.dirname(variables.get(name, ""))) for name in ("CONDA_EXE", "MAMBA_EXE")}
    bases |= {variables.get(name, "") for name in ("MAMBA_ROOT_PREFIX", "CONDA_ROOT", "CONDA_PREFIX_1")}
    for environment in environments:
        above, name = os.path.split(os.path.dirname(environment.path))
        bases |= {above} if name == "envs" and environment.kind == "conda" else set()
    for base in sorted(bases):
        if base:
            yield f"{base}/pkgs"
    if home:
        yield f"{home}/.conda/pkgs"
        yield f"{home}/.mamba/pkgs"


def _pnpm(environments: Iterable[Environment], variables: Mapping[str, str]) -> Iterator[str]:
    """The store of pnpm's home, else one at the top of the mount that the project lies on."""
    for base in (variables.get("PNPM_HOME", ""), f"{_home(variables, 'XDG_DATA_HOME', '.local/share')}/pnpm"):
        if base:
            yield from _versions(f"{base}/store")
    points = {one.place.point for one in environments if one.kind == "node_modules" and one.installer == "pnpm"}
    for point in sorted(points):
        yield from _versions(f"{point.rstrip('/')}/.pnpm-store")


def _versions(store: str) -> list[str]:
    """Return the stores of each layout in one place."""
    if not os.path.isabs(store):
        return []
    return [
        f"{store}/{name}" for name in entries(store, lambda entry: re.fullmatch(r"v\d{1,3}", entry.name) is not None)
    ]


# -- files of settings -----------------------------------------------------------------------


def _text_of(file: str, *keys: str) -> str:
    """Return a text of a TOML file, empty where there is none. A leading ``~`` is the home directory of nobody here."""
    import tomllib

    try:
        held: object = tomllib.loads(peek(file, _CONFIGURATION_MAX).decode("utf-8"))
    except (OSError, ValueError, RecursionError, FormatError):
        return ""
    for key in keys:
        held = held.get(key) if isinstance(held, dict) else None
    return held if isinstance(held, str) else ""


def _listed(file: str) -> list[str]:
    """Return ``pkgs_dirs`` of a .condarc: a YAML list, of a line each or in brackets."""
    if not os.path.isabs(file):
        return []
    try:
        text = peek(file, _CONFIGURATION_MAX).decode("utf-8", "replace")
    except (OSError, FormatError):
        return []
    found = _CONDARC_LIST.search(text)
    if not found:
        return []
    rows = found[1].strip("[]").split(",") if found[1] else [line.strip()[1:] for line in found[2].splitlines()]
    return [row.partition(" #")[0].strip().strip("'\"") for row in rows]


def _expanded(path: str, variables: Mapping[str, str]) -> str:
    """Return a path with ``~`` and variables put in, as conda does (``conda/common/path.py``, expand)."""
    if path == "~" or path.startswith("~/"):
        path = variables.get("HOME", "") + path[1:]
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], found[0]), path)
