"""Where a subject lies in a target's root.

A subject inside the root keeps its path. One from outside is shown, with the tree it was given in, under
``/subject``: siblings are found by ``$ORIGIN``, while absolute paths lead into the target. Directories
that a system's own loader searches never travel along, since they would bring that system with them.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass

from runworthy.model.arch import ARCHITECTURES
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from runworthy.targets.view import FileView

__all__ = ["SUBJECT_ROOT", "Source", "locate", "place"]

SUBJECT_ROOT = "/subject"

_LIBRARY_DIRECTORIES = ("lib", "lib32", "lib64", "libx32", "libo32", "libn32")
_STAYS = frozenset(
    f"{prefix}/{name}".rstrip("/") or "/"
    for prefix in ("", "/usr", "/usr/local")
    for name in (
        "",
        "bin",
        "sbin",
        "libexec",
        *_LIBRARY_DIRECTORIES,
        *(f"lib/{arch.multiarch}" for arch in ARCHITECTURES),
        *(f"lib/{arch.multiarch.replace('-gnu', '-musl')}" for arch in ARCHITECTURES),
    )
)
_ROOT_MARKS = ("etc/os-release", "usr/lib/os-release", "lib64/ld-linux-x86-64.so.2", "bin/busybox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file of this machine: ``real`` is its path in ``view``; ``top`` is the tree that travels with it (None: itself)."""

    view: DirectoryView
    real: str
    top: str | None
    root: str


def locate(path: str, view: DirectoryView) -> Source:
    """Return where the file ``path`` of this machine lies. ``view`` shows the whole machine. Raises OSError."""
    real = view.resolve(_posix(os.path.abspath(path))).path
    root = _root_of(view, posixpath.dirname(real))
    parent = posixpath.dirname(real)
    inside = _below(root, parent)
    if inside in _STAYS:
        return Source(view=view, real=real, top=None, root=root)
    while _below(root, posixpath.dirname(parent)) not in _STAYS:
        parent = posixpath.dirname(parent)
    return Source(view=view, real=real, top=parent, root=root)


def place(source: Source, target: Target, overlay: Overlay, at: str | None = None) -> str:
    """Show the source in ``overlay``, which lies over the target's root; return its real path there. Raises OSError."""
    inside = _inside(source, target.view)
    if inside is not None and at is None:
        return inside
    shown = at or SUBJECT_ROOT + _below(source.root, source.real)
    if source.top is None:
        overlay.add_from(shown, source.view, source.real)
    elif at is None:
        overlay.mount(SUBJECT_ROOT + _below(source.root, source.top), source.view, source.top)
    else:
        overlay.mount(posixpath.dirname(at), source.view, posixpath.dirname(source.real))
        if posixpath.basename(at) != posixpath.basename(source.real):
            overlay.add_from(at, source.view, source.real)
    return overlay.resolve(shown).path


def _inside(source: Source, view: FileView) -> str | None:
    """Return the path of the source in the root ``view``, None when it is not inside."""
    base = view.base if isinstance(view, Overlay) else view
    if not isinstance(base, DirectoryView):
        return None
    root = base.host_path("/")
    host = source.view.host_path(source.real)
    if root == "/" or host == root:
        return host if root == "/" else "/"
    return _posix(host[len(root) :]) if host.startswith(root.rstrip("/\\") + os.sep) else None


def _root_of(view: DirectoryView, directory: str) -> str:
    """Return the nearest directory above that looks like a root file system of its own; ``/`` at last."""
    while directory != "/":
        if any(view.exists(f"{directory}/{mark}") for mark in _ROOT_MARKS):
            return directory
        directory = posixpath.dirname(directory)
    return "/"


def _below(root: str, path: str) -> str:
    if root == "/":
        return path
    return path[len(root) :] or "/"


def _posix(path: str) -> str:
    drive, rest = os.path.splitdrive(path)
    del drive
    return rest.replace(os.sep, "/")
