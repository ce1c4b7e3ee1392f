"""Which distribution the modules of an environment belong to, and which others come with it when it is imported.

Sources: "Recording installed projects" and "Core metadata specifications" of the PyPA (RECORD, Requires-Dist); npm's
documentation of package.json.
"""

from __future__ import annotations

import csv
import os
import posixpath
from collections.abc import Iterable
from functools import partial

from runworthy.formats.ties import Ties, ties_of

__all__ = ["Distributions"]

_LIMIT = 16 << 20
_MARKS = ("/site-packages/", "/dist-packages/")
_NODE = "/node_modules/"


class Distributions:
    """The distributions of one environment, found beside the files that are asked about."""

    def __init__(self) -> None:
        self._owners: dict[str, dict[str, str]] = {}
        self._ties: dict[str, Ties] = {}

    def owner(self, path: str) -> str:
        """Return the name of the distribution or package that a file belongs to, empty where nothing tells."""
        for mark in _MARKS:
            before, found, below = path.rpartition(mark)
            if found:
                site = before + mark.rstrip("/")
                return self._of_site(site).get(below, "")
        before, found, below = path.rpartition(_NODE)
        if not found:
            return ""
        name = "/".join(below.split("/")[: 2 if below.startswith("@") else 1])
        if name not in self._ties:
            parent, _, base = f"{before}{found}{name}".rpartition("/")
            self._ties[name] = ties_of("npm", [f"{base}/package.json"], partial(_read, parent))
        return name

    def with_all(self, wanted: Iterable[str]) -> str:
        """Return a distribution that requires all the others, itself among them or not; empty where none does."""
        names = frozenset(wanted)
        others = sorted(self._ties.keys() - names)
        return next((name for name in (*sorted(names), *others) if names <= self._closure(name)), "")

    def _closure(self, name: str) -> frozenset[str]:
        seen: set[str] = set()
        pending = [name]
        while pending:
            at = pending.pop()
            if at not in seen and at in self._ties:
                seen.add(at)
                pending += self._ties[at].requires
        return frozenset(seen)

    def _of_site(self, site: str) -> dict[str, str]:
        """Return the distribution of each recorded path below a site-packages directory."""
        held = self._owners.get(site)
        if held is not None:
            return held
        held = self._owners[site] = {}
        try:
            infos = sorted(name for name in os.listdir(site) if name.endswith(".dist-info"))
        except OSError:
            return held
        for info in infos:
            ties = ties_of("wheel", [f"{info}/METADATA"], partial(_read, site))
            if not ties.name:
                continue
            self._ties[ties.name] = ties
            record = _read(site, f"{info}/RECORD") or b""
            lines = record.decode("utf-8", "surrogateescape").splitlines()
            try:
                paths = [row[0] for row in csv.reader(lines) if row]
            except csv.Error:
                continue
            held.update((posixpath.normpath(path), ties.name) for path in paths if ".so" in path)
        return held


def _read(directory: str, name: str) -> bytes | None:
    """Return a small file's bytes, None where it cannot be read."""
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with open(os.open(f"{directory}/{name}", flags), "rb") as file:
            return file.read(_LIMIT)
    except (OSError, ValueError):
        return None
