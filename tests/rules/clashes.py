"""Blocks of the pages that tell of builds of a library: ``environment``, and ``[[clash]]`` tables with their builds.

A clash has the fields of :class:`runworthy.model.storage.Clash`; ``breaks`` are rows of file and version, and each of
``[[clash.builds]]`` has ``path``, ``soname``, ``package``, ``version``, ``wanted_by``. Paths are in the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runworthy.engine.results import Cell, result_of
from runworthy.model.finding import Result
from runworthy.model.storage import Build, Clash, Owner
from runworthy.storage.telling import told

__all__ = ["judge_clashes"]


def judge_clashes(facts: Mapping[str, Any]) -> Result:
    """Return what is said of the clashes that a block describes."""
    top = facts["environment"]
    found = tuple(_clash(top, one) for one in facts["clash"])
    return result_of(Cell(subject=top, target="", path=top, trace=told(top, found), storage=found))


def _clash(top: str, facts: Mapping[str, Any]) -> Clash:
    return Clash(
        environment=top,
        library=facts["library"],
        builds=tuple(_build(top, one) for one in facts["builds"]),
        outcome=facts["outcome"],
        process=facts["process"],
        certain=facts.get("certain", False),
        breaks=tuple((_path(top, path), version) for path, version in facts.get("breaks", ())),
    )


def _build(top: str, facts: Mapping[str, Any]) -> Build:
    package = facts.get("package", "")
    return Build(
        path=_path(top, facts["path"]),
        soname=facts.get("soname", ""),
        owner=Owner(environment=top if package else "", package=package, version=facts.get("version", "")),
        size=facts.get("size", 1 << 20),
        wanted_by=tuple(_path(top, path) for path in facts.get("wanted_by", ())),
    )


def _path(top: str, path: str) -> str:
    return path if path.startswith("/") else f"{top}/{path}"
