"""Whose a file is: the environment that holds it, and the package whose records name it.

Records are read when the first file of an environment is asked about. Of what was read so much is kept at once, and
then read again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from runworthy.model.storage import Environment, EnvironmentKind, Owner
from runworthy.targets.storage.ledgers.conda import CondaMeta, Packages
from runworthy.targets.storage.ledgers.node import NodeModules
from runworthy.targets.storage.ledgers.python import FoundSites, Sites, editables_of
from runworthy.targets.storage.ledgers.shelf import Ledger, Library
from runworthy.targets.storage.ledgers.stores import PnpmStore, UvCache, WheelNames
from runworthy.targets.storage.nest import Nest
from runworthy.targets.storage.peeking import ancestors

__all__ = ["Owners"]

_ROWS_MAX: Final = 1_500_000
"""Rows of records that are kept at once: near 250 bytes each, what several environments have alike counted once."""

_TOLD_MAX: Final = 1 << 18
"""Files whose owners are kept at once: each is asked about several times, shortly after one another."""

_PYTHON: Final[frozenset[EnvironmentKind]] = frozenset(("venv", "conda", "pixi", "magic"))


class Owners:
    """The owners of files in some environments. Paths are real: without links on their way."""

    def __init__(self, environments: Iterable[Environment], *, most: int = _ROWS_MAX) -> None:
        self._environments = {environment.path: environment for environment in environments}
        self._nest = Nest(self._environments)
        self._most = most
        self._nobody = {path: Owner(environment=path) for path in ("", *self._environments)}
        self._library = Library()
        self._ledgers: dict[str, tuple[Ledger, ...]] = {}
        self._editables: dict[str, Owner] | None = None
        self._told: dict[str, Owner] = {}

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        """Records that could not be read: (path, why)."""
        return tuple(sorted(self._library.problems.items()))

    def environment(self, path: str) -> str:
        """Return the path of the innermost environment that holds a file, empty where none does."""
        return self._nest.innermost(path.rpartition("/")[0] or "/")

    @property
    def kept(self) -> int:
        """How many rows of records are kept now."""
        return self._library.rows

    def owner(self, path: str) -> Owner:
        """Return whose a file is.

        ``environment`` is empty where none holds it, ``package`` where no record names it.
        """
        found = self._told.get(path)
        if found is None:
            if len(self._told) >= _TOLD_MAX:
                self._told.clear()
            found = self._told[path] = self._look(path)
        return found

    def _look(self, path: str) -> Owner:
        place = self.environment(path)
        if not place:
            return self._nobody[""]
        ledgers = self._ledgers.get(place)
        if ledgers is None:
            ledgers = self._open(place)
        for ledger in ledgers:
            if found := ledger.find(path):
                return found
        return self._nobody[place]

    def _open(self, place: str) -> tuple[Ledger, ...]:
        if self._library.rows > self._most:
            problems = self._library.problems
            self._ledgers.clear()
            self._library = Library()
            self._library.problems.update(problems)
        environment = self._environments[place]
        ledgers = self._ledgers[place] = _LEDGERS[environment.kind](environment, self._library)
        if environment.kind in {"root", "tree"}:
            ledgers = self._ledgers[place] = (*ledgers, _Editables(place, self._editable))
        return ledgers

    def _editable(self, path: str) -> Owner | None:
        """Return whose a source file is that is used in place by an environment."""
        if self._editables is None:
            self._editables = {}
            for environment in self._environments.values():
                if environment.kind in _PYTHON:
                    for directory, owner in editables_of(environment.path, ""):
                        self._editables.setdefault(directory, owner)
        if not self._editables:
            return None
        return next((self._editables[one] for one in ancestors(os.path.dirname(path)) if one in self._editables), None)


class _Editables:
    """Source trees that environments use in place, as far as they lie in a plain tree."""

    def __init__(self, environment: str, find: Callable[[str], Owner | None]) -> None:
        self._environment = environment
        self._find = find

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where no environment uses it in place."""
        found = self._find(path)
        if found is None:
            return None
        return Owner(
            environment=self._environment,
            package=found.package,
            version=found.version,
            installer=found.installer,
            editable=True,
            manifest=found.manifest,
        )


def _venv(environment: Environment, library: Library) -> tuple[Ledger, ...]:
    return Sites(environment.path, library), NodeModules(environment.path, "")


def _conda(environment: Environment, library: Library) -> tuple[Ledger, ...]:
    """What pip installed comes first: it writes over files that conda's records go on to name."""
    meta = CondaMeta(environment.path, environment.installer, library)
    return Sites(environment.path, library, meta.names), meta, NodeModules(environment.path, "")


def _root(environment: Environment, library: Library) -> tuple[Ledger, ...]:
    from runworthy.targets.storage.ledgers.system import Apk, Dpkg  # with a reader of indexes, which is long

    made: dict[str, Callable[[str, Library], Ledger]] = {"dpkg": Dpkg, "apk": Apk}
    system = made.get(environment.installer)
    found = (system(environment.path, library),) if system else ()
    return (*found, *_tree(environment, library))


def _tree(environment: Environment, library: Library) -> tuple[Ledger, ...]:
    return NodeModules(environment.path, ""), FoundSites(environment.path, library)


def _packages(environment: Environment, library: Library) -> tuple[Ledger, ...]:
    return (Packages(environment.path, environment.installer, library),)


_LEDGERS: Final[Mapping[EnvironmentKind, Callable[[Environment, Library], tuple[Ledger, ...]]]] = {
    "venv": _venv,
    "conda": _conda,
    "pixi": _conda,
    "magic": _conda,
    "node_modules": lambda one, _: (NodeModules(one.path, one.installer),),
    "root": _root,
    "tree": _tree,
    "uv-cache": lambda one, library: (UvCache(one.path, library), WheelNames(one.path, one.installer)),
    "pip-cache": lambda one, _: (WheelNames(one.path, one.installer),),
    "conda-cache": _packages,
    "rattler-cache": _packages,
    "pnpm-store": lambda one, library: (PnpmStore(one.path, library),),
    "npm-cache": lambda _, __: (),
}
