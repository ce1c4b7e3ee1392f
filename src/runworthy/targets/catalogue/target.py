"""A target as the catalogue knows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from runworthy.model.arch import Architecture
from runworthy.model.libc import Libc
from runworthy.model.records import dataclass
from runworthy.targets.catalogue.views import CatalogueView

__all__ = ["CatalogueTarget", "Completeness", "Summary"]

Completeness = Literal["closed", "core"]


class Summary(NamedTuple):
    """One target in the catalogue's list, its files not opened.

    ``as_of`` is an ISO date, or the release that the facts were read from where no date is known (``13.7``); it is
    empty where neither is. ``eol`` is an ISO date, ``rolling`` or None, ``eol_support`` the dates of longer support by
    its name (``lts``, ``elts``). ``order`` sorts the releases of one ``family``, the oldest first. ``libc.loader`` is
    the loader's real path.
    """

    name: str
    arch: Architecture
    completeness: Completeness
    family: str
    order: tuple[int, ...]
    libc: Libc
    as_of: str
    eol: str | None
    eol_support: Mapping[str, str]
    package_manager: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueTarget:
    """A target with its root. The fields that :class:`Summary` has too are explained there.

    ``loader_directories`` are the directories that the root's loader searches by default, in order.
    ``cache_from_configuration``: the root has no ld.so.cache file; it is to be taken as ldconfig would write it.
    ``open_versions`` are version nodes that are defined but whose symbols are not known (CatalogueView.open_versions).
    ``packages`` are names and versions where a package database was read.
    """

    name: str
    arch: Architecture
    completeness: Completeness
    as_of: str
    eol: str | None
    eol_support: Mapping[str, str]
    libc: Libc
    loader_directories: tuple[str, ...]
    cache_from_configuration: bool
    view: CatalogueView
    family: str
    order: tuple[int, ...]
    package_manager: str
    packages: Mapping[str, str]
    notes: tuple[str, ...]
    open_versions: frozenset[str] = frozenset()
