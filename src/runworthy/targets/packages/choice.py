"""What is asked of packages, and what comes back."""

from __future__ import annotations

from typing import Literal

from runworthy.model.arch import Architecture
from runworthy.model.edit import Edit
from runworthy.model.package import Manager, Package
from runworthy.model.records import dataclass

__all__ = ["Choice", "Wanted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A thing that a package is to bring.

    ``name`` is the name of a library as loaders look for it (``libz.so.1``), an absolute path, or the name of a
    command that is looked for in ``PATH``.
    """

    kind: Literal["library", "path", "command"]
    name: str
    arch: Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Packages that bring what is wanted.

    ``names`` are those to ask the manager for, ``with_them`` those that come along. ``size`` is that of the downloads,
    ``installed`` that of the files (bytes, None where it is not told). ``effects`` are what is known of what they
    bring. ``known``: that is everything, so that it can be judged; else ``why`` says what is not known. ``notes`` say
    on whose word it rests. ``packages`` are what the names stand for, in the order of their installation.
    """

    manager: Manager
    names: tuple[str, ...]
    with_them: tuple[str, ...] = ()
    size: int | None = None
    installed: int | None = None
    effects: tuple[Edit, ...] = ()
    known: bool = False
    why: str = ""
    notes: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
