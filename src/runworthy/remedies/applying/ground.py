"""Where the paths of a target lie on this machine."""

from __future__ import annotations

import os
import posixpath

from runworthy.model.errors import RemedyError
from runworthy.model.records import dataclass
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.placement import SUBJECT_ROOT
from runworthy.targets.target import Target

__all__ = ["Ground", "Place", "ground_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A path below a directory of this machine. ``strict``: no symbolic link may be on the way to it."""

    base: str
    path: str
    strict: bool = False

    @property
    def here(self) -> str:
        """How this machine calls it, as long as no link is on the way."""
        return posixpath.join(self.base, self.path.lstrip("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What edits of a target change on this machine.

    ``root`` is the directory that is the target's root, "/" for this machine itself, and None where the target is none
    of this machine's (one of the catalogue). ``live``: it is this machine as it runs, with its kernel. ``name`` is what
    the target is called. ``copies`` are pairs of a directory of the target and one of this machine, in which copies are
    written in place of the files themselves; where there are any, nothing else is written.
    """

    root: str | None
    live: bool = False
    name: str = ""
    copies: tuple[tuple[str, str], ...] = ()

    def place(self, path: str) -> Place:
        """Return what is written for a path of the target. Raises RemedyError where nothing may be."""
        if not self.copies:
            return self.original(path)
        path = posixpath.normpath(path)
        for directory, output in sorted(self.copies, key=lambda pair: -len(pair[0])):
            top = directory.rstrip("/")
            if path.startswith(f"{top}/"):
                real = os.path.realpath(output)
                return Place(base="/", path=posixpath.join(real, path[len(top) + 1 :]), strict=True)
        where = self.original(path).here
        raise RemedyError(f"{where} is not changed where copies are written", hint="leave --output out to change it")

    def original(self, path: str) -> Place:
        """Return where a path of the target lies. Raises RemedyError where it lies nowhere on this machine."""
        path = _plain(path)
        if path.startswith(f"{SUBJECT_ROOT}/"):
            return Place(base="/", path=path[len(SUBJECT_ROOT) :], strict=True)
        if self.root is None:
            name = self.name or "the target"
            raise RemedyError(
                f"{path} belongs to {name}, which is no root of this machine",
                hint="a Dockerfile or a root can be edited",
            )
        return Place(base=self.root, path=path)


def ground_of(target: Target, copies: tuple[tuple[str, str], ...] = ()) -> Ground:
    """Return the ground of a target: the directory that its view shows, if it shows one."""
    view = target.view
    while isinstance(view, Overlay):
        view = view.base
    root = os.path.realpath(view.host_path("/")) if type(view) is DirectoryView else None
    return Ground(root=root, live=target.live, name=target.name, copies=copies)


def _plain(path: str) -> str:
    """Return a path as it is understood where no link is on the way to it: others are left to be walked."""
    return posixpath.normpath(path) if path.startswith(f"{SUBJECT_ROOT}/") else path
