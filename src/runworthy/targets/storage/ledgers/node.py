"""Packages of Node: a file belongs to the last directory on its path that is one, directly below a ``node_modules``.

No installer of them records files: that one lies in a package's directory is all there is to know, and what a script of
the package made there counts as its own.
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
        end = len(path)
        while (place := path.rfind(_MODULES, 0, end)) >= self._first:
            if found := self._package(path, place + len(_MODULES)):
                return found
            end = place + 1
        return None

    def _package(self, path: str, start: int) -> Owner | None:
        """Return the package whose directory begins with the part of a path at ``start``, where it is one."""
        parts = path[start:].split("/", 2)
        own = parts[:2] if parts[0].startswith("@") else parts[:1]
        if parts[0].startswith(".") or len(parts) == len(own):
            return None
        directory = path[:start] + "/".join(own)
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
