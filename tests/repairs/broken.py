"""The words in which a broken pair is written: a subject, the root in which it does not run, and how it is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.cases.recipe import Step

__all__ = ["AS_IT_IS", "Broken", "Corpus", "Package"]

AS_IT_IS = "as-it-is"


@dataclass(frozen=True, slots=True)
class Corpus:
    """A directory of the corpus, put at a place of the root."""

    at: str
    name: str


@dataclass(frozen=True, slots=True)
class Package:
    """The files of a package of the root's own Debian release, without what it depends on and without its scripts."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A subject that does not run in a root.

    ``tree`` is laid over the root, in the words of ``tests/cases``; of what lies in directories that are links in the
    root, the real place is named. ``away`` are files of the root that are taken away first, ``purged`` packages that
    are removed by their manager. ``at_hand`` are packages of the root's release in a repository of the root, with all
    that they need; ``brought`` are directories of the tree that are given with ``--packages``. ``outside``: the first
    directory of the tree lies outside the root, and is given from there. How it is run: a program with
    ``arguments`` has to end with ``code`` and print ``prints``; a library has to load.
    """

    name: str
    root: str
    tree: tuple[Step | Corpus | Package, ...] = ()
    subject: str = "/app/main"
    kind: Literal["program", "library"] = "program"
    arguments: tuple[str, ...] = ()
    code: int = 0
    prints: str = ""
    away: tuple[str, ...] = ()
    purged: tuple[str, ...] = ()
    at_hand: tuple[str, ...] = ()
    brought: tuple[str, ...] = ()
    outside: bool = False
