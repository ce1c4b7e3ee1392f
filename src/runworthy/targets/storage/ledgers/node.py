"""Packages of Node: what a ``node_modules`` holds, and what a ``node_modules`` directly in a package of it holds.

Whatever else lies in the directory of a package is its own, what a script of it made there and what it ships below a
``dist/node_modules`` included: so npm sees it (``@npmcli/arborist``, ``lib/arborist/load-actual.js``). No installer
records files of packages.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from runworthy.formats.environment.node import PACKAGE_MAX, parse_package
from runworthy.model.errors import FormatError
from runworthy.model.storage import Owner
from runworthy.targets.storage.peeking import peek

__all__ = ["NodeModules"]

_MOST_KEPT: Final = 100_000
_MODULES: Final = "/node_modules/"


class NodeModules:
    """Packages in one environment, by their package.json."""

    def __init__(self, environment: str, installer: str) -> None:
        self._environment = environment
        self._installer = installer
        self._first = max(0, len(environment) + 1 - len(_MODULES))  # that of the environment itself is one
        self._known: dict[str, Owner | None] = {}

    def find(self, path: str) -> Owner | None:
        """Return whose a file is, None where it lies in no package."""
        start = path.find(_MODULES, self._first) + len(_MODULES)
        found = None
        while start >= len(_MODULES):
            parts = path[start:].split("/", 3)
            if parts[0].startswith("."):  # .bin, and .pnpm, in which each package has a node_modules
                start = path.find(_MODULES, start) + len(_MODULES)
                continue
            count = 2 if parts[0].startswith("@") else 1
            if len(parts) <= count:
                break
            end = start + len("/".join(parts[:count]))
            found = self._package(path[:end]) or found
            start = end + len(_MODULES) if path.startswith(_MODULES, end) else 0
        return found

    def _package(self, directory: str) -> Owner | None:
        if directory not in self._known:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[directory] = self._read(directory)
        return self._known[directory]

    def _read(self, directory: str) -> Owner | None:
        manifest = f"{directory}/package.json"
        with suppress(OSError, FormatError):
            name, version = parse_package(peek(manifest, PACKAGE_MAX), manifest)
            if name:
                return Owner(
                    environment=self._environment,
                    package=name,
                    version=version,
                    installer=self._installer,
                    manifest=manifest,
                )
        return None
