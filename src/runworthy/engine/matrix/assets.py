"""The assets of a release: what each is by its name, and by its bytes, which count for more."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from runworthy.engine.matrix.judging import is_manager_of, systems_of
from runworthy.engine.matrix.members import MAGICS, read_member, script
from runworthy.engine.matrix.names import Named, read_name
from runworthy.engine.subjects import MARK
from runworthy.formats.archive import archive_kind, open_archive
from runworthy.formats.content import Content, FileContent, release
from runworthy.model.archive import ContainerKind
from runworthy.model.errors import FormatError
from runworthy.model.matrix import Asset, AssetKind, Linkage, Member
from runworthy.model.records import replace

__all__ = ["files_of", "read_asset"]

_UNREAD = {"msi": "a Windows Installer package", "msix": "an MSIX package", "dmg": "a disk image", "7z": "a 7z archive",
    "pkg": "an installer package of macOS", "snap": "a snap", "flatpak": "a Flatpak bundle"}  # fmt: skip
_BUILD_FILES = frozenset(
    "go.mod Cargo.toml Makefile makefile CMakeLists.txt configure configure.ac setup.py pyproject.toml package.json "
    "meson.build pom.xml build.gradle build.zig WORKSPACE MODULE.bazel".split()
)
"""What lies at the top of a tree of sources. A test's binaries in one do not make a build of it."""
_BINARIES = frozenset(("bin", "sbin"))
_SETUP = frozenset("install uninstall setup update upgrade configure bootstrap build test activate autogen".split())
"""What scripts that prepare something are called: nobody starts the program by them."""
_SCRIPTS = 8
_ONE_FILE = frozenset(("gz", "xz", "zst", "bz2", "br"))
_LIMIT = 100_000
_DEPTH = 3
_HEAD = 512


def files_of(paths: Sequence[str]) -> list[str]:
    """Return the files, and the directories shipped as one, that are the assets among ``paths``, in their order.

    A directory whose own name says a platform is an asset. Of any other the files are, and where none of them is a
    build, the directories in it. Names that begin with a dot are passed over. Raises OSError.
    """
    found: dict[str, None] = {}
    for path in paths:
        if not os.path.isdir(path) or _is_asset(path):
            found[path] = None
            continue
        held = sorted(entry.path for entry in os.scandir(path) if not entry.name.startswith("."))
        files = [one for one in held if os.path.isfile(one)]
        builds = any(read_name(posixpath.basename(one)).kind == "build" for one in files)
        found.update(dict.fromkeys(files if builds else held))
    return list(found)


def _is_asset(directory: str) -> bool:
    claims = read_name(_base(directory)).claims
    return bool(claims.system or claims.archs)


def _base(path: str) -> str:
    return os.path.basename(os.path.normpath(path))


def read_asset(path: str) -> Asset:
    """Return what an asset is. What cannot be read is told as its problem."""
    name = _base(path)
    named = read_name(name)
    asset = Asset(name=name, path=path, kind=named.kind, claims=named.claims, of=named.of)
    try:
        size = os.stat(path).st_size if os.path.isfile(path) else 0
        asset = replace(asset, size=size)
        if named.kind in ("checksum", "signature", "sbom", "installer"):
            return asset
        held = _members(path, name)
    except FormatError as error:
        return replace(asset, problem=error.message) if named.kind == "build" else asset
    except OSError as error:
        return replace(asset, problem=error.strerror or "cannot be read")
    return _described(asset, held, named)


def _described(asset: Asset, held: _Held, named: Named) -> Asset:
    """Return the asset as its bytes have it. Scripts tell nothing of a platform."""
    native = sorted(held.members, key=lambda one: (one.role != "program", one.name))
    members = native if is_manager_of(asset) else [*native, *map(script, _started(held, named))]
    decide = [one for one in native if one.role == "program"] or native
    kind = _kind(named, native, source=held.source)
    what = _UNREAD.get(named.claims.packing, "")
    problem = f"{what} is not read" if what and not members else ""
    if named.claims.packing in _ONE_FILE and not members:
        problem = "it is one file, packed: unpack it to have it judged"
    if kind == "build" and not (members or problem or _is_portable(asset)):
        problem = "it holds no program and no library"
    linkages: list[Linkage] = [one.linkage for one in decide if one.linkage]
    minima = [one.minimum for one in decide if one.minimum]
    return replace(
        asset,
        kind=kind,
        systems=tuple(dict.fromkeys(system for one in decide for system in systems_of(one))),
        archs=tuple(dict.fromkeys(arch for one in decide for arch in one.archs)),
        linkages=tuple(dict.fromkeys(linkages)),
        minimum=max(minima, key=lambda text: [int(part) for part in text.split(".")], default=""),
        members=tuple(members),
        problem=problem,
    )


def _kind(named: Named, members: Sequence[Member], *, source: bool) -> AssetKind:
    if named.kind == "build":
        claims = named.claims
        return "build" if members or claims.system or claims.archs or claims.packing else "other"
    has_program = any(one.role == "program" for one in members)
    return "build" if has_program and not source else named.kind


def _started(held: _Held, named: Named) -> list[str]:
    """Return the names of the scripts that a person starts: those called as the program, of scripts alone each one.

    They lie at the top, or where programs do.
    """
    own = named.claims.name
    found: dict[str, bool] = {}
    for name, path in held.scripts:
        *directories, base = path.lower().split("/")
        stem = base.partition(".")[0]
        at_top = not directories or directories[-1] in _BINARIES
        if (at_top or (len(directories) == 1 and directories[0].startswith(own))) and stem not in _SETUP:
            found[name] = stem == own
    is_native = any(one.role == "program" for one in held.members)
    chosen = [name for name, is_own in found.items() if is_own] or ([] if is_native else list(found))
    return sorted(chosen)[:_SCRIPTS]


def _is_portable(asset: Asset) -> bool:
    """Whether it is of a kind that runs in another program, wherever that does: a wheel, a jar of bytecode alone."""
    return asset.claims.packing in ("whl", "jar", "phar", "nupkg", "pex") and not asset.claims.system


# -- what is in it ---------------------------------------------------------------------------------


class _Held(NamedTuple):
    """What lies in an asset. ``scripts`` are names and paths in it; ``source``: it is a tree of sources."""

    members: list[Member]
    scripts: list[tuple[str, str]]
    source: bool


class _File(NamedTuple):
    """A file of an asset: its name, its path in that, what is in it, and whether it may be executed."""

    name: str
    path: str
    content: Content
    executable: bool


def _members(path: str, name: str) -> _Held:
    """Return its programs, libraries and scripts. Raises FormatError, OSError."""
    if os.path.isdir(path):
        return _read(_of_directory(path))
    content = FileContent(path, os.stat(path).st_size)
    try:
        head = content.pread(0, _HEAD)
        # An AppImage is a program that has its archive behind it.
        kind = None if head.startswith(MAGICS) else archive_kind(head, name)
        if kind is None:
            member = read_member(path, content)
            return _Held([member] if member else [], [], source=False)
        return _read(_of_archive(path, content, kind, _DEPTH))
    finally:
        release(content)


def _of_archive(name: str, content: Content, kind: ContainerKind, depth: int) -> Iterator[_File]:
    """Yield the files of an archive, and those of archives in it. Raises FormatError, OSError."""
    archive = open_archive(content, kind)
    if archive.problem and not archive.members:
        raise FormatError(archive.problem)
    for one in archive.members:
        if one.kind != "file" or one.content is None:
            continue
        inside = f"{name}{MARK}{one.path}"
        nested = archive_kind(one.content.pread(0, _HEAD), one.path) if depth else None
        if nested is not None:
            with suppress(FormatError, OSError):  # the check tells what is damaged
                yield from _of_archive(inside, one.content, nested, depth - 1)
        else:
            yield _File(inside, one.path, one.content, executable=depth == _DEPTH and bool(one.mode & 0o111))


def _read(files: Iterator[_File]) -> _Held:
    """Return what is judged among files."""
    members: list[Member] = []
    scripts: list[tuple[str, str]] = []
    source = False
    for file in files:
        source = source or (file.path.count("/") <= 1 and posixpath.basename(file.path) in _BUILD_FILES)
        try:
            member = read_member(file.name, file.content)
            is_script = member is None and file.executable and file.content.pread(0, 2) == b"#!"
        except (FormatError, OSError):
            continue  # the check tells what is damaged
        finally:
            release(file.content)
        if member is not None:
            members.append(member)
        elif is_script:
            scripts.append((file.name, file.path))
    return _Held(members, scripts, source)


def _of_directory(directory: str) -> Iterator[_File]:
    """Yield the regular files below a directory, no link followed."""
    number = 0
    for top, below, files in os.walk(directory):
        below.sort()
        for file in sorted(files):
            number += 1
            path = os.path.join(top, file)
            if number > _LIMIT:
                raise FormatError(f"it holds over {_LIMIT} files")
            if os.path.isfile(path) and not os.path.islink(path):
                told = os.stat(path)
                content = FileContent(path, told.st_size)
                yield _File(path, os.path.relpath(path, directory), content, executable=bool(told.st_mode & 0o111))
