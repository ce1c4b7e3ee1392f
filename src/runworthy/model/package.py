"""Packages of distributions, as their indexes tell of them."""

from __future__ import annotations

from typing import Literal

from runworthy.model.records import dataclass

__all__ = ["Manager", "Package", "Relation"]

Manager = Literal["apk", "apt", "dnf", "pacman", "zypper"]
"""Whose packages: apk-tools (apk(8)), apt with dpkg (deb-control(5)), dnf and zypper with rpm, pacman."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A name that is wanted or provided, with a version where there is one.

    ``operator`` is one of ``=``, ``<``, ``<=``, ``>``, ``>=``, ``~``, ``!``; it is empty where any version will do.
    Names are the manager's own: ``so:libgcc_s.so.1`` and ``cmd:ls`` of apk, ``libgcc_s.so.1()(64bit)`` of rpm,
    ``perl:any`` of dpkg.
    """

    name: str
    operator: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that can be had, or is installed.

    ``depends`` are alternatives, of each of which one is needed. ``size`` is that of the download, ``installed`` that
    of its files (bytes, None where it is not told). ``archive`` is where it lies: a path of this machine, a URL, or
    nothing; ``sha256`` is its hash, where it is told. ``files`` are those of its paths that are known. ``origin`` says
    who tells of it. ``multi_arch`` is dpkg's field of that name: whether its like of another architecture may be
    there too (``same``), or does as well (``foreign``, and ``allowed`` for who asks by ``NAME:any``).
    """

    manager: Manager
    name: str
    version: str
    arch: str = ""
    size: int | None = None
    installed: int | None = None
    provides: tuple[Relation, ...] = ()
    depends: tuple[tuple[Relation, ...], ...] = ()
    conflicts: tuple[Relation, ...] = ()
    files: tuple[str, ...] = ()
    archive: str = ""
    sha256: str = ""
    origin: str = ""
    multi_arch: str = ""
