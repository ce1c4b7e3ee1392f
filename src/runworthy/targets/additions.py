"""What ``--with`` adds to a root: a library, a directory or a package, as if it had been installed there.

Only files are laid out: a package's scripts do not run. What they nearly all start, ldconfig, is modelled.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

from runworthy.formats.archive import archive_kind, open_archive
from runworthy.formats.content import Content, FileContent
from runworthy.formats.elf import is_elf
from runworthy.formats.package import NeedsZstdError, is_package, read_package
from runworthy.model.arch import Architecture
from runworthy.model.elf import ET_DYN, ElfFacts
from runworthy.model.errors import FormatError, UsageError
from runworthy.model.records import dataclass
from runworthy.targets.directory import DirectoryView
from runworthy.targets.libc import default_directories
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from runworthy.targets.unpacked import Unpacked, put, unpacked
from runworthy.targets.view import FileView, Resolved, failure

__all__ = ["Addition", "UnfitError", "WheelAddition", "addition", "lay", "relist"]

Addition = Callable[[Target, Overlay], None]
"""Changes the root of a target, which lies under the overlay. Raises UsageError when it does not fit."""

_HINT = "name a package (.deb, .rpm, .apk, wheel, tar or zip archive), a directory, or a shared library"
_PREFIX = "/usr/local"
"""Where an environment is taken to lie of which nothing is said (sysconfig's posix_local)."""

_TREE_NAMES = frozenset(("bin", "etc", "lib", "lib32", "lib64", "libx32", "opt", "sbin", "usr", "var"))
_LDCONFIG = ("/sbin/ldconfig", "/usr/sbin/ldconfig", "/usr/bin/ldconfig")
_MUSL_DIRECTORY = "/usr/lib"


def addition(spec: str) -> Addition:
    """Return what ``--with SPEC`` does to a target. It is read once, however many targets. Raises UsageError."""
    try:
        return _read(spec)
    except NeedsZstdError:
        raise UsageError(f"--with {spec}: it is packed with zstd", hint="pip install 'runworthy[zstd]'") from None
    except FormatError as error:
        raise UsageError(f"--with {spec}: {error.message}", hint=_HINT) from error
    except OSError as error:
        raise UsageError(f"--with {spec}: {error.strerror or error}", hint=_HINT) from error


def _read(spec: str) -> Addition:
    place = os.path.realpath(spec)
    if os.path.isdir(place):
        view = DirectoryView(place)
        if any(view.resolve(f"/{name}").entry.kind == "dir" for name in _TREE_NAMES if view.exists(f"/{name}")):
            return _Tree(spec, view)
        return _libraries(spec, view)
    content = FileContent(place, os.stat(place).st_size)
    head = content.pread(0, 512)
    if head.startswith(b"\x7fELF"):
        view = DirectoryView(os.path.dirname(place))
        library = _library(os.path.basename(os.path.abspath(spec)), view, f"/{os.path.basename(place)}")
        if library is None:
            raise FormatError("is no shared library")
        return _Libraries(spec, (library,))
    kind = archive_kind(head, place)
    if kind == "wheel":
        return WheelAddition(spec, unpacked(open_archive(content, kind).members, kind))
    if kind == "zip":
        return _Tree(spec, unpacked(open_archive(content, kind).members, kind))
    if not is_package(head):
        raise FormatError("is no package and no shared library")
    return _Tree(spec, _unpacked(content))


# -- libraries ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Library:
    """A library of this machine, and the name that it is to have."""

    name: str
    facts: ElfFacts
    view: FileView
    real: str


@dataclass(frozen=True, slots=True)
class _Libraries:
    """Puts libraries where the root's loader looks first by default, named as ldconfig would name them."""

    spec: str
    libraries: tuple[_Library, ...]

    def __call__(self, target: Target, overlay: Overlay) -> None:
        names = {library.name for library in self.libraries}
        try:
            for library in self.libraries:
                directory = _home(library.facts, target, overlay)
                overlay.add_from(f"{directory}/{library.name}", library.view, library.real)
                soname = library.facts.soname
                if soname and soname not in names and "/" not in soname:
                    overlay.add_link(f"{directory}/{soname}", library.name)
                _relist(overlay, (overlay.real_directory(directory) or directory,))
        except OSError as error:
            _does_not_fit(self.spec, target, error)


def _libraries(spec: str, view: DirectoryView) -> _Libraries:
    """Return the shared libraries of a plain directory. Raises FormatError, OSError."""
    found = []
    for name in view.readdir("/"):
        resolved = view.find(f"/{name}")
        if isinstance(resolved, Resolved) and resolved.entry.kind == "file" and is_elf(view.content(resolved.path)):
            library = _library(name, view, resolved.path)
            found += [library] if library else []
    if not found:
        raise FormatError("holds no shared library and none of usr, lib, etc, so it is no root's part")
    return _Libraries(spec, tuple(found))


def _library(name: str, view: FileView, real: str) -> _Library | None:
    """Return the library at a real path, None when it is another kind of ELF file. Raises FormatError, OSError."""
    facts = view.elf(real).facts
    return _Library(name, facts, view, real) if facts.header.type == ET_DYN and facts.dynamic else None


def _home(facts: ElfFacts, target: Target, overlay: Overlay) -> str:
    """Return the directory in which the loader that will map this library looks first by default."""
    arch = facts.architecture or target.arch
    glibc, musl = overlay.find(arch.glibc_loader), overlay.find(arch.musl_loader)
    for_musl = any(name.startswith(("libc.musl-", "ld-musl-")) for name in facts.needed)
    if isinstance(musl, Resolved) and (for_musl or not isinstance(glibc, Resolved)):
        return _musl_directory(overlay, arch)
    if arch.name == target.arch.name and target.system_directories:
        return target.system_directories[0]
    if isinstance(glibc, Resolved):
        return default_directories(overlay, glibc.path, arch)[0]
    return _MUSL_DIRECTORY


def _musl_directory(view: FileView, arch: Architecture) -> str:
    """Return the first directory of the path file (musl ldso/dynlink.c), the usual one when there is none."""
    name = arch.musl_loader.rpartition("/ld-musl-")[2].removesuffix(".so.1")
    try:
        text = view.read(f"/etc/ld-musl-{name}.path").decode("utf-8", "surrogateescape")
    except (OSError, FormatError):
        return _MUSL_DIRECTORY
    paths = (path for line in text.splitlines() for path in line.split(":"))
    return next((path.rstrip("/") or "/" for path in paths if path.startswith("/")), _MUSL_DIRECTORY)


def lay(name: str, view: FileView, target: Target, overlay: Overlay) -> None:
    """Lay the files of a package into a root, as its package manager would. Raises UsageError where they do not fit."""
    _Tree(name, view)(target, overlay)


# -- trees --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tree:
    """Lays a part of a root over another, as package managers do: directories merge, the root's links lead on."""

    spec: str
    view: FileView

    def __call__(self, target: Target, overlay: Overlay) -> None:
        try:
            libraries = set(self._lay(overlay))
        except OSError as error:
            _does_not_fit(self.spec, target, error)
        relist(overlay, libraries)

    def _lay(self, overlay: Overlay) -> Iterator[str]:
        """Lay the tree; yield the real directories of the overlay that get libraries. Raises OSError."""
        pending = [("/", "/")]
        while pending:
            source, at = pending.pop()
            for name in sorted(self.view.names(source)):
                entry = self.view.entry(source, name)
                if entry is None:
                    continue
                below, path = _join(source, name), _join(at, name)
                there = overlay.entry(at, name)
                if entry.kind == "dir":
                    if there is not None:
                        overlay.add_directory(path)
                        pending.append((below, overlay.real_directory(path) or path))
                        continue
                    overlay.mount(path, self.view, below)
                    yield from (path + inner for inner in _directories_with_libraries(self.view, below))
                elif there is None or there.kind != "dir":
                    overlay.add_from(path, self.view, below)
                    if ".so" in name:
                        yield at
                elif entry.kind != "link":  # a directory stays where a package brings a link (dpkg, rpm)
                    raise failure(errno.EISDIR, path)


@dataclass(frozen=True, slots=True)
class WheelAddition:
    """Installs a wheel into the environment of a target. One in which other wheels are shown is their engine's to know.

    ``view`` has the wheel's files as they lie below the prefix of an environment.
    """

    spec: str
    view: Unpacked

    def __call__(self, target: Target, overlay: Overlay) -> None:
        try:
            overlay.mount(_PREFIX, self.view)
        except OSError as error:
            _does_not_fit(self.spec, target, error)


def _directories_with_libraries(view: FileView, top: str) -> Iterator[str]:
    """Yield the directories below ``top``, relative to it, that may hold libraries."""
    pending = [""]
    while pending:
        inner = pending.pop()
        names = list(view.names(top + inner))
        if any(".so" in name for name in names):
            yield inner
        for name in names:
            entry = view.entry(top + inner, name)
            if entry is not None and entry.kind == "dir":
                pending.append(f"{inner}/{name}")


def _unpacked(content: Content) -> Unpacked:
    """Return the files of a package as a root of their own. Raises FormatError, OSError."""
    tree = Unpacked()
    for member in read_package(content):
        put(tree, member)
    return tree


# -- both ---------------------------------------------------------------------------------------


def relist(overlay: Overlay, directories: Iterable[str]) -> None:
    """Have ldconfig read the directories, as a package manager does, where a root has it."""
    if overlay.authority is not None or any(overlay.exists(path) for path in _LDCONFIG):
        _relist(overlay, directories)


def _relist(overlay: Overlay, directories: Iterable[str]) -> None:
    """Have ldconfig read the directories: those that its configuration names count."""
    overlay.relisted = overlay.relisted.union(directories)


class UnfitError(UsageError):
    """A package does not fit into a root: one has a file where the other has a directory."""


def _does_not_fit(spec: str, target: Target, error: OSError) -> NoReturn:
    where = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    raise UnfitError(
        f"{spec} does not fit into {target.name}: {where}", hint="a package of that system would"
    ) from error


def _join(directory: str, name: str) -> str:
    return f"/{name}" if directory == "/" else f"{directory}/{name}"
