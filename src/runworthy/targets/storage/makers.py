"""Who made an environment, as its own files say.

A virtual environment is told to be of the one that made it where that one installs packages as well (uv), else of the
one that most of its packages were installed by: those that only make empty ones (venv, virtualenv) copy nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from runworthy.formats.environment.conda import HISTORY_MAX, parse_history, parse_pixi
from runworthy.formats.environment.distribution import INSTALLER_MAX, parse_installer
from runworthy.formats.environment.loading import JSON_MAX
from runworthy.formats.environment.node import MODULES_MAX, parse_modules
from runworthy.formats.environment.venv import PYVENV_MAX, parse_pyvenv
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass
from runworthy.model.storage import EnvironmentKind
from runworthy.targets.storage.peeking import entries, is_directory, peek, status_of

__all__ = ["Maker", "maker_of", "sites_of"]

_ASKED_MAX: Final = 400
"""Distributions whose INSTALLER is looked at to tell by whom most were installed."""
_PYTHON: Final = re.compile(r"(?:python|pypy|graalpy)(\d+\.\d+)t?")
_CONDA_PYTHON: Final = re.compile(r"python-(\d+\.\d+)[.\d]*-[^-]*\.json")
_PIP: Final = re.compile(r"pip-(\d[^-]*)\.dist-info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """The installer and its version, and the version of Python ("3.12"); empty where nothing tells."""

    installer: str = ""
    version: str = ""
    python: str = ""


def maker_of(path: str, kind: EnvironmentKind) -> Maker:
    """Return what the files of an environment say of who made it."""
    return _MAKERS[kind](path)


def sites_of(prefix: str) -> list[str]:
    """Return the directories below a prefix in which Python looks for packages (CPython ``Lib/site.py``)."""
    found = []
    for library in ("lib", "lib64"):
        if is_directory(f"{prefix}/{library}"):
            pythons = entries(f"{prefix}/{library}", lambda entry: entry.name.startswith(("python", "pypy", "graalpy")))
            found += [
                f"{prefix}/{library}/{python}/{name}"
                for python in pythons
                for name in ("site-packages", "dist-packages")
            ]
    return [site for site in found if is_directory(site)]


def _venv(path: str) -> Maker:
    with suppress(OSError, FormatError):
        made = parse_pyvenv(peek(f"{path}/pyvenv.cfg", PYVENV_MAX, beginning=True))
        python = made.python or _python_of(path)
        if made.uv:
            return Maker(installer="uv", version=made.uv, python=python)
        installer, version = _mostly(path)
        if installer:
            return Maker(installer=installer, version=version, python=python)
        if made.virtualenv:
            return Maker(installer="virtualenv", version=made.virtualenv, python=python)
        return Maker(installer="venv", python=python)
    return Maker()


def _mostly(prefix: str) -> tuple[str, str]:
    """Return by whom most distributions were installed, pip's own left out: venv puts that there by itself."""
    seen: Counter[tuple[str, str]] = Counter()
    pip = ""
    for site in sites_of(prefix):
        for name in entries(site, lambda entry: entry.name.endswith(".dist-info"))[:_ASKED_MAX]:
            own = _PIP.fullmatch(name)
            pip = own[1] if own else pip
            with suppress(OSError, FormatError):
                seen[parse_installer(peek(f"{site}/{name}/INSTALLER", INSTALLER_MAX))] += 0 if own else 1
    seen.pop(("", ""), None)
    (installer, version), _ = max(seen.items(), key=lambda item: (item[1], item[0]), default=(("", ""), 0))
    return installer, version or (pip if installer == "pip" else "")


def _python_of(prefix: str) -> str:
    found = (_PYTHON.fullmatch(site.split("/")[-2]) for site in sites_of(prefix))
    return next((one[1] for one in found if one), "")


def _conda(path: str) -> Maker:
    """Return who wrote the history: conda always does, rattler leaves it empty or leaves it out."""
    installer, version = "", ""
    with suppress(OSError, FormatError):
        installer, version = parse_history(peek(f"{path}/conda-meta/history", HISTORY_MAX, beginning=True))
    return Maker(installer=installer or "rattler", version=version, python=_conda_python(path))


def _conda_python(path: str) -> str:
    names = entries(f"{path}/conda-meta", lambda entry: entry.name.startswith("python-"))
    found = (_CONDA_PYTHON.fullmatch(name) for name in names)
    return next((one[1] for one in found if one), "")


def _pixi(path: str) -> Maker:
    return _of_pixi(path, "pixi")


def _magic(path: str) -> Maker:
    return _of_pixi(path, "magic")


def _of_pixi(path: str, installer: str) -> Maker:
    python = _conda_python(path)
    for name in ("pixi", "magic"):
        with suppress(OSError, FormatError):
            version, _ = parse_pixi(peek(f"{path}/conda-meta/{name}", JSON_MAX))
            return Maker(installer=installer, version=version, python=python)
    return Maker(installer=installer, python=python)


def _node(path: str) -> Maker:
    with suppress(OSError, FormatError):
        modules = parse_modules(peek(f"{path}/.modules.yaml", MODULES_MAX))
        return Maker(installer=modules.manager or "pnpm", version=modules.version)
    for name, installer in ((".package-lock.json", "npm"), (".yarn-integrity", "yarn"), (".yarn-state.yml", "yarn")):
        if status_of(f"{path}/{name}") is not None:
            return Maker(installer=installer)
    return Maker()


def _root(path: str) -> Maker:
    for place, installer in _DATABASES.items():
        if status_of(f"{path.rstrip('/')}/{place}") is not None:
            return Maker(installer=installer)
    return Maker()


_DATABASES: Final[Mapping[str, str]] = {
    "var/lib/dpkg/status": "dpkg",
    "var/lib/dpkg/status.d": "dpkg",
    "lib/apk/db/installed": "apk",
    "usr/lib/apk/db/installed": "apk",
    "usr/lib/sysimage/rpm": "rpm",
    "var/lib/rpm": "rpm",
}

_MAKERS: Final[Mapping[EnvironmentKind, Callable[[str], Maker]]] = {
    "venv": _venv,
    "conda": _conda,
    "pixi": _pixi,
    "magic": _magic,
    "node_modules": _node,
    "root": _root,
    "tree": lambda _: Maker(),
    "uv-cache": lambda _: Maker(installer="uv"),
    "pip-cache": lambda _: Maker(installer="pip"),
    "conda-cache": lambda _: Maker(installer="conda"),
    "rattler-cache": lambda _: Maker(installer="rattler"),
    "pnpm-store": lambda _: Maker(installer="pnpm"),
    "npm-cache": lambda _: Maker(installer="npm"),
}
