"""What an archive holds as a tree of files, as unpacking it would lay them out. Nothing is written anywhere."""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping

from runworthy.formats.content import Content
from runworthy.formats.package.member import Member
from runworthy.model.archive import ContainerKind
from runworthy.targets.overlay import Overlay
from runworthy.targets.view import Entry, FileView, Resolved, failure

__all__ = ["Unpacked", "put", "unpacked"]

Where = Callable[[str], str]
"""Returns where a member lies, relative to where the package is installed."""

_NPM_NAME = re.compile(r"(?:@[A-Za-z0-9._~-]{1,100}/)?[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,200}", re.ASCII)
_SITE_PACKAGES = "lib/python3/site-packages"
"""Where a wheel's files lie below the prefix of an environment; the version of Python does not matter to a loader."""

_WHEEL_SCHEME = {
    "purelib": _SITE_PACKAGES,
    "platlib": _SITE_PACKAGES,
    "scripts": "bin",
    "data": "",
    "headers": "include",
}
"""Where the directories of ``*.data`` go (PEP 427, "Installing a wheel"; sysconfig's posix_prefix)."""


class _Nothing(FileView):
    """The empty root, on which an archive is unpacked."""

    def entry(self, directory: str, name: str) -> Entry | None:
        """Return None: there is nothing."""
        del directory, name
        return None

    def names(self, directory: str) -> Iterable[str]:
        """Return no names."""
        del directory
        return ()

    def content(self, real: str) -> Content:
        """Raise OSError: there is nothing."""
        raise failure(errno.ENOENT, real)


class Unpacked(Overlay):
    """The files of an archive. ``top`` is where a member lies that no rule of its kind places elsewhere."""

    def __init__(self, top: str = "/") -> None:
        super().__init__(_Nothing())
        self.top = top
        self.places: dict[str, str] = {}
        """The real paths of members, by their names."""
        self.left_out: dict[str, OSError] = {}
        """Members that do not go where they belong, and why."""
        self._names: dict[str, str] = {}
        self._directories: dict[str, str] = {}

    def lay(self, member: Member, where: Where) -> None:
        """Lay one member where it belongs. One that does not go there is left out."""
        try:
            put(self, member, where)
            real = self.lstat(f"/{where(member.path)}").path
        except OSError as error:
            self.left_out[member.path] = error
        else:
            self.places[member.path] = real
            self._names[real] = member.path
            self._directories.setdefault(posixpath.dirname(real), posixpath.dirname(member.path))

    def name_at(self, path: str) -> str:
        """Return the name of the member that lies at a path, or what a member there would be called."""
        leads = self.find(path)
        real = leads.path if isinstance(leads, Resolved) else posixpath.normpath(path)
        return self._names.get(path) or self._names.get(real) or self._beside(real)

    def _beside(self, real: str) -> str:
        """Return what a member would be called that would lie at a path, by those that lie beside it, or above."""
        above, below = posixpath.split(real)
        while above not in self._directories and above not in ("", "/"):
            above, name = posixpath.split(above)
            below = f"{name}/{below}"
        if above in self._directories:
            return posixpath.join(self._directories[above], below)
        return posixpath.relpath(real, self.top)


def unpacked(members: Iterable[Member], kind: ContainerKind = "tar", name: str = "") -> Unpacked:
    """Return the members laid out as whoever installs a package of this kind and name lays them out.

    What does not go there, since a file lies where a directory is needed, is left out.
    """
    top, where = _SCHEMES.get(kind, _plainly)(name)
    tree = Unpacked(top)
    for member in members:
        tree.lay(member, where)
    return tree


def _plainly(name: str) -> tuple[str, Where]:
    del name
    return "/", _as_named


def _as_named(path: str) -> str:
    return path


def _in_environment(name: str) -> tuple[str, Where]:
    """Return where the members of a wheel lie below the prefix of an environment."""
    del name

    def where(path: str) -> str:
        top, _, below = path.partition("/")
        scheme, _, rest = below.partition("/")
        if top.endswith(".data") and scheme in _WHEEL_SCHEME and rest:
            return f"{_WHEEL_SCHEME[scheme]}/{rest}".lstrip("/")
        return f"{_SITE_PACKAGES}/{path}"

    return f"/{_SITE_PACKAGES}", where


def _in_node_modules(name: str) -> tuple[str, Where]:
    """Return where the members of a package of npm lie: without their first directory (pacote: ``strip: 1``)."""
    if not _NPM_NAME.fullmatch(name):
        return _plainly(name)
    top = f"node_modules/{name}"

    def where(path: str) -> str:
        return f"{top}/{path.partition('/')[2]}".rstrip("/")

    return f"/{top}", where


_SCHEMES: Mapping[ContainerKind, Callable[[str], tuple[str, Where]]] = {
    "wheel": _in_environment,
    "npm": _in_node_modules,
}


def put(tree: Overlay, member: Member, where: Where = _as_named) -> None:
    """Lay one member into a tree, where ``where`` says. Raises OSError where it does not go there."""
    if not member.path:
        return
    path = f"/{where(member.path)}"
    if member.kind == "dir":
        tree.add_directory(path)
    elif member.kind == "link":
        tree.add_link(path, member.target)
    elif member.kind == "hard-link":
        tree.add_hard_link(path, f"/{where(member.target)}")
    elif member.content is not None:
        tree.add_file(path, member.content, mode=member.mode)
    else:
        tree.add_special(path, mode=member.mode)
