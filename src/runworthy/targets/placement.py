"""Where a subject lies in a target's root.

A subject inside the root keeps its path. One from outside is shown, with the tree it was given in, under
``/subject``: siblings are found by ``$ORIGIN``, while absolute paths lead into the target. Directories
that a system's own loader searches never travel along, since they would bring that system with them.
Subjects that are judged together are to be placed before the first is judged: a root is not to change under a loader.
"""

from __future__ import annotations

import os
import posixpath
import re

from runworthy.model.arch import ARCHITECTURES
from runworthy.model.records import dataclass, replace
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from runworthy.targets.view import FileKind, FileView, Resolved

__all__ = ["SUBJECT_ROOT", "Source", "is_own_root", "locate", "member", "place", "tree_of"]

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
_PARTS = frozenset(("bin", "sbin", "libexec", *_LIBRARY_DIRECTORIES))
# Directories in which things lie that have nothing to do with one another.
_SHARED = re.compile(r"/|/home(?:/[^/]+)?|/(?:root|tmp|var|opt|srv|mnt|media|usr|run|etc|data)|/var/(?:tmp|lib|opt)")
_ROOT_MARKS = (("etc", "os-release"), ("usr/lib", "os-release"), ("etc", "passwd"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file of this machine, or of an archive that lies on it.

    ``real`` is its path in ``view``; ``top`` the tree that travels with it (None: itself); ``root`` its system;
    ``base`` the directory that was given as the subject, if it was not the file itself. ``shown`` is the directory of a
    target in which what ``view`` has at its top is shown; "/" of a system's package, which is laid into the root.
    """

    view: FileView
    real: str
    kind: FileKind
    top: str | None
    root: str
    base: str | None = None
    shown: str = SUBJECT_ROOT

    @property
    def is_installed(self) -> bool:
        """Whether it comes with a package that lays its files into the root itself."""
        return self.shown == "/"


def locate(path: str, view: DirectoryView) -> Source:
    """Return where the file ``path`` of this machine lies. ``view`` shows the whole machine. Raises OSError.

    In a directory that is a root of its own (a rootfs), absolute links lead into that root, not into this machine.
    """
    real, root = _real(_absolute(path), view)
    kind = view.lstat(real).entry.kind
    parent = posixpath.dirname(real)
    if _below(root, parent) in _STAYS:
        return Source(view=view, real=real, kind=kind, top=None, root=root)
    while _below(root, posixpath.dirname(parent)) not in _STAYS:
        parent = posixpath.dirname(parent)
    return Source(view=view, real=real, kind=kind, top=parent, root=root)


def member(directory: Source, path: str) -> Source:
    """Return the file ``path`` of a directory that was given as subject: of such a one everything travels along."""
    real = posixpath.join(directory.real, path)
    return replace(directory, real=real, kind="file", top=directory.top or directory.real, base=directory.real)


def tree_of(path: str) -> str | None:
    """Return the directory that belongs to the file at a real path with all it holds, None where none does.

    It is its own, and of one that is called bin or lib the one above, where that is neither the system's nor shared by
    many: an application's, not the directory of all that somebody has.
    """
    prefix = SUBJECT_ROOT if path.startswith(f"{SUBJECT_ROOT}/") else ""
    own = posixpath.dirname(path.removeprefix(prefix))
    above = posixpath.dirname(own)
    found = above if posixpath.basename(own) in _PARTS and _is_of_one(above) else own
    return prefix + found if _is_of_one(found) else None


def _is_of_one(directory: str) -> bool:
    return directory not in _STAYS and not _SHARED.fullmatch(directory)


def is_own_root(path: str) -> bool:
    """Whether the directory ``path`` of this machine looks like the root of another system."""
    view = DirectoryView("/")
    real = view.real_directory(_absolute(path))
    return real not in (None, "/") and _is_root(view, real or "")


def place(source: Source, target: Target, overlay: Overlay, at: str | None = None) -> str:
    """Show the source in ``overlay``, which lies over the target's root; return its real path there. Raises OSError.

    What a package installs has been laid into the root before.
    """
    if at is None:
        inside = _inside(source, target.view)
        if inside is not None:
            return inside
        at = _join(source.shown, source.real)
        if source.top is not None and not source.is_installed:
            overlay.mount(_join(source.shown, source.top), source.view, source.top)
        if source.top is not None:
            return overlay.resolve(at).path
    else:
        at = posixpath.join("/", at)
        if source.base is not None:
            overlay.mount(*_aligned(at, source.base, source))
            return overlay.resolve(posixpath.join(at, posixpath.relpath(source.real, source.base))).path
        if source.top is not None:
            overlay.mount(*_aligned(posixpath.dirname(at), posixpath.dirname(source.real), source))
    if source.top is None or posixpath.basename(at) != posixpath.basename(source.real):
        overlay.add_from(at, source.view, source.real)
    return overlay.resolve(at).path


def _aligned(directory: str, above: str, source: Source) -> tuple[str, FileView, str]:
    """Return what to mount where, so that what the source has in ``above`` lies in ``directory``.

    As many directories above it as have the same names come along: ``dist/bin/app`` at ``/opt/app/bin/app`` brings
    ``dist/lib`` to ``/opt/app/lib``. The system's own directories are not covered in this way.
    """
    while (
        above != source.top
        and posixpath.basename(above) == posixpath.basename(directory)
        and posixpath.dirname(directory) not in _STAYS
    ):
        above, directory = posixpath.dirname(above), posixpath.dirname(directory)
    return directory, source.view, above


def _inside(source: Source, view: FileView) -> str | None:
    """Return the path of the source in the root ``view``, None when it is not inside."""
    if not isinstance(source.view, DirectoryView):
        return None
    while isinstance(view, Overlay):
        view = view.base
    if not isinstance(view, DirectoryView):
        return _captured(source, view)
    root = _posix(view.host_path("/")).rstrip("/")
    host = _posix(source.view.host_path(source.real))
    return host[len(root) :] if host.startswith(f"{root}/") else None


def _captured(source: Source, view: FileView) -> str | None:
    """Return the path of the source in the root that a snapshot was taken of, None where it lies in none such.

    It and the tree that travels with it have to be as they were then.
    """
    for root in ("/", *_above(source.real)):
        if isinstance(source.view, DirectoryView) and view.was_taken_of(source.view.host_path(root)):
            tree = source.top if source.top is None or f"{source.top}/".startswith(f"{root.rstrip('/')}/") else root
            same = (view.holds(_below(root, one), source.view, one) for one in (source.real, tree) if one)
            return _below(root, source.real) if all(same) else None
    return None


def _above(path: str) -> list[str]:
    """Return the directories above a path, the top one left out."""
    return [path[:at] for at, letter in enumerate(path) if letter == "/" and at]


def _real(path: str, view: DirectoryView) -> tuple[str, str]:
    """Return the real path of a file and the root that it is part of. Raises OSError."""
    prefix = posixpath.dirname(path)
    while prefix != "/":
        root = view.real_directory(prefix)
        if root and root != "/" and _is_root(view, root):
            inside = DirectoryView(view.host_path(root))
            inside.trail = view.trail
            found = inside.find(path[len(prefix) :])
            if isinstance(found, Resolved):
                return root + found.path, root
        prefix = posixpath.dirname(prefix)
    real = view.resolve(path).path
    if real == path:
        return real, "/"  # every directory above it was looked at
    root = posixpath.dirname(real)
    while root != "/" and not _is_root(view, root):
        root = posixpath.dirname(root)
    return real, root


def _is_root(view: DirectoryView, directory: str) -> bool:
    """Whether the directory looks like the root of a system. A link counts, wherever it leads from outside."""
    for parent, name in _ROOT_MARKS:
        real = view.real_directory(f"{directory}/{parent}")
        if real and view.entry(real, name):
            return True
    return False


def _join(directory: str, path: str) -> str:
    """Return an absolute path below a directory."""
    return (directory.rstrip("/") + path).rstrip("/") or "/"


def _below(root: str, path: str) -> str:
    if root == "/":
        return path
    return path[len(root) :] or "/"


def _absolute(path: str) -> str:
    """Return a path of this machine from its top. Raises OSError for a relative one in a directory that is gone."""
    return _posix(path if os.path.isabs(path) else os.path.join(os.getcwd(), path))


def _posix(path: str) -> str:
    return os.path.splitdrive(path)[1].replace(os.sep, "/")
